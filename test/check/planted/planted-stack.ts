/** The service with a fault planted in it: its API and worker as ever, each with one of our modules in place of its own. */
import type { Parts } from '../../fixtures/stack/parts.ts';
import type { Started } from '../../fixtures/stack/processes.ts';
import type { History } from '../history.ts';
import { recordShortRun, SHORT_RUN_ACCOUNTS } from '../short-run.ts';
import type { PlantedFault } from './fault.ts';

const CALLS_PER_SECOND = 80;

/** `null`: with everything in the place where faults are planted, and none. */
export async function recordPlanted(parts: Parts, fault: PlantedFault | null): Promise<History> {
  const settings = {
    NODE_OPTIONS: `--import=${new URL('./plant.mjs', import.meta.url).href}`,
    PLANTED_FAULT: fault ?? '',
    PLANTED_ACCOUNTS: SHORT_RUN_ACCOUNTS.join(),
    VENDOR_BUDGETS: `products=${CALLS_PER_SECOND}/s`,
    VENDOR_SEND_TIMES: 'on',
  };
  await parts.vendor.reset();
  const started: Started[] = [];
  try {
    started.push(...(await Promise.all([parts.startApi(settings), parts.startWorker(settings)])));
    return await recordShortRun({
      ...{ url: parts.url, vendor: parts.vendor, tag: fault ?? 'none', callsPerSecond: CALLS_PER_SECOND },
    });
  } finally {
    for (const part of started) await part.kill();
  }
}
