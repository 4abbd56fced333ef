/** Frames NDJSON: one item a line, ended by LF, CRLF or a lone CR; blank lines count as lines and are no items. */
import { CR, type Framer, type ItemWriter, LF } from './framer.ts';

const TAB = 0x09;
const SPACE = 0x20;

export function createLineFramer(writer: ItemWriter): Framer {
  let line = 1;
  /** The byte before was a CR: an LF now belongs to it. */
  let afterCr = false;
  /** A line is begun; `blank` while nothing but spaces and tabs was seen in it. */
  let open = false;
  let blank = true;
  let lfAt = -1;
  let crAt = -1;

  const lineEnd = (bytes: Buffer, from: number): number => {
    if (lfAt < from) lfAt = indexOrEnd(bytes, LF, from);
    if (crAt < from) crAt = indexOrEnd(bytes, CR, from);
    return Math.min(lfAt, crAt);
  };

  /** Passes line ends; returns where a line begins, or the length. */
  const skipLineEnds = (bytes: Buffer, from: number): number => {
    const length = bytes.length;
    let previous = afterCr ? CR : LF;
    let ends = 0;
    let at = from;
    for (; at < length; at++) {
      const byte = bytes[at] ?? 0;
      if (byte === LF) ends += previous === CR ? 0 : 1;
      else if (byte === CR) ends++;
      else break;
      previous = byte;
    }
    line += ends;
    afterCr = at === length && previous === CR;
    return at;
  };

  const close = () => {
    if (blank) writer.drop();
    else writer.finish();
    open = false;
  };

  return {
    push: (bytes) => {
      lfAt = -1;
      crAt = -1;
      let at = 0;
      while (at < bytes.length) {
        if (!open) {
          at = skipLineEnds(bytes, at);
          if (at === bytes.length) return;
          open = true;
          blank = true;
          writer.begin(line);
        }
        const end = lineEnd(bytes, at);
        if (blank) blank = isBlank(bytes, at, end);
        writer.append(bytes, at, end);
        at = end;
        if (end < bytes.length) close();
      }
    },
    end: () => {
      if (open) close();
    },
    format: () => ({ kind: 'json' }),
  };
}

function indexOrEnd(bytes: Buffer, byte: number, from: number): number {
  const found = bytes.indexOf(byte, from);
  return found === -1 ? bytes.length : found;
}

function isBlank(bytes: Buffer, start: number, end: number): boolean {
  for (let at = start; at < end; at++) if (bytes[at] !== SPACE && bytes[at] !== TAB) return false;
  return true;
}
