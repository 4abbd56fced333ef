/** Admits as many calls as there are connections, so that a call waits here and not in the HTTP client's own queue. */
import { callsUnder } from './abort-set.ts';

export interface Gate {
  /** True: admitted. False (only by promise): the signal was aborted first. */
  enter(signal: AbortSignal): true | Promise<boolean>;
  leave(): void;
}

interface Waiter {
  admit(): void;
  gone: boolean;
}

/** First come, first served. */
export function createGate(places: number): Gate {
  let free = places;
  let queue: Waiter[] = [];
  let head = 0;

  function next(): Waiter | null {
    while (head < queue.length) {
      const waiter = queue[head++];
      if (waiter !== undefined && !waiter.gone) return waiter;
    }
    queue = [];
    head = 0;
    return null;
  }

  return {
    enter(signal) {
      if (free > 0) {
        free -= 1;
        return true;
      }
      return new Promise((resolve) => {
        if (signal.aborted) return resolve(false);
        const waiting = callsUnder(signal);
        const abort = () => {
          waiter.gone = true;
          resolve(false);
        };
        const waiter: Waiter = {
          gone: false,
          admit() {
            waiting.delete(abort);
            resolve(true);
          },
        };
        waiting.add(abort);
        if (head > 1_024) {
          queue = queue.slice(head);
          head = 0;
        }
        queue.push(waiter);
      });
    },
    leave() {
      const waiter = next();
      if (waiter === null) free += 1;
      else waiter.admit();
    },
  };
}
