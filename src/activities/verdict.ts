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

/** Codes of calls that nobody answered: after the last of them nobody can tell what became of the item. */
const UNANSWERED: ReadonlySet<string> = new Set(['vendor_timeout', 'vendor_reset', 'aborted']);

export function judge(plan: Plan, trial: Trial, applied: Applied, nowMs: number, vendorDown: boolean): Verdict {
  const { attempts } = trial;
  switch (applied.kind) {
    case 'succeeded':
      return { kind: 'decided', decision: { outcome: 'succeeded', attempts, result: applied.result } };
    case 'skipped':
      return { kind: 'decided', decision: { outcome: 'skipped', attempts, reason: applied.reason } };
    case 'failed':
      return { kind: 'decided', decision: { outcome: 'failed', attempts, error: applied.error } };
    case 'transient':
      return judgeTransient(plan, trial, applied, nowMs, vendorDown);
  }
}

function judgeTransient(plan: Plan, trial: Trial, applied: Transient, nowMs: number, vendorDown: boolean): Verdict {
  const { code, message } = applied;
  // While the vendor is down an attempt says nothing about the item (DESIGN §5).
  const counted = trial.counted + (applied.counts && !vendorDown ? 1 : 0);
  const doubt = trial.doubt || applied.doubt;
  const error = { code, message, retryable: true };
  const { attempts } = trial;
  if (applied.doubt && plan.onDoubt === 'unknown') {
    return { kind: 'decided', decision: { outcome: 'unknown', attempts, error } };
  }
  const final = counted >= plan.retry.maximumAttempts || plan.retry.nonRetryableCodes.includes(code);
  if (!final) return { kind: 'again', dueMs: nowMs + delayMs(plan.retry, counted, applied), counted, doubt };
  const outcome = UNANSWERED.has(code) ? 'unknown' : 'failed';
  return { kind: 'decided', decision: { outcome, attempts, error } };
}

/** Exponential with ±20 % jitter; a longer `Retry-After` wins. */
function delayMs(retry: RetryPolicy, counted: number, { retryAfterMs }: Transient): number {
  const exponent = Math.min(Math.max(counted - 1, 0), 40);
  const backoff = Math.min(retry.maximumIntervalMs, retry.initialIntervalMs * retry.backoffCoefficient ** exponent);
  return Math.max(backoff * (0.8 + 0.4 * Math.random()), retryAfterMs ?? 0);
}
