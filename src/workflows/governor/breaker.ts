/** Closes a vendor that is down to calls, lets one call through at a time to see whether it is back, and opens it again. */
import type { BookRequest, BreakerState } from '../../model/governor.ts';

/** As in a circuit: `closed` lets calls through. */
export interface Breaker {
  readonly state: BreakerState;
  /** Null while nothing has ever happened. */
  readonly sinceMs: number | null;
  /** While open: when the next probe may go out. Half open: when it was to go out. */
  readonly probeAtMs: number;
  /** Probes that failed one after the other. */
  readonly failedProbes: number;
  readonly probeOf: string | null;
  /** Failures since the last answered call. */
  readonly failures: number;
  readonly failureReports: number;
  readonly failingSinceMs: number;
  readonly answeredAtMs: number;
  readonly answeredOf: string;
}

export const CLOSED: Breaker = {
  state: 'closed',
  sinceMs: null,
  probeAtMs: 0,
  failedProbes: 0,
  probeOf: null,
  failures: 0,
  failureReports: 0,
  failingSinceMs: 0,
  answeredAtMs: 0,
  answeredOf: '',
};

const OPENS_AFTER_FAILURES = 10;
const OPENS_AFTER_REPORTS = 2;
const OPENS_AFTER_MS = 1_000;
/** A worker alone with its trouble has a link of its own that is down. */
const OTHERS_ANSWERED_MS = 2_000;
/** Between probes: 1, 2, 4, 5, 5 s …, so that work goes on within 10 s of a vendor's return. */
const PROBE_EVERY_MS_MAX = 5_000;
/** A probe that nobody tells of by then was lost with its worker. */
const PROBE_LOST_AFTER_MS = 10_000;
/** No call leaves at a slot any more, by whatever clock. */
const SLOT_OVER_MS = 100;

export function judge(now: Breaker, request: BookRequest, nowMs: number): Breaker {
  const { worker, report } = request;
  const seen = report.answered + report.limited > 0 ? { ...now, answeredAtMs: nowMs, answeredOf: worker } : now;
  if (seen.state === 'closed') return judgeClosed(seen, request, nowMs);
  if (seen.state === 'half_open') return judgeProbe(seen, request, nowMs);
  return seen;
}

function judgeClosed(now: Breaker, { worker, report }: BookRequest, nowMs: number): Breaker {
  if (report.answered + report.limited > 0 && !report.down) {
    return { ...now, failures: 0, failureReports: 0, failingSinceMs: 0 };
  }
  if (report.failed === 0) return now;
  const failing = {
    ...now,
    failures: now.failures + report.failed,
    failureReports: now.failureReports + 1,
    failingSinceMs: now.failureReports === 0 ? nowMs : now.failingSinceMs,
  };
  const othersFare = now.answeredOf !== worker && nowMs < now.answeredAtMs + OTHERS_ANSWERED_MS;
  const isOver =
    failing.failureReports >= OPENS_AFTER_REPORTS &&
    failing.failures >= OPENS_AFTER_FAILURES &&
    nowMs >= failing.failingSinceMs + OPENS_AFTER_MS;
  return !othersFare && (report.down || isOver) ? open(failing, nowMs, 0) : failing;
}

function judgeProbe(now: Breaker, request: BookRequest, nowMs: number): Breaker {
  const { worker, report, held, inFlight, sentAtMs } = request;
  const lost: Breaker = { ...now, state: 'open', probeAtMs: nowMs, probeOf: null };
  if (worker === now.probeOf && nowMs >= now.probeAtMs) {
    const isBack = report.answered + report.limited > 0;
    if (isBack) return { ...CLOSED, sinceMs: nowMs, answeredAtMs: nowMs, answeredOf: worker };
    if (report.failed > 0) return open(now, nowMs, now.failedProbes + 1);
    // The slot came too late, or nobody wanted it any more: that says nothing about the vendor.
    if (held === 0 && inFlight === 0 && sentAtMs > now.probeAtMs + SLOT_OVER_MS) return lost;
  }
  return nowMs < now.probeAtMs + PROBE_LOST_AFTER_MS ? now : lost;
}

function open(now: Breaker, nowMs: number, failedProbes: number): Breaker {
  const waitMs = Math.min(1_000 * 2 ** Math.min(failedProbes, 10), PROBE_EVERY_MS_MAX);
  const sinceMs = now.state === 'closed' ? nowMs : now.sinceMs;
  return { ...now, state: 'open', sinceMs, probeAtMs: nowMs + waitMs, failedProbes, probeOf: null };
}

/** A probe has been given a slot. */
export function probed(now: Breaker, worker: string, slotAtMs: number): Breaker {
  return { ...now, state: 'half_open', probeAtMs: slotAtMs, probeOf: worker };
}

/** The probe of this worker lies ahead, or is due: it is not to be held back, whatever else it asks meanwhile. */
export function mayProbe(now: Breaker, worker: string, nowMs: number): boolean {
  return now.state === 'half_open' && now.probeOf === worker && nowMs <= now.probeAtMs + SLOT_OVER_MS;
}

/** Until when no slot is booked but for a probe; 0 = they are booked. */
export function brokenUntilMs(now: Breaker, nowMs: number): number {
  if (now.state === 'closed') return 0;
  return now.state === 'open' ? now.probeAtMs : Math.max(now.probeAtMs, nowMs + 1_000);
}
