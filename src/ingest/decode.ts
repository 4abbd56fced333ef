/** Takes the content coding off the body, and stops a body that is over its quota as soon as it is over. */
import { pipeline } from 'node:stream';
import { createGunzip } from 'node:zlib';
import { isTrancheError, TrancheError } from '../model/errors.ts';
import { malformed } from './malformed.ts';

const INFLATED_BYTES = 64 * 1024;
/** gzip reaches 1,000 with nothing but repetition; items that differ at all stay far below. */
const RATIO_MAX = 200;
/** So much may be inflated from anything, or a small body of like items would be refused. */
const FREE_BYTES = 64 * 1024 * 1024;

export interface Decoder {
  readonly bytes: AsyncGenerator<Buffer>;
  /** Decoded bytes handed out so far. */
  decodedBytes(): number;
}

export function createDecoder(
  source: AsyncIterable<Buffer>,
  coding: 'identity' | 'gzip',
  bytesMax: number | null,
): Decoder {
  let decoded = 0;
  const inflated = coding === 'gzip' ? inflate(source, () => decoded) : source;

  async function* withinQuota(): AsyncGenerator<Buffer> {
    for await (const bytes of inflated) {
      decoded += bytes.length;
      if (bytesMax !== null && decoded > bytesMax) throw tooLarge(bytesMax);
      yield bytes;
    }
  }
  return { bytes: withinQuota(), decodedBytes: () => decoded };
}

/** Concatenated members are legal (RFC 1952); anything else behind a member is not. */
async function* inflate(source: AsyncIterable<Buffer>, offset: () => number): AsyncGenerator<Buffer> {
  const gunzip = createGunzip({ chunkSize: INFLATED_BYTES });
  let fed = 0;
  async function* feed(): AsyncGenerator<Buffer> {
    for await (const bytes of source) {
      fed += bytes.length;
      yield bytes;
    }
  }
  // Whatever fails in here destroys the gunzip with that error, so the loop below throws it.
  pipeline(feed, gunzip, () => {});
  try {
    for await (const bytes of gunzip as AsyncIterable<Buffer>) {
      if (offset() > FREE_BYTES && offset() > fed * RATIO_MAX) throw tooDense();
      yield bytes;
    }
  } catch (cause) {
    if (isTrancheError(cause)) throw cause;
    throw malformed(`the gzip stream is damaged or cut off (${messageOf(cause)})`, offset(), cause);
  } finally {
    gunzip.destroy();
  }
  // zlib takes zero bytes behind a member for padding and ends without reading on.
  if (gunzip.bytesWritten !== fed) throw malformed('the gzip stream has other bytes behind its end', offset());
}

function messageOf(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause);
}

function tooDense(): TrancheError {
  const message = `the body inflates to more than ${RATIO_MAX} times its size, send it without gzip`;
  return new TrancheError('content_too_large', message, { limit: RATIO_MAX, unit: 'times' });
}

function tooLarge(bytesMax: number): TrancheError {
  return new TrancheError('content_too_large', `the decoded body is larger than ${bytesMax} bytes, split it`, {
    limit: bytesMax,
    unit: 'bytes',
  });
}
