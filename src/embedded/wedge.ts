/** Notices a Temporal server that lives and serves nobody: its SQLite connection answers `interrupted` for ever. */

/**
 * A statement that is interrupted at its deadline and never closed has SQLite interrupt every later one on the server's
 * one connection. Seen on an overloaded machine: no request served for minutes, until it was started again.
 */
const SIGN = 'interrupted (9)';
/** A timeout of its own leaves such a line or two; a wedged server writes many, every second. */
const WEDGED_AFTER_MS = 8_000;
const PAUSE_MAX_MS = 3_000;

/** Give it the server's log as it comes; `onWedged` is called once. Times in ms, of any monotonic clock. */
export function createWedgeWatch(onWedged: () => void, nowMs: () => number): (log: Buffer) => void {
  let firstMs: number | null = null;
  let lastMs = 0;
  let told = false;
  return (log) => {
    if (told || !log.includes(SIGN)) return;
    const now = nowMs();
    if (firstMs === null || now - lastMs > PAUSE_MAX_MS) firstMs = now;
    lastMs = now;
    if (now - firstMs < WEDGED_AFTER_MS) return;
    told = true;
    onWedged();
  };
}
