/** What both JSON scanners share: where they stand, lines, white space and strings. */
import { endsLine } from './framer.ts';

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
