/** Finds the duplicates of a run, chunk by chunk in input order, in as many passes as one table needs for all keys. */
import type { PrepareInput } from '../../model/activity-contract.ts';
import { type Chunk, indexAt, positionOf } from '../../model/chunk.ts';
import { reach } from '../../model/crash-point.ts';
import { outcomeInLine } from '../../model/result-line.ts';
import type { ChunkSource, OperationRef } from '../../model/workflow-contract.ts';
import { marksKey } from '../../storage/keys.ts';
import { letGo } from '../../storage/let-go.ts';
import { decodeMarks, encodeMarks, type Marks, NO_MARKS, writeMarks } from '../../storage/marks.ts';
import { indexOfLine, splitLines } from '../../storage/segments.ts';
import { createItemReader } from '../../targets/item-reader.ts';
import type { Target } from '../../targets/target.ts';
import { readChunk } from '../chunk-blob.ts';
import type { ActivityDeps } from '../deps.ts';
import { type Claims, createClaims, createDigest } from './claims.ts';

export type DuplicatesDeps = Pick<ActivityDeps, 'store' | 'records' | 'segments'>;

/** The chunks of one run. */
export interface RunChunks {
  readonly run: number;
  readonly source: ChunkSource;
  readonly chunkItems: readonly number[];
}

export interface DuplicatesRequest {
  readonly deps: DuplicatesDeps;
  readonly input: PrepareInput;
  /** Whose succeeded items hold their keys already, first run first. */
  readonly earlier: readonly RunChunks[];
  readonly target: Target;
  readonly passes: Passes;
  /** Unique per execution: what passes leave for one another is not shared. */
  readonly attempt: string;
  readonly pace: Pace;
}

/** Called often: true where the thread must be given back now, by `breathe`, which rejects where the work is to end. */
export interface Pace {
  readonly due: () => boolean;
  readonly breathe: () => Promise<void>;
}

export interface Passes {
  readonly count: number;
  /** Keys that one pass may hold. */
  readonly keysMax: number;
}

/** Parts are cut by digest, so they are alike but for chance: eight standard deviations are room enough for ever. */
export function planPasses(items: number, tableKeysMax: number): Passes {
  const count = Math.max(1, Math.ceil(items / tableKeysMax));
  if (count === 1) return { count, keysMax: items };
  const share = items / count;
  return { count, keysMax: Math.ceil(share + 8 * Math.sqrt(share)) };
}

/** Writes the marks of every chunk that has duplicates; answers how many items are marked. */
export async function markDuplicates(request: DuplicatesRequest): Promise<number> {
  const { count, keysMax } = request.passes;
  const digest = createDigest();
  let duplicates = 0;
  for (let number = 0; number < count; number++) {
    const claims = createClaims({ keysMax, part: { number, of: count }, digest });
    try {
      for (const run of request.earlier) await claimSucceeded(request, run, claims);
      duplicates += await markChunks(request, claims, number);
    } finally {
      claims.end();
    }
  }
  return duplicates;
}

async function markChunks(request: DuplicatesRequest, claims: Claims, pass: number): Promise<number> {
  const { deps, input, passes } = request;
  const { ref, run, source, chunkItems } = input;
  let duplicates = 0;
  for await (const { ordinal, chunk } of chunksOf(deps, ref, { run, source, chunkItems })) {
    const found = await findIn(request, chunk, claims);
    letGo(chunk.payload);
    duplicates += found.positions.length;
    if (passes.count === 1) {
      if (found.positions.length > 0) await writeMarks(deps.store, { uid: ref.uid, run, ordinal }, found);
    } else await keepFound(request, ordinal, found, pass);
    reach('prepare.marks_written');
  }
  return duplicates;
}

/** Only whole marks are ever seen under their key: until the last pass they are kept beside it. */
async function keepFound(
  { deps, input, attempt, passes }: DuplicatesRequest,
  ordinal: number,
  found: Marks,
  pass: number,
) {
  const { uid } = input.ref;
  const key = `${marksKey(uid, input.run, ordinal)}~${attempt}`;
  const before = pass === 0 ? null : await deps.store.get(key);
  const all = before === null ? found : mergeMarks(decodeMarks(before), found);
  if (pass < passes.count - 1) {
    if (found.positions.length > 0) await deps.store.put(key, encodeMarks(all));
    return;
  }
  if (all.positions.length > 0) await writeMarks(deps.store, { uid, run: input.run, ordinal }, all);
  if (before !== null) await deps.store.delete(key);
}

async function findIn({ target, input, pace }: DuplicatesRequest, chunk: Chunk, claims: Claims): Promise<Marks> {
  const reader = createItemReader(chunk, target, input.ref.uid);
  const positions: number[] = [];
  const duplicateOf: number[] = [];
  for (let position = 0; position < chunk.header.items; position++) {
    if (pace.due()) await pace.breathe();
    const key = reader.keyOf(position);
    if (key === null) continue;
    const holder = claims.claim(key, indexAt(chunk, position));
    if (holder === null) continue;
    positions.push(position);
    duplicateOf.push(holder);
  }
  if (positions.length === 0) return NO_MARKS;
  return { positions: Uint32Array.from(positions), duplicateOf: Uint32Array.from(duplicateOf) };
}

/** What succeeded is never chosen again, so its key is taken for good. */
async function claimSucceeded(request: DuplicatesRequest, chunks: RunChunks, claims: Claims): Promise<void> {
  const { deps, input, target, pace } = request;
  const { ref } = input;
  for (const [ordinal, items] of chunks.chunkItems.entries()) {
    const { lines } = await deps.segments.readLines({ uid: ref.uid, run: chunks.run, ordinal }, items);
    const succeeded = indexesOf(lines, 'succeeded');
    letGo(lines);
    await pace.breathe();
    if (succeeded.length === 0) continue;
    const chunk = await readChunk(deps, { ref, ordinal, source: chunks.source });
    const reader = createItemReader(chunk, target, ref.uid);
    for (const index of succeeded) {
      if (pace.due()) await pace.breathe();
      const key = reader.keyOf(positionOf(chunk, index));
      if (key !== null) claims.claim(key, index);
    }
    letGo(chunk.payload);
  }
}

function indexesOf(lines: Buffer, outcome: string): number[] {
  const indexes: number[] = [];
  for (const line of splitLines(lines)) if (outcomeInLine(line) === outcome) indexes.push(indexOfLine(line));
  return indexes;
}

/** Chunks fetched while one is read. */
const READ_AHEAD = 2;

async function* chunksOf(deps: DuplicatesDeps, ref: OperationRef, { source, chunkItems }: RunChunks) {
  const coming: Promise<Chunk>[] = [];
  for (let ordinal = 0; ordinal < chunkItems.length; ordinal++) {
    while (coming.length < READ_AHEAD && ordinal + coming.length < chunkItems.length) {
      const next = readChunk(deps, { ref, ordinal: ordinal + coming.length, source });
      // It rejects where it is awaited; that may never come to be.
      next.catch(() => undefined);
      coming.push(next);
    }
    const chunk = await coming.shift();
    if (chunk !== undefined) yield { ordinal, chunk };
  }
}

/** Both ascending and without a position in common. */
export function mergeMarks(a: Marks, b: Marks): Marks {
  const count = a.positions.length + b.positions.length;
  const positions = new Uint32Array(count);
  const duplicateOf = new Uint32Array(count);
  let fromA = 0;
  for (let at = 0, fromB = 0; at < count; at++) {
    const takeA =
      fromB >= b.positions.length || (a.positions[fromA] ?? Number.POSITIVE_INFINITY) < (b.positions[fromB] ?? 0);
    const [from, i] = takeA ? [a, fromA++] : [b, fromB++];
    positions[at] = from.positions[i] ?? 0;
    duplicateOf[at] = from.duplicateOf[i] ?? 0;
  }
  return { positions, duplicateOf };
}
