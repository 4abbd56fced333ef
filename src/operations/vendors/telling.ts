/** Has a vendor's governor keep the budget that was set last: what is kept in the store is the truth. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Log } from '../../model/log.ts';
import type { VendorBudgets } from '../../storage/vendor-budgets.ts';
import { within } from '../deadline.ts';
import type { GovernorClient } from './governor-client.ts';

export interface Telling {
  /** Resolves to the time from which the budget is kept, in epoch ms; rejects where the governor was not reached in time. */
  tell(vendor: string): Promise<number>;
  /** Behind everybody's back, again and again, once for all who ask for it. */
  untilTold(vendor: string): void;
  stop(): void;
}

export interface TellingDeps {
  readonly budgets: VendorBudgets;
  readonly governors: GovernorClient;
  readonly storeDeadlineMs: number;
  readonly log: Log;
}

/** Includes the start of a governor. */
const TELL_DEADLINE_MS = 5_000;
const TELL_AGAIN_MS = 5_000;
/** Set by several at once it may take another round until the governor has what was kept last. */
const ROUNDS_MAX = 5;

export function createTelling({ budgets, governors, storeDeadlineMs, log }: TellingDeps): Telling {
  const stopping = new AbortController();
  const going = new Set<string>();
  const read = (vendor: string) => within(storeDeadlineMs, 'the budget', budgets.read(vendor));

  async function tell(vendor: string): Promise<number> {
    const deadlineAt = Date.now() + TELL_DEADLINE_MS;
    let set = await read(vendor);
    for (let rounds = 1; ; rounds++) {
      const budget = set?.budget ?? null;
      const answer =
        budget === null
          ? await governors.clearBudget(vendor, deadlineAt)
          : await governors.setBudget(vendor, budget, deadlineAt);
      const now = await read(vendor);
      // Somebody set another one meanwhile, and may have told the governor before us.
      if (JSON.stringify(now) === JSON.stringify(set) || rounds === ROUNDS_MAX)
        return answer?.effectiveAtMs ?? Date.now();
      set = now;
    }
  }

  async function go(vendor: string): Promise<void> {
    while (!stopping.signal.aborted) {
      await sleep(TELL_AGAIN_MS, undefined, { signal: stopping.signal, ref: false });
      try {
        await tell(vendor);
        log('info', 'a governor keeps the budget that was set', { vendor });
        return;
      } catch (error) {
        log('debug', 'a governor has not heard of its budget yet', { vendor, error });
      }
    }
  }

  return {
    tell,
    untilTold(vendor) {
      if (going.has(vendor)) return;
      going.add(vendor);
      const forget = () => going.delete(vendor);
      go(vendor).then(forget, forget);
    },
    stop: () => stopping.abort(),
  };
}
