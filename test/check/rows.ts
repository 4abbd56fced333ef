/** The lines of a download, packed into a history's line and taken out again. */
import type { ItemOutcome } from '../../src/model/outcome.ts';
import { type Download, OUTCOME_LETTERS } from './history.ts';

export interface Row {
  readonly index: number;
  readonly outcome: ItemOutcome;
  readonly code: string | null;
}

export interface Rows extends Iterable<Row> {
  /** In the order of the download. */
  readonly inOrder: readonly Row[];
  /** The last one of that index. */
  at(index: number): Row | undefined;
}

export type PackedRows = Pick<Download, 'stretches' | 'outcomes' | 'codes'>;

const OUTCOMES: ReadonlyMap<string, ItemOutcome> = new Map(
  Object.entries(OUTCOME_LETTERS).map(([outcome, letter]) => [letter, outcome as ItemOutcome]),
);

export function packRows(rows: Iterable<Row>): PackedRows {
  const indexes: number[] = [];
  const codes: [number, string][] = [];
  let outcomes = '';
  for (const { index, outcome, code } of rows) {
    if (code !== null) codes.push([indexes.length, code]);
    indexes.push(index);
    outcomes += OUTCOME_LETTERS[outcome];
  }
  return { stretches: stretchesOf(indexes), outcomes, codes };
}

export function rowsOf({ stretches, outcomes, codes }: PackedRows): Rows {
  const codeAt = new Map(codes);
  const inOrder: Row[] = [];
  for (const index of indexesIn(stretches)) {
    const outcome = OUTCOMES.get(outcomes[inOrder.length] ?? '');
    if (outcome === undefined) throw new Error(`a download with ${outcomes.length} outcomes and more indexes`);
    inOrder.push({ index, outcome, code: codeAt.get(inOrder.length) ?? null });
  }
  const byIndex = new Map(inOrder.map((row) => [row.index, row]));
  return { inOrder, at: (index) => byIndex.get(index), [Symbol.iterator]: () => inOrder[Symbol.iterator]() };
}

type Stretch = readonly [first: number, last: number];

/** Keeps order and repetitions. */
export function stretchesOf(indexes: Iterable<number>): Stretch[] {
  const stretches: [number, number][] = [];
  for (const index of indexes) {
    const open = stretches.at(-1);
    if (open !== undefined && open[1] + 1 === index) open[1] = index;
    else stretches.push([index, index]);
  }
  return stretches;
}

export function* indexesIn(stretches: readonly Stretch[]): Generator<number> {
  for (const [first, last] of stretches) for (let index = first; index <= last; index++) yield index;
}
