/** One timer that wakes the workflow at the earliest time asked for: each timer costs two history events. */
import { CancellationScope, sleep } from '@temporalio/workflow';

export interface Alarm {
  /** Nothing where it is set for that time, or for an earlier one. */
  setFor(atMs: number): void;
  clear(): void;
}

/** It may ring before the time asked for, which was set while an earlier one stood: `onRing` sets it again. */
export function createAlarm(onRing: () => void): Alarm {
  // A signal sets it from the scope that an operator's own cancel ends: the alarm stands in that of its maker.
  const parent = CancellationScope.current();
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
      const mine = new CancellationScope({ cancellable: true, parent });
      scope = mine;
      setForMs = atMs;
      const ring = () => {
        if (scope !== mine) return;
        clear();
        onRing();
      };
      mine.run(() => sleep(Math.max(1, atMs - Date.now()))).then(ring, ring);
    },
  };
}
