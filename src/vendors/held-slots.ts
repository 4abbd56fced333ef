/** The slots that a worker has booked and not used: rising times, on its monotonic clock. */
import type { SlotRun } from '../model/governor.ts';

export interface HeldSlots {
  /** `offsetMs`: what is added to a run's times. Slots below `fromMs` are not taken; answers how many those were. */
  add(runs: readonly SlotRun[], offsetMs: number, fromMs: number): number;
  /** The first one, where its time has come; null otherwise. */
  takeDue(nowMs: number): number | null;
  /** The last one that is due at most `withinMs` after the next. */
  lastWithinMs(withinMs: number): number | null;
  lastAtMs(): number | null;
  /** An unused one comes back to the front. */
  putBack(atMs: number): void;
  /** Gives up those before; answers how many. */
  dropBefore(atMs: number): number;
  dropAll(): number;
  count(): number;
}

export function createHeldSlots(): HeldSlots {
  let times: number[] = [];
  let head = 0;

  function drop(to: number): number {
    const dropped = to - head;
    times = times.slice(to);
    head = 0;
    return dropped;
  }

  return {
    add(runs, offsetMs, fromMs) {
      let refused = 0;
      times = times.slice(head);
      head = 0;
      for (const { firstAtMs, everyMs, count } of runs) {
        for (let nth = 0; nth < count; nth++) {
          const atMs = firstAtMs + nth * everyMs + offsetMs;
          if (atMs < fromMs) refused++;
          else times.push(atMs);
        }
      }
      // The clocks may have moved between two answers: whose slots come first is decided by their times.
      times.sort((a, b) => a - b);
      return refused;
    },
    takeDue(nowMs) {
      const atMs = times[head];
      if (atMs === undefined || atMs > nowMs) return null;
      head++;
      return atMs;
    },
    lastWithinMs(withinMs) {
      const first = times[head];
      if (first === undefined) return null;
      let at = head;
      while ((times[at + 1] ?? Number.POSITIVE_INFINITY) <= first + withinMs) at++;
      return times[at] ?? null;
    },
    lastAtMs: () => (head < times.length ? (times.at(-1) ?? null) : null),
    putBack(atMs) {
      if (head > 0) times[--head] = atMs;
      else times.unshift(atMs);
    },
    dropBefore(atMs) {
      let to = head;
      while ((times[to] ?? Number.POSITIVE_INFINITY) < atMs) to++;
      return to === head ? 0 : drop(to);
    },
    dropAll: () => drop(times.length),
    count: () => times.length - head,
  };
}
