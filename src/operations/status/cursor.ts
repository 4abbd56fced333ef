/** Where a list goes on: the server's page token behind a versioned, opaque text that fits only the same filter. */
import { createHash } from 'node:crypto';
import { TrancheError } from '../../model/errors.ts';

interface Cursor {
  readonly v: 1;
  /** Page token, base64. */
  readonly t: string;
  /** Of the filter that the token belongs to. */
  readonly f: string;
}

const CURSOR_CHARS_MAX = 4_096;

export function encodeCursor(pageToken: Uint8Array, filter: string): string {
  const cursor: Cursor = { v: 1, t: Buffer.from(pageToken).toString('base64'), f: digest(filter) };
  return Buffer.from(JSON.stringify(cursor)).toString('base64url');
}

/** Throws `malformed_request` for anything that this service did not hand out for this filter. */
export function decodeCursor(text: string, filter: string): Buffer {
  const cursor = text.length > CURSOR_CHARS_MAX ? null : parse(text);
  if (cursor?.f === digest(filter)) return Buffer.from(cursor.t, 'base64');
  throw badCursor();
}

export function badCursor(cause?: unknown): TrancheError {
  const detail = 'cursor must be one that was handed out for the same filter';
  const facts = { errors: [{ code: 'malformed_request', detail, parameter: 'cursor' }] };
  return new TrancheError('malformed_request', detail, facts, { cause });
}

function parse(text: string): Cursor | null {
  try {
    const value: unknown = JSON.parse(Buffer.from(text, 'base64url').toString('utf8'));
    return isCursor(value) ? value : null;
  } catch {
    return null;
  }
}

function isCursor(value: unknown): value is Cursor {
  if (typeof value !== 'object' || value === null) return false;
  return 'v' in value && value.v === 1 && 't' in value && typeof value.t === 'string' && 'f' in value;
}

function digest(filter: string): string {
  return createHash('sha256').update(filter).digest('base64url').slice(0, 12);
}
