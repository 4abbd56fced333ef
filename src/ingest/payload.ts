/** The decoded payload on its way to the framer: hashed, counted, its byte order mark taken off, UTF-16 refused. */
import { createHash } from 'node:crypto';
import { TrancheError } from '../model/errors.ts';

/** Bounds what one push can frame, and so how many chunks wait for the sink. */
const PIECE_BYTES_MAX = 64 * 1024;
const HEAD_BYTES = 4;

export interface Piece {
  readonly bytes: Buffer;
  /** Of the first byte, in the decoded payload (a byte order mark counts). */
  readonly offset: number;
}

export interface Payload {
  readonly pieces: AsyncGenerator<Piece>;
  bytes(): number;
  /** Hex; once all pieces were read. */
  sha256(): string;
}

/** The hash is that of the client's file, byte order mark included. */
export function createPayload(source: AsyncIterable<Buffer>, bytesMax: number | null): Payload {
  const hash = createHash('sha256');
  let seen = 0;

  async function* pieces(): AsyncGenerator<Piece> {
    let head: Buffer | null = Buffer.alloc(0);
    for await (const bytes of source) {
      hash.update(bytes);
      seen += bytes.length;
      if (bytesMax !== null && seen > bytesMax) throw tooLarge(bytesMax);
      if (head === null) {
        yield* cut(bytes, seen - bytes.length);
        continue;
      }
      head = Buffer.concat([head, bytes]);
      if (head.length < HEAD_BYTES) continue;
      yield* withoutMark(head);
      head = null;
    }
    if (head !== null) yield* withoutMark(head);
  }
  return { pieces: pieces(), bytes: () => seen, sha256: () => hash.digest('hex') };
}

function tooLarge(bytesMax: number): TrancheError {
  const facts = { limit: bytesMax, unit: 'bytes' };
  return new TrancheError('content_too_large', `the file is larger than ${bytesMax} bytes, split it`, facts);
}

function* withoutMark(head: Buffer): Generator<Piece> {
  const utf16 = (head[0] === 0xff && head[1] === 0xfe) || (head[0] === 0xfe && head[1] === 0xff);
  if (utf16 || head.subarray(0, HEAD_BYTES).includes(0)) {
    throw new TrancheError('unsupported_charset', 'the body is not UTF-8 (it looks like UTF-16), send UTF-8');
  }
  const marked = head[0] === 0xef && head[1] === 0xbb && head[2] === 0xbf;
  yield* marked ? cut(head.subarray(3), 3) : cut(head, 0);
}

function* cut(bytes: Buffer, offset: number): Generator<Piece> {
  if (bytes.length <= PIECE_BYTES_MAX) {
    if (bytes.length > 0) yield { bytes, offset };
    return;
  }
  for (let from = 0; from < bytes.length; from += PIECE_BYTES_MAX) {
    yield { bytes: bytes.subarray(from, from + PIECE_BYTES_MAX), offset: offset + from };
  }
}
