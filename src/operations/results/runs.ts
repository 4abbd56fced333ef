/** An operation's runs: the submission is the first, each retry one more; what each works on and where its chunks stand. */
import { type Chunk, decodeChunk } from '../../model/chunk.ts';
import type { OperationRecord, RunRecord, Tally } from '../../model/operation.ts';
import { EMPTY_TALLY } from '../../model/operation.ts';
import type { BlobStore } from '../../storage/blob-store.ts';
import { chunkKey } from '../../storage/keys.ts';
import type { Records } from '../../storage/records.ts';
import { readChunk } from './chunk-walk.ts';

/** What a status needs of the run that goes on. */
export interface RunStart {
  readonly run: number;
  /** Outcomes of the items that it does not touch. */
  readonly base: Tally;
  /** RFC 3339; absent = none. */
  readonly deadline?: string;
  readonly createdAt: string;
}

export function firstRun({ createdAt, deadline }: Pick<OperationRecord, 'createdAt' | 'deadline'>): RunStart {
  return { run: 1, base: EMPTY_TALLY, ...(deadline === undefined ? {} : { deadline }), createdAt };
}

/** Small enough to remember thousands. */
export function runStart({ run, base, deadline, createdAt }: RunRecord): RunStart {
  return { run, base, ...(deadline === undefined ? {} : { deadline }), createdAt };
}

/** The retries 2…`upTo`, in order. Throws where one is not there: a run is begun only behind the one before it. */
export async function readRuns(records: Records, record: OperationRecord, upTo: number): Promise<RunRecord[]> {
  const numbers = Array.from({ length: upTo - 1 }, (_, i) => i + 2);
  const found = await Promise.all(numbers.map((run) => records.readRun(record.account, record.id, run)));
  return found.map((run, i) => {
    if (run === null) throw new Error(`run ${i + 2} of ${record.uid} has no record`);
    return run;
  });
}

/** A chunk of a retry. */
export async function readRunChunk(store: BlobStore, { prefix }: { prefix: string }, ordinal: number): Promise<Chunk> {
  const key = chunkKey(prefix, ordinal);
  const blob = await store.get(key);
  if (blob === null) throw new Error(`blob ${key} is gone`);
  return decodeChunk(blob);
}

/** A run's chunks as places to look an index up. */
export interface RunChunks {
  readonly run: number;
  readonly firstIndexes: readonly number[];
  readonly chunkItems: readonly number[];
  read(ordinal: number): Promise<Chunk>;
}

export function chunksOfRun(store: BlobStore, record: RunRecord): RunChunks {
  const { run, firstIndexes, chunkItems } = record;
  return { run, firstIndexes, chunkItems, read: (ordinal) => readRunChunk(store, record, ordinal) };
}

export function chunksOfFirst(store: BlobStore, record: OperationRecord, firstIndexes: readonly number[]): RunChunks {
  const { chunkItems } = record;
  return { run: 1, firstIndexes, chunkItems, read: (ordinal) => readChunk(store, record, ordinal) };
}

/** The chunk that holds the index where any does; -1 where none can. */
export function ordinalOf(firstIndexes: readonly number[], index: number): number {
  let low = 0;
  let high = firstIndexes.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((firstIndexes[middle] ?? 0) <= index) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}
