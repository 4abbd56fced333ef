/** Checks a results stream by its bytes: every index exactly once, in input order. */

export interface ResultScan {
  push(bytes: Buffer): void;
  /** Throws where a line is out of order, torn or missing; else how many bytes were read. */
  end(): { readonly lines: number; readonly bytes: number };
}

const PREFIX = Buffer.from('{"index":');
const LINE_END = 0x0a;
const ZERO = 0x30;
const NINE = 0x39;

/** About 100 ns a line, so that the reader is not what is measured. */
export function createResultScan(itemsExpected: number): ResultScan {
  let next = 0;
  let bytes = 0;
  let torn: Buffer = Buffer.alloc(0);

  function checkLine(buffer: Buffer, start: number): void {
    let index = 0;
    let at = start + PREFIX.length;
    for (; ; at += 1) {
      const digit = buffer[at] ?? 0;
      if (digit < ZERO || digit > NINE) break;
      index = index * 10 + (digit - ZERO);
    }
    const begins = buffer.compare(PREFIX, 0, PREFIX.length, start, start + PREFIX.length) === 0;
    if (index === next && begins && at > start + PREFIX.length) return;
    throw new Error(`results: line ${next} reads ${buffer.toString('utf8', start, start + 80)}`);
  }

  return {
    push(more) {
      bytes += more.length;
      const buffer = torn.length === 0 ? more : Buffer.concat([torn, more]);
      let start = 0;
      for (;;) {
        const end = buffer.indexOf(LINE_END, start);
        if (end === -1) break;
        checkLine(buffer, start);
        next += 1;
        start = end + 1;
      }
      torn = buffer.subarray(start);
    },
    end() {
      if (torn.length > 0) throw new Error('results: the last line is torn');
      if (next !== itemsExpected) throw new Error(`results: ${next} lines instead of ${itemsExpected}`);
      return { lines: next, bytes };
    },
  };
}
