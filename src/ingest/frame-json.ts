/** Frames JSON: the elements of a top-level array, or of the member `items` or `operations` of a top-level object. */
import { endsLine, type Framer, type ItemWriter } from './framer.ts';
import { createJsonEnvelope } from './json-envelope.ts';
import { createJsonItems } from './json-items.ts';
import { malformed } from './malformed.ts';

/** Where both scanners stand in the payload. */
export interface JsonCursor {
  /** Offset in the payload of the first byte of the buffer being pushed. */
  base: number;
  /** 1-based. */
  line: number;
  /** The byte before the buffer was a CR. */
  afterCr: boolean;
}

/** A scanner takes bytes from `from` and returns where it stopped: at the end of the buffer, or where the other takes over. */
export type JsonScan = (bytes: Buffer, from: number) => number;

export function createJsonFramer(writer: ItemWriter): Framer {
  const cursor: JsonCursor = { base: 0, line: 1, afterCr: false };
  const envelope = createJsonEnvelope(cursor);
  const items = createJsonItems(cursor, writer);

  return {
    push: (bytes, offset) => {
      cursor.base = offset;
      let at = 0;
      while (at < bytes.length) {
        if (envelope.atItems()) {
          at = items.scan(bytes, at);
          if (items.takeClosed()) envelope.itemsClosed();
        } else {
          at = envelope.scan(bytes, at);
        }
      }
      if (bytes.length > 0) cursor.afterCr = bytes[bytes.length - 1] === 0x0d;
    },
    end: (offset) => {
      if (!envelope.isComplete()) throw malformed('the JSON ends before its top-level value does', offset);
    },
    format: () => ({ kind: 'json' }),
  };
}

/** Counts the line break at `at`, if it is one of its own. */
export function countLineBreak(cursor: JsonCursor, bytes: Buffer, at: number): void {
  if (endsLine(bytes, at, cursor.afterCr)) cursor.line++;
}

/** Passes white space and counts its line breaks. */
export function skipWhitespace(cursor: JsonCursor, bytes: Buffer, from: number): number {
  const length = bytes.length;
  let previous = from === 0 ? (cursor.afterCr ? 0x0d : 0) : bytes[from - 1];
  let breaks = 0;
  let at = from;
  for (; at < length; at++) {
    const byte = bytes[at] ?? 0;
    if (byte > 0x20) break;
    if (byte === 0x0a) breaks += previous === 0x0d ? 0 : 1;
    else if (byte === 0x0d) breaks++;
    else if (byte !== 0x20 && byte !== 0x09) break;
    previous = byte;
  }
  cursor.line += breaks;
  return at;
}

export interface StringScanner {
  /** Scans from within a string; `isClosed` tells whether its closing quote was passed. */
  scan(bytes: Buffer, from: number): number;
  isClosed(): boolean;
}

/** Scans JSON strings that may be cut anywhere, within an escape too. */
export function createStringScanner(cursor: JsonCursor): StringScanner {
  let escaped = false;
  let closed = false;

  return {
    scan: (bytes, from) => {
      const length = bytes.length;
      let at = from;
      closed = false;
      if (escaped && at < length) {
        escaped = false;
        if (isQuoteOrBackslash(bytes[at])) at++;
      }
      for (; at < length; at++) {
        const byte = bytes[at] ?? 0;
        if (byte > 0x22 && byte !== 0x5c) continue;
        if (byte === 0x22) {
          closed = true;
          return at + 1;
        }
        if (byte === 0x5c) {
          if (at + 1 === length) escaped = true;
          else if (isQuoteOrBackslash(bytes[at + 1])) at++;
        } else if (byte === 0x0a || byte === 0x0d) {
          countLineBreak(cursor, bytes, at);
        }
      }
      return at;
    },
    isClosed: () => closed,
  };
}

/** Of what an escape can hide, only these two matter; a raw line break behind a backslash is still one. */
function isQuoteOrBackslash(byte: number | undefined): boolean {
  return byte === 0x22 || byte === 0x5c;
}
