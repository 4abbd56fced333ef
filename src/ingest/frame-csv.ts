/** Frames CSV (RFC 4180): the header row first, then one item a row, with line breaks allowed within quotes. */
import type { ItemFormat } from '../model/chunk.ts';
import { createCsvHeader } from './csv-header.ts';
import { CR, endsLine, type Framer, type ItemWriter, LF } from './framer.ts';

/** Before a row; in white space at its start; at a cell's start; in one, quoted or not; behind a quote that may be its last. */
type Place = 'between' | 'blank' | 'cell' | 'plain' | 'quoted' | 'quote';

const QUOTE = 0x22;
const SPACE = 0x20;
const TAB = 0x09;

export function createCsvFramer(items: ItemWriter, itemBytesMax: number): Framer {
  const header = createCsvHeader(itemBytesMax);
  /** The header is taken as any row is, by a writer of its own. */
  let writer: ItemWriter = header.writer;
  /** 0 until the header tells which of the three it is: then each of them ends a cell. */
  let delimiter = 0;
  let place: Place = 'between';
  let line = 1;
  let afterCr = false;
  let rowStart = 0;
  /** Bytes of the open row that came in earlier buffers, and where in the row its last quote was opened. */
  let earlierBytes = 0;
  let quoteAt = 0;

  const endsCell = (byte: number | undefined) =>
    delimiter === 0 ? byte === 0x2c || byte === 0x3b || byte === TAB : byte === delimiter;

  const countLine = (bytes: Buffer, at: number) => {
    if (endsLine(bytes, at, afterCr)) line++;
  };

  const closeRow = () => {
    if (place === 'blank') writer.drop();
    else {
      writer.finish();
      const format = header.format();
      if (writer !== items && format !== null) {
        writer = items;
        delimiter = format.delimiter.charCodeAt(0);
      }
    }
    place = 'between';
    earlierBytes = 0;
  };

  /** The line break itself is left to `between`. */
  const endRow = (bytes: Buffer, at: number): number => {
    writer.append(bytes, rowStart, at);
    closeRow();
    return at;
  };

  const between = (bytes: Buffer, from: number): number => {
    for (let at = from; at < bytes.length; at++) {
      const byte = bytes[at];
      if (byte !== LF && byte !== CR) {
        rowStart = at;
        place = 'blank';
        writer.begin(line);
        return at;
      }
      countLine(bytes, at);
    }
    return bytes.length;
  };

  const blank = (bytes: Buffer, from: number): number => {
    for (let at = from; at < bytes.length; at++) {
      const byte = bytes[at];
      if (byte === LF || byte === CR) return endRow(bytes, at);
      if (byte === SPACE || (byte === TAB && !endsCell(TAB))) continue;
      place = at === rowStart && earlierBytes === 0 ? 'cell' : 'plain';
      return at;
    }
    return bytes.length;
  };

  const cell = (bytes: Buffer, at: number): number => {
    if (bytes[at] !== QUOTE) {
      place = 'plain';
      return at;
    }
    place = 'quoted';
    quoteAt = earlierBytes + at - rowStart;
    return at + 1;
  };

  const plain = (bytes: Buffer, from: number): number => {
    const length = bytes.length;
    for (let at = from; at < length; at++) {
      const byte = bytes[at] ?? 0;
      // Neither a delimiter nor a line break is among these: letters and digits pass at once.
      if (byte > 0x3b || (byte > 0x2c && byte < 0x3b)) continue;
      if (byte === LF || byte === CR) return endRow(bytes, at);
      if (endsCell(byte) && (at + 1 === length || bytes[at + 1] === QUOTE)) {
        place = 'cell';
        return at + 1;
      }
    }
    return length;
  };

  const quoted = (bytes: Buffer, from: number): number => {
    const length = bytes.length;
    for (let at = from; at < length; at++) {
      const byte = bytes[at] ?? 0;
      if (byte > QUOTE) continue;
      if (byte === QUOTE) {
        place = 'quote';
        return at + 1;
      }
      if (byte === LF || byte === CR) countLine(bytes, at);
    }
    return length;
  };

  const quote = (bytes: Buffer, at: number): number => {
    place = bytes[at] === QUOTE ? 'quoted' : 'plain';
    return place === 'quoted' ? at + 1 : at;
  };

  const step = (bytes: Buffer, at: number): number => {
    if (place === 'plain') return plain(bytes, at);
    if (place === 'quoted') return quoted(bytes, at);
    if (place === 'quote') return quote(bytes, at);
    if (place === 'cell') return cell(bytes, at);
    return place === 'between' ? between(bytes, at) : blank(bytes, at);
  };

  return {
    push: (bytes) => {
      rowStart = 0;
      let at = 0;
      while (at < bytes.length) at = step(bytes, at);
      if (place !== 'between') {
        writer.append(bytes, rowStart, bytes.length);
        earlierBytes += bytes.length - rowStart;
      }
      afterCr = bytes[bytes.length - 1] === CR;
    },
    end: () => {
      if (place === 'quoted') writer.fail('csv_unterminated_quote', 'a quote is opened and never closed', quoteAt + 1);
      if (place !== 'between') closeRow();
    },
    format: (): ItemFormat => header.format() ?? { kind: 'csv', delimiter: ',', columns: [] },
  };
}
