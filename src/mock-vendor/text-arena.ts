/** Texts kept off the heap: millions of stored answers and ledger texts must not burden the garbage collector. */

const BLOCK_BYTES = 1024 * 1024;

export interface TextArena {
  /** Returns a handle for `read`. */
  append(text: string): number;
  read(handle: number): string;
}

/** A handle is block × 2^24 + offset; every text stands after its length. A text longer than a block gets its own. */
export function createTextArena(): TextArena {
  const blocks: Buffer[] = [];
  let current = Buffer.alloc(0);
  let used = 0;
  return {
    append(text) {
      const bytesMax = 4 + text.length * 3;
      if (used + bytesMax > current.length) {
        current = Buffer.allocUnsafeSlow(Math.max(BLOCK_BYTES, bytesMax));
        blocks.push(current);
        used = 0;
      }
      const at = used;
      const bytes = current.write(text, at + 4, 'utf8');
      current.writeUInt32LE(bytes, at);
      used = at + 4 + bytes;
      return (blocks.length - 1) * 2 ** 24 + at;
    },
    read(handle) {
      const block = blocks[Math.floor(handle / 2 ** 24)];
      if (block === undefined) throw new RangeError(`no text at ${handle}`);
      const at = handle % 2 ** 24;
      return block.toString('utf8', at + 4, at + 4 + block.readUInt32LE(at));
    },
  };
}

/** cyrb53: 53 bits, enough to tell two calls under one key apart in a test tool, and far cheaper than SHA-256. */
export function hashText(text: string, seed = 0): number {
  let high = 0xdeadbeef ^ seed;
  let low = 0x41c6ce57 ^ seed;
  for (let position = 0; position < text.length; position++) {
    const unit = text.charCodeAt(position);
    high = Math.imul(high ^ unit, 2_654_435_761);
    low = Math.imul(low ^ unit, 1_597_334_677);
  }
  high = Math.imul(high ^ (high >>> 16), 2_246_822_507) ^ Math.imul(low ^ (low >>> 13), 3_266_489_909);
  low = Math.imul(low ^ (low >>> 16), 2_246_822_507) ^ Math.imul(high ^ (high >>> 13), 3_266_489_909);
  return 4_294_967_296 * (2_097_151 & low) + (high >>> 0);
}
