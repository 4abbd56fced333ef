/** Estimates the vendor's event-loop lag, so that a test knows how late the ledger's arrival times may be. */

const TICK_MS = 10;

export interface LagMeter {
  /** The last tick's lateness, or how overdue the next one is, whichever is more. Unit: ms. */
  lagMs(): number;
  stop(): void;
}

export function startLagMeter(): LagMeter {
  let lastTick = performance.now();
  let lastLag = 0;
  const timer = setInterval(() => {
    const now = performance.now();
    lastLag = Math.max(0, now - lastTick - TICK_MS);
    lastTick = now;
  }, TICK_MS);
  timer.unref();
  return {
    lagMs: () => Math.max(lastLag, performance.now() - lastTick - TICK_MS),
    stop: () => clearInterval(timer),
  };
}
