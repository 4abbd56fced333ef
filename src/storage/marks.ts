/**
 * The duplicates of one chunk as `prepare` marks them, for its slices to skip. A chunk without duplicates has no blob.
 *
 * Layout: `TRM1` · u32 marks · u32[marks] positions in the chunk, ascending · u32[marks] index of the item that was taken
 * instead. Integers are little-endian.
 */
import type { BlobStore } from './blob-store.ts';
import { marksKey } from './keys.ts';
import type { ChunkLogRef } from './segments.ts';

export interface Marks {
  readonly positions: Uint32Array;
  readonly duplicateOf: Uint32Array;
}

export const NO_MARKS: Marks = { positions: new Uint32Array(0), duplicateOf: new Uint32Array(0) };

const MAGIC = 0x314d5254;
const HEADER_BYTES = 8;

/** Whoever marks a chunk finds the same, so it does not matter who comes first. */
export async function writeMarks(store: BlobStore, at: ChunkLogRef, marks: Marks): Promise<void> {
  await store.create(marksKey(at.uid, at.run, at.ordinal), encodeMarks(marks));
}

export async function readMarks(store: BlobStore, at: ChunkLogRef): Promise<Marks> {
  const blob = await store.get(marksKey(at.uid, at.run, at.ordinal));
  return blob === null ? NO_MARKS : decodeMarks(blob);
}

export function encodeMarks({ positions, duplicateOf }: Marks): Buffer {
  const blob = Buffer.alloc(HEADER_BYTES + 8 * positions.length);
  blob.writeUInt32LE(MAGIC, 0);
  blob.writeUInt32LE(positions.length, 4);
  blob.set(new Uint8Array(positions.buffer, positions.byteOffset, positions.byteLength), HEADER_BYTES);
  blob.set(
    new Uint8Array(duplicateOf.buffer, duplicateOf.byteOffset, duplicateOf.byteLength),
    HEADER_BYTES + positions.byteLength,
  );
  return blob;
}

/** Throws where the bytes are not whole: the blob is exclusively created, so that is a damaged store. */
export function decodeMarks(blob: Buffer): Marks {
  if (blob.length < HEADER_BYTES || blob.readUInt32LE(0) !== MAGIC) throw new Error('not a marks blob');
  const count = blob.readUInt32LE(4);
  if (blob.length !== HEADER_BYTES + 8 * count) throw new Error('marks blob is torn');
  const tables = blob.buffer.slice(blob.byteOffset + HEADER_BYTES, blob.byteOffset + blob.length);
  return { positions: new Uint32Array(tables, 0, count), duplicateOf: new Uint32Array(tables, 4 * count, count) };
}
