/** Dead letters as CSV: what is said of the item, then its own cells, as they came where the input was CSV. */
import { type Chunk, type ItemFormat, itemBytes } from '../../model/chunk.ts';
import { parseCsvRow } from '../../model/csv-row.ts';
import { TrancheError } from '../../model/errors.ts';
import { CSV_COLUMNS_MAX } from '../../model/limits.ts';
import { firstIndexes } from '../results/chunk-walk.ts';
import { type Cursor, createLatest, type Layer } from '../results/layers.ts';
import type { LinesDeps } from '../results/merged-lines.ts';
import { chunksOfFirst, readRunChunk } from '../results/runs.ts';
import { createBreather } from './breather.ts';
import { cellOf, columnName, csvCell, membersOf, OWN_COLUMNS, WHOLE_ITEM } from './correction-cells.ts';
import { correctedRowOf } from './corrections.ts';
import { createItemTextCursor, type TextOf } from './item-texts.ts';
import { type Letter, type LettersSource, lettersOf } from './letters.ts';

type CsvFormat = Extract<ItemFormat, { kind: 'csv' }>;

export async function createCsvLetters(
  deps: LinesDeps,
  source: LettersSource,
  input: ItemFormat,
): Promise<AsyncIterable<Buffer>> {
  if (input.kind === 'csv') {
    const hasOdd = await hasJsonCorrections(deps, source);
    const columns = [...(hasOdd ? [WHOLE_ITEM] : []), ...input.columns.map(columnName)];
    return render(deps, source, { columns, cells: rowCursor(deps, source, { input, hasOdd }) });
  }
  const { members, hasOdd } = await membersOfAll(deps, source);
  const columns = [...(hasOdd ? [WHOLE_ITEM] : []), ...[...members].map(columnName)];
  return render(deps, source, { columns, cells: memberCursor(deps, source, { members, hasOdd }) });
}

/** An item's cells, by its position in the chunk that is open. */
type CellsOf = (position: number) => readonly string[];

interface Table {
  readonly columns: readonly string[];
  readonly cells: Cursor<CellsOf>;
}

async function* render(
  deps: LinesDeps,
  source: LettersSource,
  { columns, cells }: Table,
): AsyncGenerator<Buffer, void, void> {
  const breathe = createBreather();
  yield Buffer.from(toRow([...OWN_COLUMNS, ...columns]));
  for await (const letters of lettersOf(deps, source)) {
    const rows: string[] = [];
    for (const letter of letters) {
      const turn = breathe();
      if (turn !== null) await turn;
      const finding = cells.at(letter.index);
      const found = finding instanceof Promise ? await finding : finding;
      rows.push(toRow([...ownCells(letter), ...(found?.opened(found.position) ?? [])]));
    }
    yield Buffer.from(rows.join(''));
  }
}

function ownCells({ index, line, outcome, error }: Letter): readonly string[] {
  return [`${index}`, `${line}`, outcome, error?.code ?? '', error?.message ?? ''];
}

function toRow(cells: readonly string[]): string {
  return `${cells.map(csvCell).join(',')}\r\n`;
}

/** Corrections that came as JSON do not fit the columns of a CSV: what a target makes of a row cannot be undone. */
async function hasJsonCorrections({ storage: { store } }: LinesDeps, { runs }: LettersSource): Promise<boolean> {
  const layers = runs.flatMap(({ corrections }) => (corrections === null ? [] : [corrections]));
  const kinds = await Promise.all(
    layers.map(async (layer) => (await readRunChunk(store, layer, 0)).header.format.kind),
  );
  return kinds.includes('json');
}

interface RowColumns {
  readonly input: CsvFormat;
  /** The first cell holds items that do not fit the columns. */
  readonly hasOdd: boolean;
}

/** The latest correction's cells, else those of the input. */
function rowCursor({ storage: { store } }: LinesDeps, source: LettersSource, columns: RowColumns): Cursor<CellsOf> {
  const { record, runs } = source;
  const first = chunksOfFirst(store, record, firstIndexes(record.chunkItems));
  const corrections = runs.flatMap(({ corrections }) => (corrections === null ? [] : [corrections])).reverse();
  const layers: Layer<CellsOf>[] = corrections.map((layer) => ({
    firstIndexes: layer.firstIndexes,
    read: (ordinal) => readRunChunk(store, layer, ordinal),
    open: (chunk) => correctedCells(chunk, columns),
  }));
  const { input, hasOdd } = columns;
  const open = (chunk: Chunk): CellsOf => {
    const cellsOf = inputCells(chunk, input);
    return hasOdd ? (position) => ['', ...cellsOf(position)] : cellsOf;
  };
  return createLatest([...layers, { firstIndexes: first.firstIndexes, read: first.read, open }]);
}

function correctedCells(chunk: Chunk, { input, hasOdd }: RowColumns): CellsOf {
  return (position) => {
    if (chunk.header.format.kind === 'json') {
      return [itemBytes(chunk, position).toString('utf8'), ...input.columns.map(() => '')];
    }
    const { cells, whole } = correctedRowOf(chunk, position);
    const own = input.columns.map((column) => cells.get(column) ?? '');
    return hasOdd ? [whole, ...own] : own;
  };
}

/** Of a broken row all that is there: nothing that its sender wrote is lost, and he can see where it went wrong. */
function inputCells(chunk: Chunk, { columns, delimiter }: CsvFormat): CellsOf {
  return (position) => {
    const bytes = itemBytes(chunk, position);
    const row = parseCsvRow(bytes, delimiter);
    const cells = 'cells' in row ? row.cells : [bytes.toString('utf8')];
    const last = Math.max(0, columns.length - 1);
    const rest = cells.length > columns.length ? [cells.slice(last).join(delimiter)] : cells.slice(last);
    const all = [...cells.slice(0, last), ...rest];
    return columns.map((_, i) => all[i] ?? '');
  };
}

interface Members {
  readonly members: ReadonlySet<string>;
  /** Some item does not fit the columns, or may not: it is given as a whole. */
  readonly hasOdd: boolean;
}

/** Left for the columns of the download's own. */
const MEMBERS_MAX = CSV_COLUMNS_MAX - OWN_COLUMNS.length - 1;

/** One walk ahead of the download. */
async function membersOfAll(deps: LinesDeps, source: LettersSource): Promise<Members> {
  const texts = createItemTextCursor(deps, source.record, source.runs);
  const members = new Set<string>();
  const breathe = createBreather();
  // While the operation runs, items may come that this walk has not seen.
  let hasOdd = !source.complete;
  for await (const letters of lettersOf(deps, source)) {
    for (const { index } of letters) {
      const turn = breathe();
      if (turn !== null) await turn;
      const finding = texts.at(index);
      const found = finding instanceof Promise ? await finding : finding;
      const of = found === null ? null : membersOf(textAt(found.opened, found.position));
      if (of === null) hasOdd = true;
      for (const name of of?.keys() ?? []) {
        if (isColumn(name)) members.add(name);
        else hasOdd = true;
      }
      if (members.size > MEMBERS_MAX) throw tooManyMembers();
    }
  }
  return { members, hasOdd };
}

/** A header's names are trimmed, and none is empty. */
function isColumn(name: string): boolean {
  return name !== '' && name === name.trim();
}

function textAt(textOf: TextOf, position: number): string {
  const read = textOf(position);
  return read.ok ? read.text.toString('utf8') : '';
}

function memberCursor(deps: LinesDeps, source: LettersSource, { members, hasOdd }: Members): Cursor<CellsOf> {
  const texts = createItemTextCursor(deps, source.record, source.runs);
  const names = [...members];
  const cellsOf = (textOf: TextOf): CellsOf => {
    return (position) => {
      const text = textAt(textOf, position);
      const of = membersOf(text);
      const fits = of !== null && [...of.keys()].every((name) => members.has(name));
      const cells = names.map((name) => (fits ? cellOf(of.get(name)) : ''));
      return hasOdd ? [fits ? '' : text, ...cells] : cells;
    };
  };
  const opened = (found: Awaited<ReturnType<Cursor<TextOf>['at']>>) =>
    found === null ? null : { ...found, opened: cellsOf(found.opened) };
  return {
    at(index) {
      const found = texts.at(index);
      return found instanceof Promise ? found.then(opened) : opened(found);
    },
  };
}

function tooManyMembers(): TrancheError {
  const message = `the items have more than ${MEMBERS_MAX} members between them, too many for a CSV; take ndjson`;
  return new TrancheError('content_too_large', message, { limit: MEMBERS_MAX, unit: 'columns' });
}
