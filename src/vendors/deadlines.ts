/** Time-outs of many short calls under one timer: arming one for each costs more than all other bookkeeping of a call. */

/** On the clock of `performance.now()`. */
export interface Expiring {
  readonly expiresAtMs: number;
}

export interface Deadlines<Entry extends Expiring> {
  /** Expires it once, at its time or up to one sweep later, unless it is taken back. */
  add(entry: Entry): void;
  delete(entry: Entry): void;
}

/** How late a time-out may come. */
const SWEEP_MS = 25;

export function createDeadlines<Entry extends Expiring>(expire: (entry: Entry) => void): Deadlines<Entry> {
  const entries = new Set<Entry>();
  let timer: NodeJS.Timeout | undefined;

  function sweep(): void {
    const nowMs = performance.now();
    for (const entry of entries) {
      if (entry.expiresAtMs > nowMs) continue;
      entries.delete(entry);
      expire(entry);
    }
    if (entries.size > 0) return;
    clearInterval(timer);
    timer = undefined;
  }

  return {
    add(entry) {
      entries.add(entry);
      timer ??= setInterval(sweep, SWEEP_MS);
    },
    delete: (entry) => void entries.delete(entry),
  };
}
