/** Walks an operation's chunks in input order with little memory: a few are read ahead, each is forgotten when done with. */
import { type Chunk, decodeChunk } from '../../model/chunk.ts';
import type { OperationRecord } from '../../model/operation.ts';
import type { BlobStore } from '../../storage/blob-store.ts';
import { chunkKey, chunkPrefix } from '../../storage/keys.ts';

const CHUNKS_AHEAD = 2;

/** Answers in order; at most `CHUNKS_AHEAD` are read before they are asked for. */
export async function* inOrder<T>(count: number, read: (ordinal: number) => Promise<T>): AsyncGenerator<T, void, void> {
  const ahead: Promise<T>[] = [];
  for (let ordinal = 0, next = 0; ordinal < count; ordinal++) {
    for (; next < count && next <= ordinal + CHUNKS_AHEAD; next++) {
      const reading = read(next);
      reading.catch(() => {});
      ahead.push(reading);
    }
    const first = ahead.shift();
    if (first !== undefined) yield await first;
  }
}

export async function readChunk(store: BlobStore, record: OperationRecord, ordinal: number): Promise<Chunk> {
  if (record.inlineChunk !== null) return decodeChunk(Buffer.from(record.inlineChunk, 'base64'));
  const blob = await store.get(chunkKey(chunkPrefix(record.uid), ordinal));
  if (blob === null) throw new Error(`chunk ${ordinal} of ${record.uid} is gone`);
  return decodeChunk(blob);
}

/** Index of each chunk's first item. */
export function firstIndexes(chunkItems: readonly number[]): number[] {
  let next = 0;
  return chunkItems.map((items) => {
    const first = next;
    next += items;
    return first;
  });
}
