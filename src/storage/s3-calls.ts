/** One call to S3 until it has a definite answer: every attempt has a deadline, transient failures are repeated. */
import { setTimeout as sleep } from 'node:timers/promises';

/** An attempt's answer that is neither success nor failure: ask again. */
export const ASK_AGAIN = Symbol('ask again');

export interface CallPolicy {
  /** One attempt, answer body included. */
  readonly attemptTimeoutMs: number;
  readonly attemptsMax: number;
}

const BACKOFF_FIRST_MS = 50;
const BACKOFF_MAX_MS = 2_000;
const TRANSIENT_STATUS = new Set([408, 409, 425, 429, 500, 502, 503, 504]);
/** Answered with 400 or 403 although the same request will be taken when it is signed anew. */
const TRANSIENT_NAMES = new Set(['RequestTimeout', 'RequestTimeTooSkewed', 'ExpiredToken']);

export type Call = <T>(
  what: string,
  attempt: (signal: AbortSignal) => Promise<T | typeof ASK_AGAIN>,
  signal?: AbortSignal,
) => Promise<T>;

/** `what` names the call in the error that is thrown when no attempt brought an answer; its `cause` is the last failure. */
export function createCall(policy: CallPolicy): Call {
  return async (what, attempt, signal) => {
    for (let attempts = 1; ; attempts++) {
      signal?.throwIfAborted();
      const deadline = AbortSignal.timeout(policy.attemptTimeoutMs);
      let failure: unknown = new Error('the store asked to try again');
      try {
        const answer = await attempt(signal === undefined ? deadline : AbortSignal.any([deadline, signal]));
        if (answer !== ASK_AGAIN) return answer;
      } catch (error) {
        signal?.throwIfAborted();
        failure = deadline.aborted ? new Error(`no answer in ${policy.attemptTimeoutMs} ms`, { cause: error }) : error;
        if (!deadline.aborted && !isTransient(error)) throw failed(what, attempts, failure);
      }
      if (attempts >= policy.attemptsMax) throw failed(what, attempts, failure);
      await sleep(backoffMs(attempts), undefined, signal === undefined ? {} : { signal });
    }
  };
}

/** null where no answer came. */
export function statusOf(error: unknown): number | null {
  if (!(error instanceof Error) || !('$metadata' in error)) return null;
  const { httpStatusCode } = error.$metadata as { readonly httpStatusCode?: number };
  return httpStatusCode ?? null;
}

/** Without an answer it was the network, unless there were no credentials to ask with. */
function isTransient(error: unknown): boolean {
  const status = statusOf(error);
  const name = error instanceof Error ? error.name : '';
  if (status === null) return name !== 'CredentialsProviderError';
  return TRANSIENT_STATUS.has(status) || TRANSIENT_NAMES.has(name);
}

/** Full jitter, so that writers who met each other do not meet again. */
function backoffMs(attempts: number): number {
  return Math.random() * Math.min(BACKOFF_MAX_MS, BACKOFF_FIRST_MS * 2 ** attempts);
}

function failed(what: string, attempts: number, cause: unknown): Error {
  const { name, message } = cause instanceof Error ? cause : new Error(String(cause));
  const status = statusOf(cause);
  const reason = [status, name === 'Error' ? '' : name, message].filter(Boolean).join(' ');
  return new Error(`S3 could not ${what} (attempts: ${attempts}): ${reason}`, { cause });
}
