/** The two clocks that booked slots go by: the governor's times are wall-clock times, a call leaves by the monotonic clock. */
import { MONOTONIC, type SlotClock } from './local-slots.ts';

/** Slots come in wall-clock time and are kept on the monotonic clock. */
export interface BookingClock extends SlotClock {
  /** Epoch ms. */
  wall(): number;
}

export const SYSTEM_CLOCK: BookingClock = { ...MONOTONIC, wall: () => Date.now() };

const AT_ONCE_MS = 1;
const LOOKS_MAX = 4;

/** Both clocks at one moment: a process that is put aside between two looks must not take that for a clock that was set. */
export function readBoth(clock: BookingClock): { readonly now: number; readonly wall: number } {
  for (let look = 1; ; look++) {
    const before = clock.now();
    const wall = clock.wall();
    const now = clock.now();
    if (now - before < AT_ONCE_MS || look === LOOKS_MAX) return { now, wall };
  }
}
