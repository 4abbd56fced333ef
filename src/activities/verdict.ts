/** What one attempt means for its item: decided, or tried again later. Pure. */
import type { Applied, Transient } from '../model/outcome.ts';
import type { Plan, RetryPolicy } from '../model/plan.ts';
import type { Decision } from './rows.ts';

export type Verdict =
  | { readonly kind: 'decided'; readonly decision: Decision }
  | { readonly kind: 'again'; readonly dueMs: number; readonly counted: number; readonly doubt: boolean };

/** How an item stands when an attempt comes back. */
export interface Trial {
  /** Attempts that counted before this one. */
  readonly counted: number;
  /** Calls made, this one included. */
  readonly attempts: number;
  /** An earlier attempt may have had its effect. */
  readonly doubt: boolean;
}

/** The first call still runs at the vendor: asked again ever more slowly, however long it takes. */
const IN_FLIGHT: ReadonlySet<string> = new Set(['vendor_key_in_use', 'vendor_too_early']);
/** What an item comes to whose vendor took it and never said what became of it. */
export function unanswered(code: 'callback_missing' | 'vendor_pending', attempts: number): Decision {
  return { outcome: 'unknown', attempts, error: { code, message: UNANSWERED[code], retryable: true } };
}

const UNANSWERED = {
  callback_missing: 'the vendor took this item and did not call back in time; whether it took effect is not known',
  vendor_pending:
    'the vendor took this item, did not call back in time, and could not say what became of it when asked',
} as const;

const OUTAGE: ReadonlySet<string> = new Set([
  'vendor_unreachable',
  'vendor_unavailable',
  'vendor_timeout',
  'vendor_reset',
]);

export function judge(plan: Plan, trial: Trial, applied: Applied, nowMs: number, vendorDown: boolean): Verdict {
  const { attempts } = trial;
  switch (applied.kind) {
    case 'succeeded':
      return { kind: 'decided', decision: { outcome: 'succeeded', attempts, result: applied.result } };
    case 'skipped':
      return { kind: 'decided', decision: { outcome: 'skipped', attempts, ...skippedBecause(applied) } };
    case 'failed':
      return { kind: 'decided', decision: { outcome: 'failed', attempts, error: applied.error } };
    case 'transient':
      return judgeTransient(plan, trial, applied, nowMs, vendorDown);
  }
}

function skippedBecause({ reason, duplicateOf }: Extract<Applied, { kind: 'skipped' }>) {
  return duplicateOf === undefined ? { reason } : { reason, duplicateOf };
}

function judgeTransient(plan: Plan, trial: Trial, applied: Transient, nowMs: number, vendorDown: boolean): Verdict {
  const { code, message } = applied;
  // While the vendor is down, silence and 503 say nothing about the item (DESIGN §5); an answered 500 still does, or
  // items that always fail could keep a vendor closed for ever.
  const counted = trial.counted + (applied.counts && !(vendorDown && OUTAGE.has(code)) ? 1 : 0);
  const doubt = trial.doubt || applied.doubt;
  const error = { code, message, retryable: true };
  const { attempts } = trial;
  if (applied.doubt && plan.onDoubt === 'unknown') {
    return { kind: 'decided', decision: { outcome: 'unknown', attempts, error } };
  }
  const final = counted >= plan.retry.maximumAttempts || plan.retry.nonRetryableCodes.includes(code);
  if (!final)
    return {
      kind: 'again',
      dueMs: nowMs + delayMs(plan.retry, IN_FLIGHT.has(code) ? attempts : counted, applied),
      counted,
      doubt,
    };
  // An attempt that nobody answered may have had its effect, whatever was said later.
  const outcome = doubt ? 'unknown' : 'failed';
  return { kind: 'decided', decision: { outcome, attempts, error } };
}

/** Exponential with ±20 % jitter; a longer `Retry-After` wins. */
function delayMs(retry: RetryPolicy, tries: number, { retryAfterMs }: Transient): number {
  const exponent = Math.min(Math.max(tries - 1, 0), 40);
  const backoff = Math.min(retry.maximumIntervalMs, retry.initialIntervalMs * retry.backoffCoefficient ** exponent);
  return Math.max(backoff * (0.8 + 0.4 * Math.random()), retryAfterMs ?? 0);
}
