/** Finds the rate that a vendor really bears: down by what it refuses, up again while it answers, never above its budget. */
import type { CallReport } from '../../model/governor.ts';

export interface Adaptation {
  /** Calls per second; null = all that the budget allows. */
  readonly rate: number | null;
  /** The rate at which the vendor has shown its limit. */
  readonly ceiling: number | null;
  /** Calls that were told of lately: the older, the less they weigh. One report alone tells of a moment of one worker. */
  readonly answeredLately: number;
  readonly limitedLately: number;
  /** When it last did. */
  readonly limitedAtMs: number;
  /** Until then reports tell of slots that were booked before the rate was lowered. */
  readonly deafUntilMs: number;
  /** When the ceiling is tried next, and by how much. */
  readonly tryAtMs: number;
  readonly tryStep: number;
  /** When the rate was last lowered for calls that failed. */
  readonly failedAtMs: number;
  readonly movedAtMs: number;
}

export interface Surroundings {
  readonly nowMs: number;
  /** By the budget. */
  readonly allowed: number;
  readonly bookedUntilMs: number;
  readonly askEveryMs: number;
  /** As many calls as the rate lets out: only then does their success say anything about a higher one. */
  readonly busy: boolean;
}

export const UNADAPTED: Adaptation = {
  rate: null,
  ceiling: null,
  answeredLately: 0,
  limitedLately: 0,
  limitedAtMs: 0,
  deafUntilMs: 0,
  tryAtMs: 0,
  tryStep: 0,
  failedAtMs: 0,
  movedAtMs: 0,
};

/** Up to this share of the ceiling slowly, the faster the longer nothing is refused; quickly where there is no ceiling. */
const REST_SHARE = 0.98;
const QUICK_PER_SECOND = 0.05;
const SLOW_PER_SECOND = 0.005;
const TWICE_AS_FAST_AFTER_MS = 4_000;
const SLOW_TIMES_MAX = 10;
const LATELY_MS = 2_000;
const RISE_MS_MAX = 2_000;
/** The first try at a higher ceiling, and the next ones while they succeed: each twice as large. */
const FIRST_STEP = 0.02;
const STEP_MAX = 0.32;
const TRY_AFTER_MS = 45_000;
const TRY_NEXT_AFTER_MS = 10_000;
/** A ceiling that nothing has confirmed for so long is let go of, step by step. */
const FORGET_AFTER_MS = 300_000;
const FORGET_EVERY_MS = 30_000;
const FORGET_STEP = 0.1;
const FAILURES_SHARE_MAX = 0.2;
const FAILURES_MIN = 2;
/** Of what is allowed: items that fail for good must not bring a vendor to a halt; one that is down is the breaker's. */
const FAILURES_RATE_MIN = 0.1;
const LATENCY_MS_MAX = 10_000;

export function adapt(former: Adaptation, report: CallReport, around: Surroundings): Adaptation {
  const { nowMs, allowed } = around;
  const moved = listen({ ...former, rate: Math.min(former.rate ?? allowed, allowed) }, report, nowMs);
  let next = lowerForFailures(lowerForLimit(moved, report, around), report, around);
  if (next.rate === moved.rate && nowMs >= next.deafUntilMs) next = rise(tryHigher(next, around), around);
  const ceiling = next.ceiling !== null && next.ceiling * REST_SHARE >= allowed ? null : next.ceiling;
  return { ...next, ceiling, rate: next.rate >= allowed ? null : next.rate, movedAtMs: nowMs };
}

type Moved = Adaptation & { readonly rate: number };

function listen(now: Moved, { answered, limited }: CallReport, nowMs: number): Moved {
  const weight = Math.exp(-Math.max(0, nowMs - now.movedAtMs) / LATELY_MS);
  return {
    ...now,
    answeredLately: now.answeredLately * weight + answered,
    limitedLately: now.limitedLately * weight + limited,
  };
}

/** Once for each time that the limit shows; what is heard until the slots booked before are over makes it more exact. */
function lowerForLimit(now: Moved, report: CallReport, around: Surroundings): Moved {
  const { nowMs, allowed } = around;
  if (report.limited === 0) return now;
  const share = now.limitedLately / (now.answeredLately + now.limitedLately);
  const from = nowMs < now.deafUntilMs ? (now.ceiling ?? now.rate) : now.rate;
  const rate = Math.min(now.rate, Math.max(rateMin(allowed), from * Math.max(0.5, 1 - share) * 0.97));
  if (nowMs < now.deafUntilMs) return { ...now, rate };
  return {
    ...now,
    rate,
    ceiling: now.rate,
    limitedAtMs: nowMs,
    deafUntilMs: reactedAtMs(report, around),
    tryAtMs: nowMs + TRY_AFTER_MS,
    tryStep: FIRST_STEP,
  };
}

/** From when on a report tells of slots only that are booked from now on. */
function reactedAtMs({ latencyMs }: CallReport, { nowMs, bookedUntilMs, askEveryMs }: Surroundings): number {
  return Math.max(nowMs, bookedUntilMs) + Math.min(latencyMs ?? 0, LATENCY_MS_MAX) + askEveryMs;
}

function lowerForFailures(now: Moved, { answered, limited, failed }: CallReport, around: Surroundings): Moved {
  const isHigh = failed >= FAILURES_MIN && failed > FAILURES_SHARE_MAX * (answered + limited + failed);
  if (!isHigh || around.nowMs < now.failedAtMs + 1_000) return now;
  const rate = Math.min(now.rate, Math.max(FAILURES_RATE_MIN * around.allowed, now.rate * 0.8));
  return { ...now, rate, failedAtMs: around.nowMs };
}

function tryHigher(now: Moved, { nowMs, busy }: Surroundings): Moved {
  if (now.ceiling === null || nowMs < now.tryAtMs) return now;
  if (nowMs >= now.limitedAtMs + FORGET_AFTER_MS) {
    return { ...now, ceiling: now.ceiling * (1 + FORGET_STEP), tryAtMs: nowMs + FORGET_EVERY_MS };
  }
  if (!busy || now.rate < now.ceiling * REST_SHARE * 0.999) return now;
  return {
    ...now,
    ceiling: now.ceiling * (1 + now.tryStep),
    tryAtMs: nowMs + TRY_NEXT_AFTER_MS,
    tryStep: Math.min(now.tryStep * 2, STEP_MAX),
  };
}

function rise(now: Moved, { nowMs, allowed }: Surroundings): Moved {
  const seconds = Math.max(0, Math.min(nowMs - now.movedAtMs, RISE_MS_MAX)) / 1000;
  if (now.ceiling === null) return { ...now, rate: Math.min(allowed, now.rate + QUICK_PER_SECOND * allowed * seconds) };
  const times = Math.min(1 + (nowMs - now.limitedAtMs) / TWICE_AS_FAST_AFTER_MS, SLOW_TIMES_MAX);
  const slow = now.rate + SLOW_PER_SECOND * times * Math.min(allowed, now.ceiling) * seconds;
  return { ...now, rate: Math.min(allowed, Math.max(now.rate, Math.min(slow, now.ceiling * REST_SHARE))) };
}

function rateMin(allowed: number): number {
  return Math.min(allowed, Math.max(allowed / 100, 0.1));
}
