/** Tells whether two requests are the same one: target, payload, and what the client asked of it. */
import { createHash } from 'node:crypto';
import type { InputFacts } from '../../model/operation.ts';
import type { SubmitPolicy } from '../operations.ts';

export interface FingerprintParts {
  readonly target: string;
  /** Of the decoded payload: gzip bytes and multipart boundaries do not count. */
  readonly input: InputFacts;
  readonly policy: SubmitPolicy;
  readonly metadata: Readonly<Record<string, unknown>>;
  readonly scheduledAt: string | null;
}

/** SHA-256 (hex). The media type counts, because the same bytes are other items as NDJSON than as JSON. */
export function fingerprintOf({ target, input, policy, metadata, scheduledAt }: FingerprintParts): string {
  const mediaType = (input.mediaType.split(';')[0] ?? '').trim().toLowerCase();
  const asked = scheduledAt === null ? policy : { ...policy, scheduledAt };
  const text = canonicalJson([1, target, mediaType, input.sha256, asked, metadata]);
  return createHash('sha256').update(text, 'utf8').digest('hex');
}

/** JSON with the members of every object in one order. */
export function canonicalJson(value: unknown): string {
  return JSON.stringify(value, (_, member: unknown) => {
    if (member === null || typeof member !== 'object' || Array.isArray(member)) return member;
    const sorted: Record<string, unknown> = Object.create(null);
    for (const [name, inner] of Object.entries(member).sort(byName)) sorted[name] = inner;
    return sorted;
  });
}

function byName([a]: readonly [string, unknown], [b]: readonly [string, unknown]): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
