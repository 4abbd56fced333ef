/** Gathers chosen items into sparse chunks, in input order, and stores each as soon as it is full. */
import { CHUNK_SIZES, itemsOfChunk } from '../../ingest/chunker.ts';
import { encodeChunk, type ItemFault, type ItemFormat } from '../../model/chunk.ts';
import { TrancheError } from '../../model/errors.ts';
import type { BlobStore } from '../../storage/blob-store.ts';
import { chunkKey } from '../../storage/keys.ts';
import { letGo } from '../../storage/let-go.ts';
import { unavailable, within } from '../deadline.ts';

export interface ChosenItem {
  readonly index: number;
  readonly line: number;
  /** The run that its idempotency key names. */
  readonly keyRun: number;
  /** What was sent may have taken effect; absent = no. */
  readonly inDoubt?: boolean;
  readonly content: Uint8Array | Omit<ItemFault, 'position'>;
}

export interface ChosenChunks {
  /** Indexes rise. Wait where a promise is answered: a chunk is being stored. */
  add(item: ChosenItem): Promise<void> | null;
  /** Stores the last chunk. */
  end(): Promise<ChosenChunksEnd>;
}

export interface ChosenChunksEnd {
  readonly chunkItems: readonly number[];
  readonly firstIndexes: readonly number[];
  /** Items of each chunk that are in doubt. */
  readonly doubts: readonly number[];
}

export interface ChosenChunksRequest {
  readonly store: BlobStore;
  readonly prefix: string;
  readonly format: ItemFormat;
  /** Items of the first chunks; absent = the default. */
  readonly itemsFirst: number | undefined;
  readonly storeDeadlineMs: number;
}

export function createChosenChunks(request: ChosenChunksRequest): ChosenChunks {
  const { store, prefix, format, storeDeadlineMs } = request;
  const sizes = { ...CHUNK_SIZES, itemsFirst: request.itemsFirst ?? CHUNK_SIZES.itemsFirst };
  const chunkItems: number[] = [];
  const firsts: number[] = [];
  const doubts: number[] = [];
  let open = openChunk(itemsOfChunk(sizes, 0));

  async function flush(): Promise<void> {
    const ordinal = chunkItems.length;
    if (ordinal >= sizes.chunksMax) throw tooManyChunks(sizes.chunksMax);
    chunkItems.push(open.items());
    firsts.push(open.firstIndex());
    doubts.push(open.doubts());
    const blob = open.encode(format);
    open = openChunk(itemsOfChunk(sizes, ordinal + 1));
    let created: boolean;
    try {
      created = await within(storeDeadlineMs, 'a chunk', store.create(chunkKey(prefix, ordinal), blob));
    } catch (cause) {
      throw unavailable('the choice of items cannot be kept now; send it again', cause);
    }
    letGo(blob);
    if (!created) throw new Error(`chunk ${ordinal} of a fresh choice exists already`);
  }

  return {
    add(item) {
      open.add(item);
      return open.isFull(sizes.bytesMax) ? flush() : null;
    },
    async end() {
      if (open.items() > 0) await flush();
      return { chunkItems, firstIndexes: firsts, doubts };
    },
  };
}

const PAYLOAD_BYTES_FIRST = 16 * 1024;

function openChunk(itemsMax: number) {
  const tables = Array.from({ length: 4 }, () => new Uint32Array(itemsMax));
  const [ends, lines, indexes, keyRuns] = tables as [Uint32Array, Uint32Array, Uint32Array, Uint32Array];
  const faults: ItemFault[] = [];
  const doubts: number[] = [];
  let payload = Buffer.allocUnsafeSlow(PAYLOAD_BYTES_FIRST);
  let length = 0;
  let items = 0;

  function append(bytes: Uint8Array): void {
    if (length + bytes.length > payload.length) {
      const larger = Buffer.allocUnsafeSlow(Math.max(2 * payload.length, length + bytes.length));
      payload.copy(larger, 0, 0, length);
      payload = larger;
    }
    payload.set(bytes, length);
    length += bytes.length;
  }

  return {
    items: () => items,
    doubts: () => doubts.length,
    firstIndex: () => indexes[0] ?? 0,
    isFull: (bytesMax: number) => items === itemsMax || length >= bytesMax,
    add({ index, line, keyRun, inDoubt, content }: ChosenItem): void {
      if (content instanceof Uint8Array) append(content);
      else faults.push({ position: items, ...content });
      if (inDoubt === true) doubts.push(items);
      ends[items] = length;
      lines[items] = line;
      indexes[items] = index;
      keyRuns[items] = keyRun;
      items++;
    },
    encode(format: ItemFormat): Buffer {
      const firstIndex = indexes[0] ?? 0;
      const facts = { version: 1, format, firstIndex, sparse: true, items, payloadBytes: length, faults } as const;
      const header = doubts.length === 0 ? facts : { ...facts, inDoubt: doubts };
      return encodeChunk(header, ends, lines, payload.subarray(0, length), { indexes, keyRuns });
    },
  };
}

function tooManyChunks(chunksMax: number): TrancheError {
  const facts = { limit: chunksMax, unit: 'chunks' };
  return new TrancheError('content_too_large', `more items are chosen than ${chunksMax} chunks hold`, facts);
}
