/** The result lines of a slice as bytes: a line is let go as a string at once, so that thousands of them never pile up on the heap. */
import { letGo } from '../storage/let-go.ts';

/** Small enough to come and go cheaply, large enough that few are needed for a chunk. */
const SLAB_BYTES = 256 * 1024;
const LINE_END = 10;

export function createLineStore(items: number) {
  const slabs: Buffer[] = [];
  let slab = Buffer.alloc(0);
  let used = 0;
  /** 1-based slab; 0 = no line. */
  const slabOf = new Uint32Array(items);
  const starts = new Uint32Array(items);
  const ends = new Uint32Array(items);

  function reserve(bytes: number): void {
    if (slab.length - used >= bytes) return;
    slab = Buffer.allocUnsafeSlow(Math.max(bytes, SLAB_BYTES));
    slabs.push(slab);
    used = 0;
  }

  return {
    has: (position: number): boolean => slabOf[position] !== 0,
    /** Replaces what stood at the position. */
    set(position: number, line: string | Buffer): void {
      // UTF-8 takes three bytes for a UTF-16 unit at most.
      reserve((typeof line === 'string' ? 3 : 1) * line.length + 1);
      starts[position] = used;
      used += typeof line === 'string' ? slab.write(line, used) : line.copy(slab, used);
      slab[used++] = LINE_END;
      ends[position] = used;
      slabOf[position] = slabs.length;
    },
    /** The wanted positions' lines in their order, each with its line end; positions without a line are left out. */
    join(wanted: (position: number) => boolean): { readonly lines: Buffer; readonly count: number } {
      const runs: { slab: number; start: number; end: number }[] = [];
      let run = { slab: 0, start: 0, end: 0 };
      let count = 0;
      for (let position = 0; position < items; position++) {
        const from = slabOf[position] ?? 0;
        if (from === 0 || !wanted(position)) continue;
        const start = starts[position] ?? 0;
        const end = ends[position] ?? 0;
        count++;
        if (run.slab === from && run.end === start) run.end = end;
        else {
          run = { slab: from, start, end };
          runs.push(run);
        }
      }
      const parts = runs.map(({ slab, start, end }) => (slabs[slab - 1] ?? Buffer.alloc(0)).subarray(start, end));
      return { lines: Buffer.concat(parts), count };
    },
    /** Nothing may be read after it. */
    end(): void {
      for (const each of slabs) letGo(each);
    },
  };
}
