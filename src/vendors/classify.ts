/** Says what a vendor's answer, or the lack of one, means for the item: definite, or an attempt that may be repeated. */
import type { Transient } from '../model/outcome.ts';
import type { VendorAnswer } from './vendor.ts';

/** A vendor that asks for more is asked again after this. */
export const RETRY_AFTER_MAX_MS = 3_600_000;

/** `retryAfter` is the header as it came; `now` is epoch ms (for a Retry-After that names a date). */
export function classifyAnswer(
  status: number,
  retryAfter: string | undefined,
  body: string,
  now: number,
): VendorAnswer | Transient {
  if (status < 400 || isDefinite(status, body)) return { kind: 'answer', status, body };
  const retryAfterMs = parseRetryAfter(retryAfter, now);
  return {
    kind: 'transient',
    message: `vendor answered ${status}`,
    ...meaningOf(status),
    ...(retryAfterMs === null ? {} : { retryAfterMs }),
  };
}

function isDefinite(status: number, body: string): boolean {
  if (status >= 500) return false;
  if (status === 409) return !isKeyInUse(body);
  return status !== 408 && status !== 425 && status !== 429;
}

/** Who answers 500 was reached and says that it failed; 502 and 504 come from a proxy that does not know. */
function meaningOf(status: number): Pick<Transient, 'code' | 'doubt' | 'counts'> {
  if (status === 429) return { code: 'vendor_rate_limited', doubt: false, counts: false };
  if (status === 503) return { code: 'vendor_unavailable', doubt: false, counts: true };
  if (status === 408) return { code: 'vendor_request_timeout', doubt: false, counts: true };
  // These two say that the first call under the key still runs: waiting for it is no attempt.
  if (status === 425) return { code: 'vendor_too_early', doubt: false, counts: false };
  if (status === 409) return { code: 'vendor_key_in_use', doubt: true, counts: false };
  return { code: 'vendor_error', doubt: status !== 500, counts: true };
}

/**
 * A 409 is final unless it says that an earlier call with this key still runs: Stripe's `idempotency_key_in_use` and
 * its type `idempotency_error` (its 409 is never anything else), and the like names of others.
 */
const KEY_IN_USE = /idempotency[-_](key[-_]in[-_](use|flight|progress)|request[-_]in[-_]progress|error|concurrent)/i;

function isKeyInUse(body: string): boolean {
  const answer = parseObject(body);
  if (answer === null) return false;
  const error = isObject(answer['error']) ? answer['error'] : answer;
  const names = [answer['code'], answer['type'], answer['error'], error['code'], error['type']];
  return names.some((name) => typeof name === 'string' && KEY_IN_USE.test(name));
}

/** Seconds or an HTTP date → ms from `now`, at most an hour; null where there is none or it cannot be read. */
export function parseRetryAfter(value: string | undefined, now: number): number | null {
  if (value === undefined) return null;
  const text = value.trim();
  const ms = /^\d+(\.\d+)?$/.test(text) ? Number(text) * 1000 : Date.parse(text) - now;
  return Number.isNaN(ms) ? null : Math.min(Math.max(0, Math.ceil(ms)), RETRY_AFTER_MAX_MS);
}

/** `sent`: bytes of the call may have gone out. Where they cannot have, the vendor was never reached. */
export function classifyFailure(error: unknown, sent: boolean): Transient {
  const code = codeOf(error);
  if (code === 'UND_ERR_DESTROYED' || code === 'UND_ERR_CLOSED') return abortedCall(sent);
  if (code === 'UND_ERR_INVALID_ARG') {
    const message = 'the call could not be written as an HTTP request';
    return { kind: 'transient', code: 'vendor_request_invalid', message, doubt: false, counts: true };
  }
  if (!sent) return unreachable(code);
  if (TIMED_OUT.has(code)) return timedOut();
  const message = `connection lost before the vendor answered (${code})`;
  return { kind: 'transient', code: 'vendor_reset', message, doubt: true, counts: true };
}

const TIMED_OUT: ReadonlySet<string> = new Set(['ETIMEDOUT', 'UND_ERR_HEADERS_TIMEOUT', 'UND_ERR_BODY_TIMEOUT']);

export function timedOut(): Transient {
  const message = 'vendor did not answer in time';
  return { kind: 'transient', code: 'vendor_timeout', message, doubt: true, counts: true };
}

/** No connection came about (`why`: an error code): that says nothing about the item. */
export function unreachable(why: string): Transient {
  const message = `vendor could not be reached (${why})`;
  return { kind: 'transient', code: 'vendor_unreachable', message, doubt: false, counts: false };
}

/** We gave the call up ourselves; `sent` calls may have had their effect. */
export function abortedCall(sent: boolean): Transient {
  const message = 'the call was given up before the vendor answered';
  return { kind: 'transient', code: 'aborted', message, doubt: sent, counts: false };
}

/** Node reports a host with several addresses as an AggregateError that carries the code itself. */
function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : 'unknown';
}

function parseObject(body: string): Readonly<Record<string, unknown>> | null {
  try {
    const value: unknown = JSON.parse(body);
    return isObject(value) ? value : null;
  } catch {
    return null;
  }
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null;
}
