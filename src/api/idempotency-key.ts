/** The client's name for its request: what makes a submission safe to repeat. */
import { TrancheError } from '../model/errors.ts';
import { IDEMPOTENCY_KEY_CHARS_MAX } from '../model/limits.ts';

/** A Structured Field string as the IETF draft wants it: `\` stands only before `"` and `\`. */
const QUOTED = /^"((?:[^"\\]|\\["\\])*)"$/;
const VISIBLE_ASCII = /^[\x21-\x7e]+$/;

/**
 * Takes `"key"` and `key`, which are the same key. null where the header is absent.
 * Two header fields reach us joined by a comma, so a comma outside quotes is a second key: refused, never guessed.
 */
export function readIdempotencyKey(header: string | undefined): string | null {
  if (header === undefined) return null;
  const text = header.trim();
  const quoted = QUOTED.exec(text)?.[1]?.replace(/\\(.)/g, '$1');
  if (quoted === undefined && /[",]/.test(text)) {
    throw invalid('Idempotency-Key must be one key: bare, or in one pair of double quotes');
  }
  const key = quoted ?? text;
  if (key.length > IDEMPOTENCY_KEY_CHARS_MAX || !VISIBLE_ASCII.test(key)) {
    throw invalid(`Idempotency-Key must be 1 to ${IDEMPOTENCY_KEY_CHARS_MAX} visible ASCII characters`);
  }
  return key;
}

function invalid(message: string): TrancheError {
  return new TrancheError('idempotency_key_invalid', message);
}
