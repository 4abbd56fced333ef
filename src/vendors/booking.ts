/** Asks a vendor's governor for slots: when there is need, not more often than it wants to be asked, one question at a time. */
import type { BookAnswer } from '../model/governor.ts';
import type { SlotClock } from './local-slots.ts';

export interface Booking {
  /** There is need, or news that cannot wait. Called as often as one likes. */
  look(): void;
  stop(): void;
}

export interface BookingOptions {
  readonly clock: SlotClock;
  /** `waiting`: calls have no slot; `now`: ask even before the governor wants to be asked again. */
  readonly need: () => 'none' | 'soon' | 'waiting' | 'now';
  /** Resolves to the answer, and whether it served all that was asked for. */
  readonly ask: () => Promise<{ readonly answer: BookAnswer; readonly served: boolean }>;
  readonly onFailure: (error: unknown) => void;
}

/** Calls that begin together are asked for together. */
const GATHER_MS = 3;
/** Two urgent questions are at least this far apart. */
const URGENT_GAP_MS = 200;
const FAILED_WAIT_MIN_MS = 200;
const FAILED_WAIT_MAX_MS = 2_000;

export function createBooking({ clock, need, ask, onFailure }: BookingOptions): Booking {
  let asking = false;
  let stopped = false;
  let askedAtMs = Number.NEGATIVE_INFINITY;
  let notBeforeMs = Number.NEGATIVE_INFINITY;
  /** For calls that wait without a slot. */
  let waitingNotBeforeMs = Number.NEGATIVE_INFINITY;
  let failures = 0;
  let planned: { readonly atMs: number; readonly callOff: () => void } | null = null;

  function look(): void {
    if (asking || stopped) return;
    const urgency = need();
    if (urgency === 'none') return;
    const atMs = Math.max(fromMs(urgency), clock.now() + GATHER_MS);
    if (planned !== null && planned.atMs <= atMs) return;
    planned?.callOff();
    planned = { atMs, callOff: clock.wait(atMs, () => void askNow()) };
  }

  function fromMs(urgency: 'soon' | 'waiting' | 'now'): number {
    if (urgency === 'now' && failures === 0) return askedAtMs + URGENT_GAP_MS;
    return urgency === 'soon' ? notBeforeMs : waitingNotBeforeMs;
  }

  async function askNow(): Promise<void> {
    planned = null;
    if (stopped || need() === 'none') return;
    asking = true;
    askedAtMs = clock.now();
    try {
      const { answer, served } = await ask();
      failures = 0;
      notBeforeMs = clock.now() + answer.askAgainMs;
      // Who got all that was asked for is not one of those who press.
      waitingNotBeforeMs = served ? clock.now() + answer.askAgainMs / 2 : notBeforeMs;
    } catch (error) {
      notBeforeMs = clock.now() + Math.min(FAILED_WAIT_MAX_MS, FAILED_WAIT_MIN_MS * 2 ** failures);
      waitingNotBeforeMs = notBeforeMs;
      failures++;
      onFailure(error);
    } finally {
      asking = false;
    }
    look();
  }

  return {
    look,
    stop() {
      stopped = true;
      planned?.callOff();
      planned = null;
    },
  };
}
