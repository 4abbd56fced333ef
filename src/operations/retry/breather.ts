/** Long walks give the event loop back every few milliseconds, so that other requests are answered meanwhile. */
import { setImmediate as nextTurn } from 'node:timers/promises';

const BURST_MS = 10;
const STEPS_BETWEEN_LOOKS = 256;

/** Asked at each step: a promise where it is time to wait for a turn. */
export function createBreather(): () => Promise<void> | null {
  let steps = 0;
  let burstEnd = performance.now() + BURST_MS;
  return () => {
    if (++steps % STEPS_BETWEEN_LOOKS !== 0 || performance.now() < burstEnd) return null;
    return nextTurn().then(() => {
      burstEnd = performance.now() + BURST_MS;
    });
  };
}
