/** Finds the elements of the items array: strings and brackets are tracked, the rest of an item is its slice's business. */
import { ITEM_DEPTH_MAX } from '../model/limits.ts';
import type { ItemWriter } from './framer.ts';
import { countLineBreak, createStringScanner, type JsonCursor, type JsonScan, skipWhitespace } from './json-cursor.ts';
import { malformed } from './malformed.ts';

export interface JsonItems {
  /** Begins behind the array's opening bracket, stops behind its closing one. */
  readonly scan: JsonScan;
  /** True once after the array was closed. */
  takeClosed(): boolean;
}

/** Where the scan is: before the first element, before a next one, within a string, brackets or a scalar, behind an element. */
type Place = 'first' | 'next' | 'string' | 'brackets' | 'scalar' | 'behind' | 'closed';

const COMMA = 0x2c;
const QUOTE = 0x22;
const OPEN_ARRAY = 0x5b;
const CLOSE_ARRAY = 0x5d;
const OPEN_OBJECT = 0x7b;
const CLOSE_OBJECT = 0x7d;

export function createJsonItems(cursor: JsonCursor, writer: ItemWriter): JsonItems {
  const string = createStringScanner(cursor);
  /** Opening brackets by depth; those beyond the limit are only counted. */
  const opened = new Uint8Array(ITEM_DEPTH_MAX);
  let place: Place = 'first';
  let depth = 0;
  /** Where the open item's bytes begin in the buffer at hand. */
  let start = 0;

  const finish = (bytes: Buffer, end: number): number => {
    writer.append(bytes, start, end);
    writer.finish();
    place = 'behind';
    return end;
  };

  const open = (bracket: number) => {
    if (depth < ITEM_DEPTH_MAX) opened[depth] = bracket;
    else if (depth === ITEM_DEPTH_MAX) writer.fail('item_too_deep', `the item is nested deeper than ${ITEM_DEPTH_MAX}`);
    depth++;
  };

  /** In ASCII a closing bracket is its opening one plus two. */
  const close = (bracket: number, at: number) => {
    depth--;
    if (depth < ITEM_DEPTH_MAX && opened[depth] !== bracket - 2) {
      throw malformed(`"${String.fromCharCode(bracket)}" closes another kind of bracket`, cursor.base + at);
    }
  };

  const before = (bytes: Buffer, from: number): number => {
    const at = skipWhitespace(cursor, bytes, from);
    if (at === bytes.length) return at;
    const byte = bytes[at] ?? 0;
    if (byte === CLOSE_ARRAY && place === 'first') return closeItems(at);
    if (byte === COMMA || byte === CLOSE_ARRAY || byte === CLOSE_OBJECT || byte === 0x3a) {
      throw malformed(`an item is missing before "${String.fromCharCode(byte)}"`, cursor.base + at);
    }
    start = at;
    writer.begin(cursor.line);
    if (byte === QUOTE) {
      place = 'string';
      return at + 1;
    }
    place = byte === OPEN_ARRAY || byte === OPEN_OBJECT ? 'brackets' : 'scalar';
    return at;
  };

  const inString = (bytes: Buffer, from: number): number => {
    const at = string.scan(bytes, from);
    if (!string.isClosed()) return at;
    if (depth === 0) return finish(bytes, at);
    place = 'brackets';
    return at;
  };

  const inBrackets = (bytes: Buffer, from: number): number => {
    const length = bytes.length;
    for (let at = from; at < length; at++) {
      const byte = bytes[at] ?? 0;
      // `| 32` folds both kinds of brackets to 0x7b and 0x7d: two compares pass nearly every byte.
      if (byte > QUOTE && (byte | 32) < OPEN_OBJECT) continue;
      if (byte === QUOTE) {
        const closing = plainStringEnd(bytes, at + 1);
        if (closing === -1) {
          place = 'string';
          return at + 1;
        }
        at = closing;
      } else if (byte === OPEN_OBJECT || byte === OPEN_ARRAY) open(byte);
      else if (byte === CLOSE_OBJECT || byte === CLOSE_ARRAY) {
        close(byte, at);
        if (depth === 0) return finish(bytes, at + 1);
      } else if (byte === 0x0a || byte === 0x0d) countLineBreak(cursor, bytes, at);
    }
    return length;
  };

  const inScalar = (bytes: Buffer, from: number): number => {
    for (let at = from; at < bytes.length; at++) {
      const byte = bytes[at] ?? 0;
      if (byte === COMMA || byte === CLOSE_ARRAY || isWhitespace(byte)) return finish(bytes, at);
      if (byte === QUOTE || byte === 0x3a || byte === OPEN_ARRAY || byte === OPEN_OBJECT || byte === CLOSE_OBJECT) {
        throw malformed(`"${String.fromCharCode(byte)}" stands where a comma or "]" is expected`, cursor.base + at);
      }
    }
    return bytes.length;
  };

  const behind = (bytes: Buffer, from: number): number => {
    const at = skipWhitespace(cursor, bytes, from);
    if (at === bytes.length) return at;
    if (bytes[at] === CLOSE_ARRAY) return closeItems(at);
    if (bytes[at] !== COMMA) throw malformed('a comma or "]" is missing behind an item', cursor.base + at);
    place = 'next';
    return at + 1;
  };

  const closeItems = (at: number): number => {
    place = 'closed';
    return at + 1;
  };

  const step = (bytes: Buffer, at: number): number => {
    if (place === 'brackets') return inBrackets(bytes, at);
    if (place === 'behind') return behind(bytes, at);
    if (place === 'string') return inString(bytes, at);
    if (place === 'scalar') return inScalar(bytes, at);
    return before(bytes, at);
  };

  return {
    scan: (bytes, from) => {
      start = from;
      let at = from;
      while (at < bytes.length && place !== 'closed') at = step(bytes, at);
      if (place === 'string' || place === 'brackets' || place === 'scalar') writer.append(bytes, start, bytes.length);
      return at;
    },
    takeClosed: () => {
      const closed = place === 'closed';
      if (closed) place = 'first';
      return closed;
    },
  };
}

/** The closing quote of a string without escapes and control characters that ends in this buffer; -1 for any other. */
function plainStringEnd(bytes: Buffer, from: number): number {
  const length = bytes.length;
  for (let at = from; at < length; at++) {
    const byte = bytes[at] ?? 0;
    if (byte > QUOTE && byte !== 0x5c) continue;
    if (byte === QUOTE) return at;
    if (byte < 0x20 || byte === 0x5c) return -1;
  }
  return -1;
}

function isWhitespace(byte: number): boolean {
  return byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09;
}
