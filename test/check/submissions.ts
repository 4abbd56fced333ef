/** What a client submits: by which door it goes in, and the facts of it that a history keeps. */
import { createHash } from 'node:crypto';
import type { Readable } from 'node:stream';
import type { Submitted } from './history.ts';

export interface Submission {
  readonly surface?: Submitted['surface'];
  readonly target: string;
  readonly key: string | null;
  readonly items: number;
  readonly body: string | Buffer | Readable;
  /** Media type; default by surface. */
  readonly type?: string;
  /** What makes two bodies the same request; default: a hash of the body, which then must be no stream. */
  readonly payload?: string;
  /** Query of `/v1/operations` beside the target. */
  readonly query?: Readonly<Record<string, string>>;
  readonly scheduledAtMs?: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal;
}

const DOORS: Readonly<Record<Submitted['surface'], { readonly path: string; readonly type: string }>> = {
  v1: { path: '/v1/operations', type: 'application/x-ndjson' },
  'product-bulk': { path: '/product/bulk', type: 'application/json' },
  'bulk-actions': { path: '/bulk-actions', type: 'multipart/form-data' },
  jobs: { path: '/jobs', type: 'application/json' },
};

export function doorOf({ surface = 'v1', target, query = {} }: Submission): {
  readonly path: string;
  readonly type: string;
} {
  const door = DOORS[surface];
  if (surface !== 'v1') return door;
  return { ...door, path: `${door.path}?${new URLSearchParams({ target, ...query })}` };
}

export function factsOf(submission: Submission): Submitted {
  const { surface = 'v1', target, key, items, body, query = {}, scheduledAtMs = null } = submission;
  const bytes = typeof body === 'string' || Buffer.isBuffer(body) ? body : '';
  const hash = createHash('sha256')
    .update(JSON.stringify([surface, target, query]))
    .update(bytes);
  const mayStopItself = Object.keys(query).some((name) => /^maxFailure|^deadline/.test(name));
  const payload = submission.payload ?? hash.digest('hex').slice(0, 16);
  return { surface, target, key, items, scheduledAtMs, payload, mayStopItself };
}
