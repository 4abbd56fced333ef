/** Hands any JSON value to a vendor as a job: `sync` answers with the result, `async` takes it and calls back. */
import { z } from 'zod';
import type { Applied, ItemError, Submitted } from '../model/outcome.ts';
import type { NotCalled, VendorAnswer } from '../vendors/vendor.ts';
import { digitsOf, memberOf, parseExact } from './exact-json.ts';
import { defineTarget, type Polled } from './target.ts';

/** The item is the payload: any JSON value, sent on digit for digit. */
const Payload = z.unknown();

const RULES = { item: Payload, guarantee: 'idempotent', onDoubt: 'resend' } as const;

export const sync = defineTarget({
  name: 'sync',
  ...RULES,
  vendor: 'sync',
  plan: { sliceConcurrency: 50 },
  async applyOne({ exact, idempotencyKey }, context) {
    const body = JSON.stringify({ payload: exact });
    const answer = await context.vendor({ method: 'POST', path: '/jobs', idempotencyKey, body });
    if (answer.kind !== 'answer') return answer;
    if (answer.status >= 300) return refused(answer);
    return succeeded(memberOf(parsedOrNull(answer.body), 'result'));
  },
});

export const async = defineTarget({
  name: 'async',
  ...RULES,
  vendor: 'async',
  plan: { sliceConcurrency: 50 },
  async submit(item, context): Promise<Submitted | Applied | NotCalled> {
    const { exact, idempotencyKey } = item;
    const body = JSON.stringify({ payload: exact, callbackUrl: context.callbackUrl(item) });
    const answer = await context.vendor({ method: 'POST', path: '/jobs', idempotencyKey, body });
    if (answer.kind !== 'answer') return answer;
    if (answer.status >= 300) return refused(answer);
    return { kind: 'submitted', vendorRef: refOf(parsedOrNull(answer.body)) };
  },
  readCallback: (body) => readJob(body) ?? unreadable,
  async poll(vendorRef, { idempotencyKey }, context): Promise<Polled> {
    const path = `/jobs/${encodeURIComponent(vendorRef)}`;
    // A key of its own: under the job's the vendor would repeat what it said when it took the job.
    const request = { method: 'GET', path, idempotencyKey: `${idempotencyKey}:poll`, body: null } as const;
    const answer = await context.vendor(request);
    if (answer.kind !== 'answer') return answer;
    // It cannot say: what became of the job is not known, which is not to say that it failed.
    if (answer.status >= 300) return { kind: 'pending' };
    return readJob(parsedOrNull(answer.body)) ?? { kind: 'pending' };
  },
});

/** What the vendor calls the job. */
function refOf(answer: unknown): string | null {
  const id = memberOf(answer, 'id');
  const text = typeof id === 'string' ? id : digitsOf(id);
  return text !== null && canBeSegment(text) ? text : null;
}

/** `.` and `..` would name another resource, and half a surrogate pair cannot be encoded. */
function canBeSegment(text: string): boolean {
  return text !== '' && text !== '.' && text !== '..' && text.length <= REF_CHARS_MAX && text.isWellFormed();
}

/** Null where the job has not ended, or the vendor says nothing that we know. */
function readJob(job: unknown): Extract<Applied, { kind: 'succeeded' | 'failed' }> | null {
  const status = memberOf(job, 'status');
  if (status === 'complete') return succeeded(memberOf(job, 'result'));
  if (status !== 'failed') return null;
  const said = saidBy(memberOf(job, 'error'));
  const message = said === '' ? 'the vendor says that the job failed' : `the vendor says that the job failed: ${said}`;
  return { kind: 'failed', error: { code: 'vendor_job_failed', message, retryable: true } };
}

const unreadable = {
  kind: 'failed',
  error: {
    code: 'callback_invalid',
    message: 'the vendor called back with something else than a result',
    retryable: true,
  },
} as const satisfies { kind: 'failed'; error: ItemError };

function succeeded(result: unknown): { readonly kind: 'succeeded'; readonly result?: unknown } {
  return result === undefined ? { kind: 'succeeded' } : { kind: 'succeeded', result };
}

function refused({ status, body }: VendorAnswer): Applied {
  const answer = parsedOrNull(body);
  const said = saidBy(memberOf(answer, 'error') ?? answer);
  const message = said === '' ? `vendor answered ${status}` : `vendor answered ${status}: ${said}`;
  return { kind: 'failed', error: { code: 'vendor_rejected', message, retryable: false } };
}

const REF_CHARS_MAX = 512;
const SAID_CHARS_MAX = 200;

function saidBy(error: unknown): string {
  const candidates = [error, memberOf(error, 'message'), memberOf(error, 'detail'), memberOf(error, 'title')];
  const reason = candidates.find((candidate) => typeof candidate === 'string') ?? '';
  return reason.replace(/\s+/g, ' ').trim().slice(0, SAID_CHARS_MAX);
}

function parsedOrNull(body: string): unknown {
  try {
    return parseExact(body).exact;
  } catch {
    return null;
  }
}
