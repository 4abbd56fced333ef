/** Tells whether the governor's clock and ours are one, by all round trips so far: a slow one alone would hide any difference. */

/** How far the governor's clock may lie outside the round trips, and ours may run off between two bookings. */
export const CLOCK_ERROR_MAX_MS = 4;
/** Clocks are set right so fast at most, unless they are set anew. */
const DRIFT_MS_PER_S = 0.5;

export interface RoundTrip {
  /** The governor's clock when it answered. */
  readonly nowMs: number;
  /** Ours, before and after. */
  readonly sentMs: number;
  readonly receivedMs: number;
}

/** Answers whether a time of the governor's can be taken for ours. */
export function createClockCheck(): (trip: RoundTrip) => boolean {
  /** The governor's clock is so much ahead of ours, at least and at most. */
  let least = Number.NEGATIVE_INFINITY;
  let most = Number.POSITIVE_INFINITY;
  let judgedAtMs = 0;
  return ({ nowMs, sentMs, receivedMs }) => {
    const drift = (Math.max(0, receivedMs - judgedAtMs) / 1_000) * DRIFT_MS_PER_S;
    least = Math.max(least - drift, nowMs - receivedMs);
    most = Math.min(most + drift, nowMs - sentMs);
    judgedAtMs = receivedMs;
    // No clock could have answered all of them: one was set.
    if (least > most + 1) [least, most] = [nowMs - receivedMs, nowMs - sentMs];
    return least <= CLOCK_ERROR_MAX_MS && most >= -CLOCK_ERROR_MAX_MS;
  };
}
