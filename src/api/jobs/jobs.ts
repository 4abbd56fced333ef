/** The surface of the job system that Tranche replaces: one payload for one vendor, under an id that is always a UUID. */
import { createHash, randomUUID } from 'node:crypto';
import { Readable } from 'node:stream';
import { TrancheError } from '../../model/errors.ts';
import type { JobView } from '../../operations/operations.ts';
import type { ApiApp, ApiContext, AppDeps } from '../context.ts';
import { readIdempotencyKey } from '../idempotency-key.ts';
import { matchesEntityTag, statusHeaders } from '../render.ts';
import { addRoute, type Handler, needs } from '../routes.ts';
import { readSmallBody } from '../small-body.ts';
import { acceptedHeaders, submit } from '../submit.ts';
import { readJobRequest } from './job-request.ts';

/** The payload may be as large as an item; its envelope takes little. */
const BODY_BYTES_MAX = 1024 * 1024 + 4_096;
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[1-8][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

export function addJobs(app: ApiApp, deps: AppDeps): void {
  addRoute(app, '/jobs', { POST: needs('submit', submitHandler(deps)) });
  addRoute(app, '/jobs/:id', { GET: needs('read', getHandler(deps)) });
}

function submitHandler(deps: AppDeps): Handler {
  return async (c) => {
    requireJson(c);
    const key = readIdempotencyKey(c.req.header('Idempotency-Key'));
    const { vendor, payload } = readJobRequest(await readSmallBody(c, BODY_BYTES_MAX));
    const requestId = key === null ? randomUUID() : uuidOf(c.get('account'), key);
    const accepted = await submit(c, deps, {
      surface: 'jobs',
      id: requestId,
      target: vendor,
      keylessReplayWindowMs: 0,
      policy: {},
      metadata: {},
      payload: Readable.from([Buffer.from(`[${payload}]`)]),
    });
    const headers = acceptedHeaders(c, deps, { ...accepted, statusPath: `/jobs/${requestId}` });
    return c.json({ request_id: requestId }, 202, headers);
  };
}

function requireJson(c: ApiContext): void {
  const mediaType = c.req.header('Content-Type')?.split(';', 1)[0]?.trim().toLowerCase();
  if (mediaType === 'application/json') return;
  throw new TrancheError('unsupported_media_type', 'Send the job as application/json.', {
    allowed: ['application/json'],
  });
}

/** RFC 9562 version 8: a name-based UUID, so that a key finds its job for ever. */
export function uuidOf(account: string, key: string): string {
  const bytes = createHash('sha256').update(`tranche.job\0${account}\0${key}`).digest();
  bytes.writeUInt8((bytes.readUInt8(6) & 0x0f) | 0x80, 6);
  bytes.writeUInt8((bytes.readUInt8(8) & 0x3f) | 0x80, 8);
  const hex = bytes.toString('hex', 0, 16);
  return [0, 8, 12, 16, 20].map((start, i, starts) => hex.slice(start, starts[i + 1] ?? 32)).join('-');
}

function getHandler(deps: AppDeps): Handler {
  return async (c) => {
    const id = (c.req.param('id') ?? '').toLowerCase();
    if (!UUID.test(id)) throw new TrancheError('not_found', 'There is no such job.');
    const job = await deps.operations.job(c.get('account'), id);
    const headers = statusHeaders(job.operation);
    if (matchesEntityTag(c.req.header('If-None-Match'), job.operation)) return c.body(null, 304, headers);
    return c.json(render(id, job), 200, headers);
  };
}

/** Numbers of a result stay digit for digit what the vendor sent. */
function render(id: string, { status, result, error }: JobView) {
  return {
    request_id: id,
    status,
    ...(result === undefined ? {} : { result }),
    ...(error === null ? {} : { error: { code: error.code, message: error.message } }),
  };
}
