/** What a correction makes of its item: its JSON text, and whether that is another than before. */

import { itemBytes } from '../../model/chunk.ts';
import { TrancheError } from '../../model/errors.ts';
import type { OperationRecord, RunLayer } from '../../model/operation.ts';
import type { BlobStore } from '../../storage/blob-store.ts';
import type { ItemText } from '../../targets/item-reader.ts';
import type { TargetRegistry } from '../deps.ts';
import { readChunk } from '../results/chunk-walk.ts';
import { type Cursor, createCursor, type Found } from '../results/layers.ts';
import { readRunChunk } from '../results/runs.ts';
import { type CorrectedRow, correctItem, ownColumn } from './correction-cells.ts';
import { correctedRowOf } from './corrections.ts';

export interface CorrectedItem {
  readonly item: ItemText;
  readonly changed: boolean;
}

export interface CorrectedItems {
  /** Ascending; null where the item has no correction. */
  readonly cursor: Cursor<null>;
  correct(original: ItemText, correction: Found<null>): CorrectedItem;
}

export interface CorrectedItemsDeps {
  readonly store: BlobStore;
  readonly targets: Pick<TargetRegistry, 'rowText' | 'acceptsText'>;
}

/** Throws `invalid_header` where a CSV of corrections lacks a column of the CSV that it corrects. */
export async function openCorrectedItems(
  { store, targets }: CorrectedItemsDeps,
  record: OperationRecord,
  layer: RunLayer | null,
): Promise<CorrectedItems> {
  if (layer === null) return { cursor: { at: () => null }, correct: (item) => ({ item, changed: false }) };
  const read = (ordinal: number) => readRunChunk(store, layer, ordinal);
  const cursor = createCursor({ firstIndexes: layer.firstIndexes, read, open: () => null });
  const [mine, input] = [(await read(0)).header.format, (await readChunk(store, record, 0)).header.format];
  if (mine.kind === 'csv' && input.kind === 'csv') checkColumns(mine.columns, input.columns);

  /** A row that was lost as a whole comes back empty: it is as broken as before. */
  function textOfRow(original: ItemText, cells: Record<string, string>): string {
    if (!original.ok && Object.keys(cells).length === 0) return '';
    return targets.rowText(record.target, cells);
  }

  function textOf(original: ItemText, { chunk, position }: Found<null>): string | Buffer {
    if (mine.kind === 'json') return itemBytes(chunk, position);
    const row = correctedRowOf(chunk, position);
    if (row.whole !== '') return row.whole;
    if (input.kind === 'csv') return textOfRow(original, cellsOfRow(row, input.columns));
    const before = original.ok ? original.text.toString('utf8') : '';
    return correctItem(before, row, (text) => targets.acceptsText(record.target, text));
  }

  return {
    cursor,
    correct(original, correction) {
      const text = Buffer.from(textOf(original, correction));
      if (!original.ok && text.length === 0) return { item: original, changed: false };
      const changed = !original.ok || !text.equals(original.text);
      return { item: { ok: true, text }, changed };
    },
  };
}

function checkColumns(columns: readonly string[], wanted: readonly string[]): void {
  const own = new Set(columns.map(ownColumn));
  const missing = wanted.filter((column) => !own.has(column));
  if (missing.length === 0) return;
  const detail = `it lacks ${JSON.stringify(missing[0])}, which the corrected items have; keep all columns`;
  throw new TrancheError('invalid_header', `the CSV header is not valid: ${detail}`);
}

/** Columns that the input does not have are the items' too, but for underscored ones: those are a spreadsheet's own. */
function cellsOfRow({ cells }: CorrectedRow, inputColumns: readonly string[]): Record<string, string> {
  const row: Record<string, string> = Object.create(null);
  for (const [column, cell] of cells) {
    if (cell !== '' && (!column.startsWith('_') || inputColumns.includes(column))) row[column] = cell;
  }
  return row;
}
