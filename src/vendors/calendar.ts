/** The pacing rule as a pure function of time: slots `1/R` apart, never two for one time, none before its time. */

export interface Calendar {
  /** The time of the next free slot, `now` at the earliest. Times in ms of one monotonic clock. */
  book(now: number): number;
  /** Frees the slot at `at`, unless its time is over: a late slot would crowd the one after it. */
  release(at: number, now: number): void;
}

export function createCalendar(callsPerSecond: number): Calendar {
  const intervalMs = 1000 / callsPerSecond;
  let nextAt = Number.NEGATIVE_INFINITY;
  let released: number[] = [];
  return {
    book(now) {
      if (released.length > 0) {
        released = released.filter((at) => at >= now);
        const earliest = Math.min(...released);
        if (earliest < nextAt) {
          released = released.filter((at) => at !== earliest);
          return earliest;
        }
      }
      const at = Math.max(now, nextAt);
      nextAt = at + intervalMs;
      return at;
    },
    release(at, now) {
      if (at + intervalMs === nextAt) nextAt = at;
      else if (at >= now) released.push(at);
    },
  };
}
