/** Outlives the harness by a moment: whatever still carries the campaign's mark is killed, and its folder goes. */
import { readdirSync, readFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { MARK } from './mark.ts';

const SWEEPS_MAX = 200;
const SWEEP_EVERY_MS = 50;

const [mark = '', folder = ''] = process.argv.slice(2);
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => {});
process.once('disconnect', () => void reap().finally(() => process.exit(0)));

async function reap(): Promise<void> {
  if (mark === '' || folder === '') return;
  for (let sweep = 0; sweep < SWEEPS_MAX; sweep += 1) {
    const left = marked();
    if (left.length === 0) break;
    for (const pid of left) kill(pid);
    await sleep(SWEEP_EVERY_MS);
  }
  await rm(folder, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 });
}

/** Only where the system shows other processes' environment (Linux); elsewhere the channels must do. */
function marked(): number[] {
  try {
    const pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name));
    return pids
      .filter((pid) => environmentOf(pid).includes(`${MARK}=${mark}`))
      .map(Number)
      .filter(isOther);
  } catch {
    return [];
  }
}

function isOther(pid: number): boolean {
  return pid !== process.pid;
}

function environmentOf(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/environ`, 'latin1');
  } catch {
    return '';
  }
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // Gone meanwhile.
  }
}
