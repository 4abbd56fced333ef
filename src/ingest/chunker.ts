/** Gathers framed items into chunks that grow along the request, and encodes each once more follows. */
import { encodeChunk, type ItemFault, type ItemFormat } from '../model/chunk.ts';
import { TrancheError } from '../model/errors.ts';
import { CHUNK_BYTES_MAX, CHUNK_ITEMS_FIRST, CHUNK_ITEMS_MAX, CHUNKS_MAX, CHUNKS_PER_SIZE } from '../model/limits.ts';
import type { ItemWriter } from './framer.ts';
import type { ChunkSink } from './ingest.ts';

export interface ChunkSizes {
  readonly itemsFirst: number;
  readonly itemsMax: number;
  readonly chunksPerSize: number;
  readonly bytesMax: number;
  readonly chunksMax: number;
  /** Items of all chunks together. */
  readonly totalMax: number;
}

export const CHUNK_SIZES: ChunkSizes = {
  itemsFirst: CHUNK_ITEMS_FIRST,
  itemsMax: CHUNK_ITEMS_MAX,
  chunksPerSize: CHUNKS_PER_SIZE,
  bytesMax: CHUNK_BYTES_MAX,
  chunksMax: CHUNKS_MAX,
  totalMax: Infinity,
};

export type EncodedChunk = Parameters<ChunkSink>[0];

export interface Chunker extends ItemWriter {
  /** The chunks that are complete and known not to be the last, in order. */
  take(): readonly EncodedChunk[];
  /** The last chunk; null where there was no item at all. */
  last(): EncodedChunk | null;
  /** Items of each chunk cut so far. */
  chunkItems(): readonly number[];
}

const PAYLOAD_BYTES_FIRST = 16 * 1024;

export function createChunker(sizes: ChunkSizes, itemBytesMax: number, format: () => ItemFormat): Chunker {
  const chunkItems: number[] = [];
  let ready: EncodedChunk[] = [];
  let firstIndex = 0;
  let itemsMax = itemsOfChunk(sizes, 0);
  let ends = new Uint32Array(itemsMax);
  let lines = new Uint32Array(itemsMax);
  let payload = Buffer.allocUnsafeSlow(PAYLOAD_BYTES_FIRST);
  let faults: ItemFault[] = [];
  let items = 0;
  /** The open item's bytes lie from `itemStart` to `length`. */
  let itemStart = 0;
  let length = 0;
  let itemLine = 0;
  let fault: Omit<ItemFault, 'position'> | null = null;

  const encode = (only: boolean): EncodedChunk => {
    const ordinal = chunkItems.length;
    if (ordinal >= sizes.chunksMax) throw tooManyChunks(sizes.chunksMax);
    const header = { version: 1, format: format(), firstIndex, items, payloadBytes: itemStart, faults } as const;
    const blob = encodeChunk(header, ends, lines, payload.subarray(0, itemStart));
    chunkItems.push(items);
    return { ordinal, items, blob, only };
  };

  /** Cuts before the open item and moves its bytes to the front. */
  const cut = () => {
    ready.push(encode(false));
    payload.copyWithin(0, itemStart, length);
    length -= itemStart;
    itemStart = 0;
    firstIndex += items;
    items = 0;
    faults = [];
    itemsMax = itemsOfChunk(sizes, chunkItems.length);
    if (itemsMax > ends.length) {
      ends = new Uint32Array(itemsMax);
      lines = new Uint32Array(itemsMax);
    }
  };

  const fail: Chunker['fail'] = (code, message, column) => {
    fault = column === undefined ? { code, message } : { code, message, column };
    length = itemStart;
  };

  return {
    begin: (line) => {
      itemLine = line;
    },
    append: (bytes, start, end) => {
      if (fault !== null) return;
      const appended = length + end - start;
      if (appended - itemStart > itemBytesMax) {
        fail('item_too_large', `the item is larger than ${itemBytesMax} bytes`);
        return;
      }
      if (appended > payload.length) payload = grown(payload, length, appended);
      bytes.copy(payload, length, start, end);
      length = appended;
    },
    fail,
    finish: () => {
      if (firstIndex + items >= sizes.totalMax) throw tooManyItems(sizes.totalMax);
      if (items > 0 && (items === itemsMax || length > sizes.bytesMax)) cut();
      if (fault !== null) faults.push({ position: items, ...fault });
      fault = null;
      ends[items] = length;
      lines[items] = itemLine;
      items++;
      itemStart = length;
    },
    drop: () => {
      fault = null;
      length = itemStart;
    },
    take: () => {
      const taken = ready;
      if (taken.length > 0) ready = [];
      return taken;
    },
    last: () => (items === 0 ? null : encode(chunkItems.length === 0)),
    chunkItems: () => chunkItems,
  };
}

export function itemsOfChunk(sizes: ChunkSizes, ordinal: number): number {
  return Math.min(sizes.itemsMax, sizes.itemsFirst * 2 ** Math.floor(ordinal / sizes.chunksPerSize));
}

function grown(payload: Buffer, length: number, needed: number) {
  const larger = Buffer.allocUnsafeSlow(Math.max(2 * payload.length, needed));
  payload.copy(larger, 0, 0, length);
  return larger;
}

function tooManyItems(itemsMax: number): TrancheError {
  const facts = { limit: itemsMax, unit: 'items' };
  return new TrancheError('content_too_large', `the body has more than ${itemsMax} items, split it`, facts);
}

function tooManyChunks(chunksMax: number): TrancheError {
  return new TrancheError('content_too_large', `the body has more items than ${chunksMax} chunks hold, split it`, {
    limit: chunksMax,
    unit: 'chunks',
  });
}
