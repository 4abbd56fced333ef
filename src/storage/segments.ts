/**
 * A chunk's log: segments committed by exclusive create, and the reading that merges them by index.
 *
 * A segment is one header line (JSON), then outcome lines (each a whole result line, in index order), then deferred
 * lines, then the last attempts of items that needed several. Every `CUMULATIVE_EVERY`-th segment repeats all rows before it, so that a long log stays cheap to read.
 */

import { type Chunk, positionOf } from '../model/chunk.ts';
import { addTallies, EMPTY_TALLY, type Tally } from '../model/operation.ts';
import type { Deferred, ItemOutcome, ItemTrials, Tried } from '../model/outcome.ts';
import type { BlobStore } from './blob-store.ts';
import { chunkLogPrefix, compactedKey, segmentKey } from './keys.ts';
import { letGo } from './let-go.ts';

const CUMULATIVE_EVERY = 16;

interface SegmentHeader {
  readonly version: 1;
  readonly seq: number;
  readonly outcomes: number;
  readonly outcomeBytes: number;
  readonly deferred: number;
  /** Items of which attempts are kept; absent = none. */
  readonly trials?: number;
  /** Of the outcome lines in this segment. */
  readonly tally: Tally;
}

/** Identifies one chunk's log. */
export interface ChunkLogRef {
  readonly uid: string;
  readonly run: number;
  readonly ordinal: number;
}

/** The log merged: what is decided, what had to wait, and where the next segment goes. */
export interface ChunkLog {
  readonly nextSeq: number;
  readonly tally: Tally;
  /** Result lines (without line end) by position in the chunk; absent = undecided. */
  readonly lines: Map<number, Buffer>;
  /** Latest deferred row of undecided items, by position. */
  readonly deferred: Map<number, Deferred>;
  /** Last attempts by position, of items that needed several. */
  readonly trials: ReadonlyMap<number, readonly Tried[]>;
}

export interface SegmentRows {
  /** Result lines (with line end), in index order, as one buffer. */
  readonly outcomeLines: Buffer;
  readonly outcomes: number;
  readonly tally: Tally;
  readonly deferred: readonly Deferred[];
  readonly trials?: readonly ItemTrials[];
}

/** One item in its chunk's log. */
export interface LoggedItem {
  /** Its result line; null while it is undecided. */
  readonly line: Buffer | null;
  readonly trials: readonly Tried[];
  /** Slices have worked on its chunk. */
  readonly begun: boolean;
}

export type Segments = ReturnType<typeof createSegments>;

export function createSegments(store: BlobStore) {
  return {
    /** Commits segment `seq`: false = somebody committed it before (adopt: read the log again). */
    async commit(ref: ChunkLogRef, seq: number, rows: SegmentRows): Promise<boolean> {
      const bytes = encodeSegment(seq, rows);
      const created = await store.create(segmentKey(ref.uid, ref.run, ref.ordinal, seq), bytes);
      letGo(bytes);
      return created;
    },

    /** True where segment `seq` must repeat all rows before it. */
    isCumulative: (seq: number): boolean => seq % CUMULATIVE_EVERY === CUMULATIVE_EVERY - 1,

    /** The ordered rows of a finished chunk in one blob; who comes second finds the same rows. */
    compact: (ref: ChunkLogRef, rows: SegmentRows): Promise<boolean> =>
      store.create(compactedKey(ref.uid, ref.run, ref.ordinal), encodeSegment(0, rows)),

    readLog: (ref: ChunkLogRef, chunk: Chunk): Promise<ChunkLog> => readLog(store, ref, chunk),

    /** The outcome lines so far, in index order, each with its line end, and how many they are. */
    readLines: (ref: ChunkLogRef, items: number) => readLines(store, ref, items),

    /** What the log says of one item. */
    readItem: (ref: ChunkLogRef, index: number): Promise<LoggedItem> => readItem(store, ref, index),

    /** Journals of slices that did not come to their commit, oldest first. */
    journals: async (ref: ChunkLogRef): Promise<string[]> =>
      (await store.listLogs(chunkLogPrefix(ref.uid, ref.run, ref.ordinal))).sort(),

    /** Of all committed rows. */
    tallyOf: async (ref: ChunkLogRef): Promise<Tally> => tallyOf(await readSegments(store, ref)),

    /** `begun`: something is committed, if only items that have to wait. */
    async standing(ref: ChunkLogRef): Promise<{ readonly tally: Tally; readonly begun: boolean }> {
      const segments = await readSegments(store, ref);
      return { tally: tallyOf(segments), begun: segments.compacted !== null || segments.nextSeq > 0 };
    },
  };
}

function encodeSegment(seq: number, rows: SegmentRows): Buffer {
  const trials = rows.trials ?? [];
  const header: SegmentHeader = {
    version: 1,
    seq,
    outcomes: rows.outcomes,
    outcomeBytes: rows.outcomeLines.length,
    deferred: rows.deferred.length,
    ...(trials.length === 0 ? {} : { trials: trials.length }),
    tally: rows.tally,
  };
  const tail = [...rows.deferred, ...trials].map((row) => `${JSON.stringify(row)}\n`).join('');
  return Buffer.concat([Buffer.from(`${JSON.stringify(header)}\n`), rows.outcomeLines, Buffer.from(tail)]);
}

interface Segment {
  readonly header: SegmentHeader;
  readonly outcomeLines: Buffer;
  readonly deferred: readonly Deferred[];
  readonly trials: readonly ItemTrials[];
}

function decodeSegment(blob: Buffer): Segment {
  const headerEnd = blob.indexOf(10);
  const header = JSON.parse(blob.toString('utf8', 0, headerEnd)) as SegmentHeader;
  const outcomesEnd = headerEnd + 1 + header.outcomeBytes;
  const tail = blob.toString('utf8', outcomesEnd).split('\n').filter(Boolean);
  if (tail.length !== header.deferred + (header.trials ?? 0)) throw new Error('segment blob is torn');
  return {
    header,
    outcomeLines: blob.subarray(headerEnd + 1, outcomesEnd),
    deferred: tail.slice(0, header.deferred).map((line) => JSON.parse(line) as Deferred),
    trials: tail.slice(header.deferred).map((line) => JSON.parse(line) as ItemTrials),
  };
}

interface StandingSegments {
  readonly compacted: Segment | null;
  /** From the latest cumulative one on, in order. */
  readonly segments: readonly Segment[];
  readonly nextSeq: number;
}

async function readSegments(store: BlobStore, ref: ChunkLogRef): Promise<StandingSegments> {
  const prefix = chunkLogPrefix(ref.uid, ref.run, ref.ordinal);
  const compactedName = compactedKey(ref.uid, ref.run, ref.ordinal);
  let nextSeq = 0;
  let hasCompacted = false;
  for await (const { key } of store.list(prefix)) {
    if (key === compactedName) hasCompacted = true;
    else if (key.startsWith(`${prefix}segment-`)) nextSeq = Math.max(nextSeq, Number(key.slice(-8)) + 1);
  }
  const compacted = hasCompacted ? decodeSegment(await mustGet(store, compactedName)) : null;
  if (compacted !== null) return { compacted, segments: [], nextSeq };
  const first = Math.max(0, Math.floor(nextSeq / CUMULATIVE_EVERY) * CUMULATIVE_EVERY - 1);
  const blobs = await Promise.all(
    Array.from({ length: nextSeq - first }, (_, i) =>
      mustGet(store, segmentKey(ref.uid, ref.run, ref.ordinal, first + i)),
    ),
  );
  return { compacted: null, segments: blobs.map(decodeSegment), nextSeq };
}

async function mustGet(store: BlobStore, key: string): Promise<Buffer> {
  const blob = await store.get(key);
  if (blob === null) throw new Error(`blob ${key} was listed and is not there`);
  return blob;
}

async function readLog(store: BlobStore, ref: ChunkLogRef, chunk: Chunk): Promise<ChunkLog> {
  const standing = await readSegments(store, ref);
  const lines = new Map<number, Buffer>();
  const deferred = new Map<number, Deferred>();
  const trials = new Map<number, readonly Tried[]>();
  for (const segment of standing.compacted === null ? standing.segments : [standing.compacted]) {
    for (const row of segment.deferred) deferred.set(positionOf(chunk, row.index), row);
    for (const row of segment.trials) trials.set(positionOf(chunk, row.index), row.trials);
    for (const line of splitLines(segment.outcomeLines)) lines.set(positionOf(chunk, indexOfLine(line)), line);
  }
  for (const position of lines.keys()) deferred.delete(position);
  return { nextSeq: standing.nextSeq, tally: tallyOf(standing), lines, deferred, trials };
}

/** Segments hold each index once, except cumulative ones, which replace all before them. */
function tallyOf(standing: StandingSegments): Tally {
  const segments = standing.compacted === null ? standing.segments : [standing.compacted];
  return segments.reduce<Tally>((sum, { header }) => addTallies(sum, header.tally), EMPTY_TALLY);
}

async function readLines(store: BlobStore, ref: ChunkLogRef, items: number): Promise<{ lines: Buffer; count: number }> {
  const { compacted, segments } = await readSegments(store, ref);
  const only = compacted ?? (segments.length === 1 ? segments[0] : undefined);
  if (only !== undefined) return { lines: only.outcomeLines, count: only.header.outcomes };
  const rows = segments.flatMap((segment) => [...splitLines(segment.outcomeLines)]);
  if (rows.length > items) throw new Error(`chunk ${ref.ordinal} has more rows than items`);
  rows.sort((a, b) => indexOfLine(a) - indexOfLine(b));
  return { lines: joinLines(rows), count: rows.length };
}

async function readItem(store: BlobStore, ref: ChunkLogRef, index: number): Promise<LoggedItem> {
  const { compacted, segments, nextSeq } = await readSegments(store, ref);
  const standing = compacted === null ? segments : [compacted];
  let line: Buffer | null = null;
  let trials: readonly Tried[] = [];
  for (const segment of standing) {
    line = findLine(segment.outcomeLines, index) ?? line;
    trials = segment.trials.find((row) => row.index === index)?.trials ?? trials;
  }
  return { line, trials, begun: nextSeq > 0 || compacted !== null };
}

/** A line end stands between lines and nowhere else. */
function findLine(lines: Buffer, index: number): Buffer | null {
  const head = `{"index":${index},`;
  const first = lines.toString('latin1', 0, head.length) === head;
  const start = first ? 0 : lines.indexOf(`\n${head}`, 0, 'latin1') + 1;
  if (start === 0 && !first) return null;
  const end = lines.indexOf(10, start);
  return lines.subarray(start, end === -1 ? lines.length : end);
}

/** Lines without their ends, as views. */
export function* splitLines(lines: Buffer): Generator<Buffer> {
  for (let start = 0; start < lines.length; ) {
    const end = lines.indexOf(10, start);
    yield lines.subarray(start, end === -1 ? lines.length : end);
    start = end === -1 ? lines.length : end + 1;
  }
}

export function joinLines(lines: readonly Buffer[]): Buffer {
  const joined = Buffer.allocUnsafe(lines.reduce((sum, line) => sum + line.length + 1, 0));
  let at = 0;
  for (const line of lines) {
    at += line.copy(joined, at);
    joined[at++] = 10;
  }
  return joined;
}

const INDEX_AT = '{"index":'.length;

/** Every result line begins `{"index":<digits>`. */
export function indexOfLine(line: Buffer): number {
  let index = 0;
  for (let i = INDEX_AT; i < line.length; i++) {
    const digit = (line[i] ?? 0) - 48;
    if (digit < 0 || digit > 9) break;
    index = index * 10 + digit;
  }
  return index;
}

/** The outcome that a result line carries: behind the label, whose values cannot hold this member unescaped twice. */
export function outcomeOfLine(line: Buffer): ItemOutcome {
  return (JSON.parse(line.toString('utf8')) as { outcome: ItemOutcome }).outcome;
}
