/** What became of a vendor's calls over the last minute, for those who watch it. */
import type { CallReport, GovernorStanding } from '../../model/governor.ts';

/** Calls that were told of within five seconds. */
export interface Stretch {
  readonly at: number;
  readonly answered: number;
  readonly limited: number;
  readonly failed: number;
  readonly unused: number;
  readonly latencySumMs: number;
}

const STRETCH_MS = 5_000;
const STRETCHES = 12;

export function withReport(stretches: readonly Stretch[], report: CallReport, nowMs: number): readonly Stretch[] {
  const at = Math.floor(nowMs / STRETCH_MS);
  const last = stretches.at(-1);
  const now = last?.at === at ? last : { at, answered: 0, limited: 0, failed: 0, unused: 0, latencySumMs: 0 };
  const added = {
    at,
    answered: now.answered + report.answered,
    limited: now.limited + report.limited,
    failed: now.failed + report.failed,
    unused: now.unused + report.unused,
    latencySumMs: now.latencySumMs + (report.latencyMs ?? 0) * report.answered,
  };
  return [...stretches.filter((it) => it.at > at - STRETCHES && it.at < at), added];
}

export function lastMinuteOf(stretches: readonly Stretch[], nowMs: number): GovernorStanding['lastMinute'] {
  const first = Math.floor(nowMs / STRETCH_MS) - STRETCHES;
  const recent = stretches.filter(({ at }) => at > first);
  const sum = (key: keyof Stretch) => recent.reduce((total, it) => total + it[key], 0);
  const answered = sum('answered');
  return {
    answered,
    limited: sum('limited'),
    failed: sum('failed'),
    unused: sum('unused'),
    latencyMs: answered === 0 ? null : Math.round(sum('latencySumMs') / answered),
  };
}
