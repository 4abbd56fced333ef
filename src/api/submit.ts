/** The step from a request to an accepted operation, the same for every surface. */
import type { Readable } from 'node:stream';
import type { Surface } from '../model/operation.ts';
import type { SubmitFields } from '../model/submit-fields.ts';
import type { Operations, SubmitRequest } from '../operations/operations.ts';
import type { ApiContext, AppDeps } from './context.ts';
import { readIdempotencyKey } from './idempotency-key.ts';
import { rateLimitHeaders } from './rate-limit-headers.ts';
import { absoluteUrl, retryAfterSeconds } from './render.ts';
import { requestBody } from './request-body.ts';

export interface Submission {
  readonly surface: Surface;
  readonly target: string | null;
  readonly keylessReplayWindowMs: number;
  readonly policy: SubmitFields['policy'];
  readonly scheduledAt?: string | null;
  readonly id?: string;
  readonly itemsMax?: number | null;
  readonly intake?: SubmitRequest['intake'];
  readonly readFields?: SubmitRequest['readFields'];
  /** What the surface took out of the request's body, as JSON; absent = the body as it comes. */
  readonly payload?: Readable;
  readonly metadata: Readonly<Record<string, unknown>>;
}

export type Accepted = Awaited<ReturnType<Operations['submit']>>;

/** Resolves when the operation is kept. The body goes to the verb unread: no parser of Hono's sees it. */
export async function submit(
  c: ApiContext,
  deps: Pick<AppDeps, 'operations'>,
  submission: Submission,
): Promise<Accepted> {
  const key = readIdempotencyKey(c.req.header('Idempotency-Key'));
  const body = submission.payload ?? requestBody(c);
  try {
    const { readFields, intake, payload, ...rest } = submission;
    return await deps.operations.submit({
      id: null,
      scheduledAt: null,
      itemsMax: null,
      ...rest,
      ...(readFields === undefined ? {} : { readFields }),
      ...(intake === undefined ? {} : { intake }),
      account: c.get('account'),
      key,
      body,
      contentType: payload === undefined ? (c.req.header('Content-Type') ?? null) : 'application/json',
      contentEncoding: payload === undefined ? (c.req.header('Content-Encoding') ?? null) : null,
      submittedBy: c.get('caller').subject,
      traceId: c.get('traceId'),
      signal: c.req.raw.signal,
    });
  } finally {
    body.destroy();
  }
}

/** The headers of a 202: where it is, when to look, whether this request was the first. */
export function acceptedHeaders(
  c: ApiContext,
  deps: Pick<AppDeps, 'publicUrl'>,
  accepted: Accepted & { readonly statusPath: string },
): Record<string, string> {
  return {
    Location: absoluteUrl(c, accepted.statusPath, deps.publicUrl),
    'Retry-After': String(retryAfterSeconds(accepted.operation) ?? 1),
    ...rateLimitHeaders(accepted.limits ?? []),
    ...(accepted.replayed ? { 'Idempotent-Replayed': 'true' } : {}),
  };
}
