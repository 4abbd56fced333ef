/** One timer that wakes the workflow at the earliest time asked for: each timer costs two history events. */
import { CancellationScope, sleep } from '@temporalio/workflow';

export interface Alarm {
  /** Nothing where it is set for that time, or for an earlier one. */
  setFor(atMs: number): void;
  clear(): void;
}

export function createAlarm(): Alarm {
  let scope: CancellationScope | null = null;
  let setForMs = Number.POSITIVE_INFINITY;

  function clear(): void {
    scope?.cancel();
    scope = null;
    setForMs = Number.POSITIVE_INFINITY;
  }

  return {
    clear,
    setFor(atMs) {
      if (atMs >= setForMs) return;
      clear();
      const mine = new CancellationScope({ cancellable: true });
      scope = mine;
      setForMs = atMs;
      const ring = () => {
        if (scope === mine) clear();
      };
      mine.run(() => sleep(Math.max(1, atMs - Date.now()))).then(ring, ring);
    },
  };
}
