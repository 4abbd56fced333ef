/** Lets few slices hold a chunk in memory at once where more would only share one thread; the others wait before they read. */
import { ApplicationFailure } from '@temporalio/activity';
import type { Target } from '../targets/target.ts';
import type { Control } from './control.ts';

/** One computes while another reads its chunk or waits for the disk to sync; each holds its chunk and its rows. */
const PLACES = 2;

export interface Turnstile {
  /**
   * Resolves, first come first served, to what gives the place back. Who is called home need not wait: it reads its
   * standing and goes. Rejects where the lease is lost. Heartbeats go on meanwhile.
   */
  enter(target: Target, control: Control): Promise<() => void>;
}

export function createTurnstile(): Turnstile {
  const waiting = new Set<() => void>();
  let inside = 0;

  function leave(): void {
    inside--;
    for (const look of waiting) {
      if (inside >= PLACES) return;
      look();
    }
  }

  function enter(target: Target, control: Control): Promise<() => void> {
    if (!isComputation(target)) return Promise.resolve(() => undefined);
    return new Promise((resolve, reject) => {
      const look = () => {
        if (!control.lost() && !control.calledHome() && !control.endingSoon() && inside >= PLACES) return;
        waiting.delete(look);
        control.onWake(() => undefined);
        if (control.lost()) return reject(ApplicationFailure.retryable('the slice has lost its lease', 'lease_lost'));
        inside++;
        resolve(leave);
      };
      waiting.add(look);
      control.onWake(look);
      look();
    });
  }

  return { enter };
}

/** Calls nobody and asks for no concurrency: its items go through the one thread of this process, one by one. */
function isComputation(target: Target): boolean {
  return target.vendor === null && target.applyBatch === undefined && target.plan?.sliceConcurrency === 1;
}
