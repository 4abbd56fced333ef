/** Rows as a file's bytes, block by block in constant memory, and exactly what a service that reads it must come to. */
import { contactsMaker } from './contacts.ts';
import { createDraw, type Draw } from './draw.ts';
import { DIRT, type Dirt, type RowKind, type RowMaker } from './maker.ts';
import { productsMaker } from './products.ts';

export const SUBJECTS = ['contacts', 'products'] as const;
export type Subject = (typeof SUBJECTS)[number];
export const FORMATS = ['csv', 'json', 'ndjson'] as const;
export type Format = (typeof FORMATS)[number];

export interface Order {
  readonly subject: Subject;
  readonly rows: number;
  /** 0 to 1. */
  readonly dirtyShare: number;
  readonly seed: number;
  readonly format: Format;
}

export interface Made {
  readonly rows: number;
  readonly valid: number;
  readonly invalid: number;
  readonly duplicate: number;
  readonly ragged: number;
  /** Where the vendor or the database refuses nothing. */
  readonly expected: { readonly succeeded: number; readonly failed: number; readonly skipped: number };
}

export interface Generated {
  /** To be read once, to its end. */
  readonly blocks: Generator<Buffer>;
  /** Whole once the blocks are read. */
  made(): Made;
}

const BLOCK_CHARS = 64 * 1024;
/** Rows that duplicates are of: a sample of all valid ones so far. */
const SAMPLE_ROWS = 1_000;

export function generate(order: Order): Generated {
  const counts = { valid: 0, invalid: 0, duplicate: 0, ragged: 0 };
  const maker = order.subject === 'contacts' ? contactsMaker(order.seed) : productsMaker();
  return {
    blocks: toBlocks(rowsOf(order, maker, counts), order, maker),
    made() {
      const { valid, invalid, duplicate, ragged } = counts;
      const expected = { succeeded: valid, failed: invalid + ragged, skipped: duplicate };
      return { rows: valid + invalid + duplicate + ragged, ...counts, expected };
    },
  };
}

interface Row {
  readonly kind: RowKind;
  readonly cells: string[];
}

function* rowsOf(order: Order, maker: RowMaker, counts: Record<RowKind, number>): Generator<Row> {
  const draw = createDraw(order.seed);
  const left = shares(order, maker);
  const sample: number[] = [];
  for (let row = 0; row < order.rows; row++) {
    const kind = takeKind(left, draw, sample.length > 0);
    counts[kind]++;
    yield { kind, cells: cellsFor(maker, kind, row, sample, createDraw(order.seed, row), draw) };
    if (kind === 'valid') remember(sample, row, counts.valid, draw);
  }
}

/** Exactly as many dirty rows as asked for, to the next whole one. */
function shares({ rows, dirtyShare, format }: Order, { dirt }: RowMaker): Record<RowKind, number> {
  const dirty = Math.round(rows * dirtyShare);
  const part = (kind: Dirt) => Math.floor((dirty * dirt[kind]) / 100);
  const duplicate = part('duplicate');
  const ragged = format === 'csv' ? part('ragged') : 0;
  return { valid: rows - dirty, invalid: dirty - duplicate - ragged, duplicate, ragged };
}

/** Each order of the kinds is as likely as any other, but that a duplicate has a valid row before it. */
function takeKind(left: Record<RowKind, number>, draw: Draw, hasValid: boolean): RowKind {
  if (!hasValid && left.duplicate > 0 && left.valid === 0) {
    // Nothing will ever be valid: there is nothing to be a duplicate of.
    left.invalid += left.duplicate;
    left.duplicate = 0;
  }
  const kinds = (['valid', ...DIRT] as const).filter((kind) => hasValid || kind !== 'duplicate');
  let at = draw.int(kinds.reduce((sum, kind) => sum + left[kind], 0));
  const taken = kinds.find((kind) => {
    at -= left[kind];
    return at < 0;
  });
  const kind = taken ?? 'valid';
  left[kind]--;
  return kind;
}

function cellsFor(
  maker: RowMaker,
  kind: RowKind,
  row: number,
  sample: readonly number[],
  own: Draw,
  draw: Draw,
): string[] {
  if (kind === 'invalid') return maker.invalid(row, own);
  if (kind === 'duplicate') return maker.duplicate(row, sample[draw.int(sample.length)] ?? 0, own);
  const cells = maker.valid(row, own);
  if (kind === 'valid') return cells;
  return own.int(2) === 0 ? cells.slice(0, -1) : [...cells, 'one too many'];
}

/** Reservoir sampling. */
function remember(sample: number[], row: number, valid: number, draw: Draw): void {
  if (sample.length < SAMPLE_ROWS) sample.push(row);
  else {
    const at = draw.int(valid);
    if (at < SAMPLE_ROWS) sample[at] = row;
  }
}

function* toBlocks(rows: Generator<Row>, { format }: Order, maker: RowMaker): Generator<Buffer> {
  let text = format === 'csv' ? csvLine(maker.columns) : format === 'json' ? '[' : '';
  let first = true;
  for (const { cells } of rows) {
    if (format === 'csv') text += csvLine(cells);
    else if (format === 'ndjson') text += `${JSON.stringify(maker.toItem(cells))}\n`;
    else text += `${first ? '\n' : ',\n'}${JSON.stringify(maker.toItem(cells))}`;
    first = false;
    if (text.length < BLOCK_CHARS) continue;
    yield Buffer.from(text);
    text = '';
  }
  if (format === 'json') text += '\n]\n';
  if (text !== '') yield Buffer.from(text);
}

function csvLine(cells: readonly string[]): string {
  return `${cells.map(csvCell).join(',')}\r\n`;
}

function csvCell(cell: string): string {
  return /[",;\t\r\n]/.test(cell) ? `"${cell.replaceAll('"', '""')}"` : cell;
}
