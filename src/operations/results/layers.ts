/** Finds the latest payload of items asked for in input order: later runs and corrections lie over the submission. */
import { type Chunk, positionOf } from '../../model/chunk.ts';
import { letGo } from '../../storage/let-go.ts';
import { ordinalOf } from './runs.ts';

/** Chunks in input order, each with what is made of it once it is read. */
export interface Layer<Opened> {
  readonly firstIndexes: readonly number[];
  read(ordinal: number): Promise<Chunk>;
  open(chunk: Chunk): Opened;
}

export interface Found<Opened> {
  readonly chunk: Chunk;
  readonly position: number;
  readonly opened: Opened;
}

/** Answers at once where the chunk is at hand: most of a million look-ups do. */
export interface Cursor<Opened> {
  /** Indexes are asked for in rising order; what was found before may not be read any more. */
  at(index: number): Found<Opened> | null | Promise<Found<Opened> | null>;
}

/** Holds one chunk at a time. */
export function createCursor<Opened>(layer: Layer<Opened>): Cursor<Opened> {
  const { firstIndexes } = layer;
  let held: { readonly chunk: Chunk; readonly opened: Opened } | null = null;
  let ordinal = -1;

  function find(index: number): Found<Opened> | null {
    if (held === null) return null;
    const position = positionOf(held.chunk, index);
    return position === -1 ? null : { ...held, position };
  }

  async function turnTo(next: number, index: number): Promise<Found<Opened> | null> {
    if (held !== null) letGo(held.chunk.payload);
    held = null;
    const chunk = await layer.read(next);
    held = { chunk, opened: layer.open(chunk) };
    ordinal = next;
    return find(index);
  }

  return {
    at(index) {
      const isAhead = index >= (firstIndexes[ordinal + 1] ?? Number.POSITIVE_INFINITY);
      return isAhead ? turnTo(ordinalOf(firstIndexes, index), index) : find(index);
    },
  };
}

/** The first of the layers, newest first, that holds the index. */
export function createLatest<Opened>(newestFirst: readonly Layer<Opened>[]): Cursor<Opened> {
  const cursors = newestFirst.map(createCursor);

  async function goOn(from: number, first: Promise<Found<Opened> | null>, index: number) {
    const found = await first;
    return found ?? (await at(from + 1, index));
  }

  function at(from: number, index: number): ReturnType<Cursor<Opened>['at']> {
    for (let i = from; i < cursors.length; i++) {
      const found = cursors[i]?.at(index) ?? null;
      if (found instanceof Promise) return goOn(i, found, index);
      if (found !== null) return found;
    }
    return null;
  }

  return { at: (index) => at(0, index) };
}
