/** Time-outs of many short calls under one timer: arming one for each costs more than all other bookkeeping of a call. */

export interface Deadlines {
  /** Calls `expire` once, `afterMs` or up to one sweep later, unless it was taken back. */
  add(afterMs: number, expire: () => void): Deadline;
}

export interface Deadline {
  cancel(): void;
}

/** How late a time-out may come. */
const SWEEP_MS = 25;

interface Entry extends Deadline {
  readonly atMs: number;
  readonly expire: () => void;
}

export function createDeadlines(): Deadlines {
  const entries = new Set<Entry>();
  let timer: NodeJS.Timeout | undefined;

  function sweep(): void {
    const nowMs = performance.now();
    for (const entry of entries) {
      if (entry.atMs > nowMs) continue;
      entries.delete(entry);
      entry.expire();
    }
    if (entries.size > 0) return;
    clearInterval(timer);
    timer = undefined;
  }

  return {
    add(afterMs, expire) {
      const entry: Entry = { atMs: performance.now() + afterMs, expire, cancel: () => void entries.delete(entry) };
      entries.add(entry);
      timer ??= setInterval(sweep, SWEEP_MS);
      return entry;
    },
  };
}
