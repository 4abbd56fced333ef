/** Counts what came of calls between two bookings: the governor adapts by it. */
import type { CallReport } from '../model/governor.ts';
import type { Transient } from '../model/outcome.ts';
import type { VendorAnswer } from './vendor.ts';

export interface CallTally {
  ended(called: VendorAnswer | Transient, latencyMs: number): void;
  unused(slots: number): void;
  /** Something that the governor should hear at once. */
  isUrgent(): boolean;
  /** Of the calls answered since the last report, else of those before it; null before the first answer. */
  latencyMs(): number | null;
  /** What has been counted since it was last taken; counting begins anew. */
  take(down: boolean): CallReport;
  /** A report that did not arrive is told with the next one. */
  putBack(report: CallReport): void;
}

/** These come from a vendor that is up and says something of one item, or from ourselves. */
const SAYS_NOTHING: ReadonlySet<string> = new Set([
  'vendor_key_in_use',
  'vendor_too_early',
  'vendor_request_invalid',
  'aborted',
]);

/** Whose `Retry-After` holds for the vendor; that of a 409 or 425 speaks of one item. */
export const SPEAKS_OF_VENDOR: ReadonlySet<string> = new Set([
  'vendor_rate_limited',
  'vendor_unavailable',
  'vendor_error',
]);

export function createCallTally(wallMs: () => number): CallTally {
  let counts = { answered: 0, limited: 0, failed: 0, unused: 0 };
  let closedUntilMs = 0;
  let latencySumMs = 0;
  let lastLatencyMs: number | null = null;

  const latencyMs = () => (counts.answered === 0 ? lastLatencyMs : latencySumMs / counts.answered);

  return {
    ended(called, latencyMs) {
      if (called.kind === 'answer') {
        counts.answered++;
        latencySumMs += latencyMs;
        return;
      }
      if (called.code === 'vendor_rate_limited') counts.limited++;
      else if (!SAYS_NOTHING.has(called.code)) counts.failed++;
      if (SPEAKS_OF_VENDOR.has(called.code) && called.retryAfterMs !== undefined) {
        closedUntilMs = Math.max(closedUntilMs, wallMs() + called.retryAfterMs);
      }
    },
    unused(slots) {
      counts.unused += slots;
    },
    isUrgent: () => counts.limited > 0 || closedUntilMs > wallMs(),
    latencyMs,
    take(down) {
      lastLatencyMs = latencyMs();
      const report = { ...counts, closedUntilMs, down, latencyMs: counts.answered === 0 ? null : lastLatencyMs };
      counts = { answered: 0, limited: 0, failed: 0, unused: 0 };
      closedUntilMs = 0;
      latencySumMs = 0;
      return report;
    },
    putBack(report) {
      counts = {
        answered: counts.answered + report.answered,
        limited: counts.limited + report.limited,
        failed: counts.failed + report.failed,
        unused: counts.unused + report.unused,
      };
      closedUntilMs = Math.max(closedUntilMs, report.closedUntilMs);
      latencySumMs += (report.latencyMs ?? 0) * report.answered;
    },
  };
}
