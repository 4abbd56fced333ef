/** Reads the JSON around the items array: checks its grammar, skips other members with constant memory. */
import { ITEM_DEPTH_MAX, MEMBER_NAME_BYTES_MAX } from '../model/limits.ts';
import { createStringScanner, type JsonCursor, type JsonScan, skipWhitespace } from './json-cursor.ts';
import { malformed } from './malformed.ts';

export interface JsonEnvelope {
  /** Stops behind the opening bracket of the items array. */
  readonly scan: JsonScan;
  atItems(): boolean;
  itemsClosed(): void;
  /** The top-level value is closed, or nothing but white space was seen. */
  isComplete(): boolean;
}

/** What is expected next, or what the scan is in the middle of. */
type Place =
  | 'start'
  | 'value'
  | 'value or ]'
  | 'name'
  | 'name or }'
  | 'colon'
  | 'comma or end'
  | 'in name'
  | 'in string'
  | 'in scalar'
  | 'items'
  | 'done';

const QUOTE = 0x22;
const SCALAR_BYTES_MAX = 1_024;
const SCALAR = /^(?:true|false|null|-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?)$/;

export function createJsonEnvelope(cursor: JsonCursor): JsonEnvelope {
  const string = createStringScanner(cursor);
  const name = createCapture(MEMBER_NAME_BYTES_MAX);
  const scalar = createCapture(SCALAR_BYTES_MAX);
  const opened: number[] = [];
  let place: Place = 'start';
  let itemsMember: string | null = null;
  /** The value that comes next is that of `items` or `operations`. */
  let itemsExpected = false;

  const fail = (message: string, at: number) => malformed(message, cursor.base + at);

  const open = (byte: number, at: number) => {
    if (opened.length > ITEM_DEPTH_MAX)
      throw fail(`a member beside the items is nested deeper than ${ITEM_DEPTH_MAX}`, at);
    opened.push(byte);
    place = byte === 0x7b ? 'name or }' : 'value or ]';
  };

  const close = (byte: number, at: number) => {
    if (opened.pop() !== byte - 2) throw fail(`"${String.fromCharCode(byte)}" closes another kind of bracket`, at);
    place = opened.length === 0 ? 'done' : 'comma or end';
  };

  const openTop = (byte: number, at: number) => {
    if (byte === 0x5b) place = 'items';
    else if (byte === 0x7b) open(byte, at);
    else throw fail('the top level must be an array or an object', at);
  };

  const openValue = (byte: number, at: number): number => {
    if (itemsExpected && byte !== 0x5b) throw fail(`member "${itemsMember}" must be an array`, at);
    if (itemsExpected) place = 'items';
    else if (byte === 0x7b || byte === 0x5b) open(byte, at);
    else if (byte === 0x5d && place === 'value or ]') close(byte, at);
    else if (byte === QUOTE) place = 'in string';
    else if (isScalarByte(byte)) {
      place = 'in scalar';
      scalar.reset();
      return at;
    } else throw fail('a value is missing', at);
    itemsExpected = false;
    return at + 1;
  };

  const openName = (byte: number, at: number) => {
    if (byte === 0x7d && place === 'name or }') close(byte, at);
    else if (byte === QUOTE) {
      place = 'in name';
      name.reset();
    } else throw fail('a member name is missing', at);
  };

  const nameRead = (at: number) => {
    place = 'colon';
    if (opened.length > 1) return;
    const text = name.text();
    const unescaped = text === null ? null : unescapeName(text);
    if (unescaped === undefined) throw fail('a member name is no JSON string', at);
    if (unescaped !== 'items' && unescaped !== 'operations') return;
    if (itemsMember === unescaped) throw fail(`member "${unescaped}" is there twice`, at);
    if (itemsMember !== null) throw fail('both members "items" and "operations" are there, send one', at);
    itemsMember = unescaped;
    itemsExpected = true;
  };

  const separate = (byte: number, at: number) => {
    if (byte === 0x2c) place = opened.at(-1) === 0x7b ? 'name' : 'value';
    else if (byte === 0x7d || byte === 0x5d) close(byte, at);
    else throw fail('a comma or a closing bracket is missing', at);
  };

  /** One token's first byte, with white space before it passed. */
  const step = (byte: number, at: number): number => {
    if (place === 'start') openTop(byte, at);
    else if (place === 'value' || place === 'value or ]') return openValue(byte, at);
    else if (place === 'name' || place === 'name or }') openName(byte, at);
    else if (place === 'comma or end') separate(byte, at);
    else if (place === 'colon' && byte === 0x3a) place = 'value';
    else if (place === 'colon') throw fail('a colon is missing behind a member name', at);
    else throw fail('there are other bytes behind the top-level value', at);
    return at + 1;
  };

  const inString = (bytes: Buffer, from: number): number => {
    const at = string.scan(bytes, from);
    if (place === 'in name') name.append(bytes, from, string.isClosed() ? at - 1 : at);
    if (string.isClosed() && place === 'in name') nameRead(at - 1);
    else if (string.isClosed()) place = 'comma or end';
    return at;
  };

  const inScalar = (bytes: Buffer, from: number): number => {
    let at = from;
    while (at < bytes.length && isScalarByte(bytes[at] ?? 0)) at++;
    scalar.append(bytes, from, at);
    if (at === bytes.length) return at;
    if (!SCALAR.test(scalar.text() ?? '')) throw fail('a value is no JSON literal or number', at);
    place = 'comma or end';
    return at;
  };

  return {
    scan: (bytes, from) => {
      let at = from;
      while (at < bytes.length && place !== 'items') {
        if (place === 'in string' || place === 'in name') at = inString(bytes, at);
        else if (place === 'in scalar') at = inScalar(bytes, at);
        else {
          at = skipWhitespace(cursor, bytes, at);
          if (at < bytes.length) at = step(bytes[at] ?? 0, at);
        }
      }
      return at;
    },
    atItems: () => place === 'items',
    itemsClosed: () => {
      place = opened.length === 0 ? 'done' : 'comma or end';
    },
    isComplete: () => place === 'start' || place === 'done',
  };
}

/** Keeps up to `bytesMax` bytes of a token; of a longer one nothing. */
function createCapture(bytesMax: number) {
  const kept = Buffer.allocUnsafe(bytesMax);
  let length = 0;
  return {
    reset: () => {
      length = 0;
    },
    append: (bytes: Buffer, start: number, end: number) => {
      if (length + end - start <= bytesMax) bytes.copy(kept, length, start, end);
      length += end - start;
    },
    text: (): string | null => (length > bytesMax ? null : kept.toString('utf8', 0, length)),
  };
}

/** undefined where the text between the quotes is none that JSON allows. */
function unescapeName(text: string): string | undefined {
  try {
    return String(JSON.parse(`"${text}"`));
  } catch {
    return undefined;
  }
}

/** Letters, digits, `+ - .`: what literals and numbers are made of, and what a misspelt one is. */
function isScalarByte(byte: number): boolean {
  if (byte >= 0x30 && byte <= 0x39) return true;
  if ((byte | 32) >= 0x61 && (byte | 32) <= 0x7a) return true;
  return byte === 0x2b || byte === 0x2d || byte === 0x2e;
}
