/** Result lines of all runs in input order: where a later run took an item up, its line counts, and no earlier one. */
import { indexAt } from '../../model/chunk.ts';
import type { OperationRecord, RunRecord } from '../../model/operation.ts';
import { indexOfLine, joinLines, splitLines } from '../../storage/segments.ts';
import type { OperationsStorage, TargetRegistry } from '../deps.ts';
import { neverBegunLine } from '../never-begun.ts';
import { refuseGone } from '../purge/gone.ts';
import { firstIndexes, inOrder } from './chunk-walk.ts';
import { chunksOfFirst, chunksOfRun, ordinalOf, type RunChunks } from './runs.ts';

export interface LinesDeps {
  readonly storage: OperationsStorage;
  readonly targets: TargetRegistry;
}

export interface LinesRequest {
  readonly record: OperationRecord;
  /** The retries so far, in order. */
  readonly runs: readonly RunRecord[];
  /** The latest run has ended: every item has a line. */
  readonly complete: boolean;
  /** Chunks that are wholly below it are left out, where no retry lies over them. Absent = 0. */
  readonly fromIndex?: number;
}

/** The lines of consecutive items below index `to`. */
interface Piece {
  readonly lines: Buffer;
  readonly to: number;
}

/** Whole lines, many per buffer; about a chunk's. */
export async function* mergedLines(deps: LinesDeps, request: LinesRequest): AsyncGenerator<Buffer, void, void> {
  const { record, runs, complete, fromIndex = 0 } = request;
  const ended = complete || runs.length > 0;
  let pieces = firstPieces(deps, record, { ended, fromIndex: runs.length === 0 ? fromIndex : 0 });
  for (const [i, run] of runs.entries()) {
    // Only the latest run can be in work.
    const runEnded = complete || i < runs.length - 1;
    pieces = overlay(pieces, takenUp(deps, record, chunksOfRun(deps.storage.store, run), runEnded));
  }
  for await (const { lines } of pieces) if (lines.length > 0) yield lines;
}

async function* firstPieces(
  deps: LinesDeps,
  record: OperationRecord,
  { ended, fromIndex }: { readonly ended: boolean; readonly fromIndex: number },
): AsyncGenerator<Piece, void, void> {
  const { chunkItems } = record;
  const firsts = firstIndexes(chunkItems);
  const from = Math.max(0, ordinalOf(firsts, fromIndex));
  const chunks = chunksOfFirst(deps.storage.store, record, firsts);
  const read = async (ordinal: number): Promise<Piece> => {
    const items = chunkItems[ordinal] ?? 0;
    const to = (firsts[ordinal] ?? 0) + items;
    const { lines, count } = await deps.storage.segments.readLines({ uid: record.uid, run: 1, ordinal }, items);
    if (!ended || count >= items) return { lines, to };
    const all = (await withGaps(deps, record, { chunks, ordinal, ended }, lines)).map(({ line }) => line);
    return { lines: joinLines(all.filter((line) => line !== null)), to };
  };
  yield* inOrder(chunkItems.length - from, (n) => read(from + n));
}

/** An item that a run took up; without a line while it is not decided. */
interface TakenUp {
  readonly index: number;
  readonly line: Buffer | null;
}

/** What a retry took up, ascending, a chunk's items at a time. */
async function* takenUp(
  deps: LinesDeps,
  record: OperationRecord,
  chunks: RunChunks,
  ended: boolean,
): AsyncGenerator<readonly TakenUp[], void, void> {
  const { uid } = record;
  yield* inOrder(chunks.chunkItems.length, async (ordinal) => {
    const items = chunks.chunkItems[ordinal] ?? 0;
    const { lines, count } = await deps.storage.segments.readLines({ uid, run: chunks.run, ordinal }, items);
    if (count < items) return await withGaps(deps, record, { chunks, ordinal, ended }, lines);
    return [...splitLines(lines)].map((line) => ({ index: indexOfLine(line), line }));
  });
}

interface Place {
  readonly chunks: RunChunks;
  readonly ordinal: number;
  readonly ended: boolean;
}

/**
 * A chunk's items with their lines; those without one were never begun where the run has ended, unless their lines were
 * deleted under our hands.
 */
async function withGaps(
  { storage, targets }: LinesDeps,
  record: OperationRecord,
  { chunks, ordinal, ended }: Place,
  lines: Buffer,
): Promise<TakenUp[]> {
  const chunk = await chunks.read(ordinal);
  const labelOf = targets.labelsOf(record.target, chunk);
  if (ended) await refuseGone(storage.records, record);
  const standing = splitLines(lines);
  let next = standing.next();
  const all: TakenUp[] = [];
  for (let position = 0; position < chunk.header.items; position++) {
    const index = indexAt(chunk, position);
    if (next.done !== true && indexOfLine(next.value) === index) {
      all.push({ index, line: next.value });
      next = standing.next();
    } else if (ended) {
      all.push({ index, line: neverBegunLine(chunk, position, labelOf(position)) });
    } else all.push({ index, line: null });
  }
  return all;
}

/** Pieces that no item of the run falls into pass as they are. */
async function* overlay(
  base: AsyncGenerator<Piece, void, void>,
  run: AsyncGenerator<readonly TakenUp[], void, void>,
): AsyncGenerator<Piece, void, void> {
  const taken = createQueue(run);
  let next = await taken.next();
  for await (const piece of base) {
    if (next === null || next.index >= piece.to) {
      yield piece;
      continue;
    }
    const kept: Buffer[] = [];
    const keep = ({ line }: TakenUp) => {
      if (line !== null) kept.push(line);
    };
    for (const line of splitLines(piece.lines)) {
      const index = indexOfLine(line);
      for (; next !== null && next.index < index; next = taken.peek() ?? (await taken.next())) keep(next);
      if (next?.index === index) {
        keep(next);
        next = taken.peek() ?? (await taken.next());
      } else kept.push(line);
    }
    for (; next !== null && next.index < piece.to; next = taken.peek() ?? (await taken.next())) keep(next);
    yield { lines: joinLines(kept), to: piece.to };
  }
}

function createQueue(run: AsyncGenerator<readonly TakenUp[], void, void>) {
  let items: readonly TakenUp[] = [];
  let at = 0;
  /** null: more must be read. */
  const peek = (): TakenUp | null => items[at++] ?? null;
  return {
    peek,
    /** null: there are no more. */
    async next(): Promise<TakenUp | null> {
      for (;;) {
        const item = peek();
        if (item !== null) return item;
        const read = await run.next();
        if (read.done === true) return null;
        items = read.value;
        at = 0;
      }
    },
  };
}
