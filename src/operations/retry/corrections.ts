/** Corrected items that come with a retry: framed as any body is, checked, and kept as sparse chunks by index. */
import { isUtf8 } from 'node:buffer';
import type { Ingest, Ingested } from '../../ingest/ingest.ts';
import { type Chunk, decodeChunk, itemBytes } from '../../model/chunk.ts';
import { parseCsvRow } from '../../model/csv-row.ts';
import { TrancheError } from '../../model/errors.ts';
import { ITEM_DEPTH_MAX } from '../../model/limits.ts';
import type { RunLayer } from '../../model/operation.ts';
import type { BlobStore } from '../../storage/blob-store.ts';
import { depthOf, memberOf, parseExact } from '../../targets/exact-json.ts';
import type { RetryRequest } from '../operations.ts';
import type { OperationsSettings } from '../settings.ts';
import { type ChosenChunks, createChosenChunks } from './chosen-chunks.ts';
import { createComplaints } from './complaints.ts';
import { type CorrectedRow, ownColumn, WHOLE_ITEM } from './correction-cells.ts';

export interface Corrections {
  readonly layer: RunLayer;
  /** Of the decoded body. */
  readonly sha256: string;
  readonly mediaType: string;
}

export interface CorrectionsRequest {
  readonly request: RetryRequest;
  readonly prefix: string;
  /** Items of the operation. */
  readonly total: number;
}

export interface CorrectionsDeps {
  readonly store: BlobStore;
  readonly ingest: Ingest;
  readonly settings: OperationsSettings;
}

const INDEX_COLUMN = '_index';
/** What stands beside the item in its row, where quotes are doubled, too. */
const ROW_BYTES_MORE = 4_096;

/**
 * Throws what ingest throws, and `invalid_selection` that lists the first faults. Indexes must rise, as they do in the
 * download: so a million corrections are joined to their items with little memory.
 */
export async function stageCorrections(
  { store, ingest, settings }: CorrectionsDeps,
  { request, prefix, total }: CorrectionsRequest,
): Promise<Corrections | null> {
  if (request.corrections === null) return null;
  const { bytesMax, idleTimeoutMs, itemBytesMax, storeDeadlineMs } = settings;
  const complaints = createComplaints();
  let chunks: ChosenChunks | null = null;
  let last = -1;
  let taking: Promise<void> = Promise.resolve();

  async function take(chunk: Chunk): Promise<void> {
    const { format } = chunk.header;
    chunks ??= createChosenChunks({ store, prefix, format, itemsFirst: undefined, storeDeadlineMs });
    const read = createRowReader(chunk);
    for (let position = 0; position < chunk.header.items; position++) {
      const line = chunk.lines[position] ?? 0;
      const row = read(position);
      const fault = typeof row === 'string' ? row : faultOf(row.index, last, total);
      if (fault !== null || typeof row === 'string') complaints.add(`line ${line}: ${fault}`);
      else {
        last = row.index;
        // Nothing is kept of what is refused.
        if (complaints.none()) await chunks.add({ index: row.index, line, keyRun: 0, content: row.content });
      }
    }
  }

  const sink: Parameters<Ingest>[1] = ({ blob }) => {
    const next = taking.then(() => take(decodeChunk(blob)));
    taking = next.catch(() => {});
    return next;
  };
  const { signal, corrections } = request;
  const rowBytesMax = ROW_BYTES_MORE + 2 * itemBytesMax;
  const ingested = await ingest({ ...corrections, bytesMax, idleTimeoutMs, itemBytesMax: rowBytesMax, signal }, sink);
  complaints.check('the corrections cannot be taken');
  return await finish(chunks, prefix, ingested);
}

async function finish(chunks: ChosenChunks | null, prefix: string, { input }: Ingested): Promise<Corrections> {
  const kept = await chunks?.end();
  const layer = { prefix, firstIndexes: kept?.firstIndexes ?? [] };
  return { layer, sha256: input.sha256, mediaType: input.mediaType };
}

function faultOf(index: number, last: number, total: number): string | null {
  if (index >= total) return `there is no index ${index}; the operation has ${total} items`;
  if (index === last) return `index ${index} is there twice`;
  return index < last ? `index ${index} stands behind ${last}; order the rows by index` : null;
}

interface Row {
  readonly index: number;
  readonly content: Buffer;
}

/** Answers what is wrong with a row, else its index and the item as it came. */
function createRowReader(chunk: Chunk): (position: number) => Row | string {
  const faults = new Map(chunk.header.faults.map(({ position, message }) => [position, message] as const));
  const { format } = chunk.header;
  const read = format.kind === 'csv' ? csvRowReader(format.columns, format.delimiter) : readJsonRow;
  return (position) => faults.get(position) ?? read(itemBytes(chunk, position));
}

function readJsonRow(bytes: Buffer): Row | string {
  if (!isUtf8(bytes)) return 'it is not valid UTF-8';
  const text = bytes.toString('utf8');
  // The item lies one level down.
  if (depthOf(text) > ITEM_DEPTH_MAX + 1) return `the item is nested deeper than ${ITEM_DEPTH_MAX} levels`;
  let row: unknown;
  try {
    row = parseExact(text).exact;
  } catch {
    return 'it is not valid JSON';
  }
  const index = memberOf(row, 'index');
  const item = memberOf(row, 'item');
  if (!isIndex(index)) return 'give the item’s index, a whole number from 0, as member "index"';
  if (item === undefined) return `index ${index} has no member "item"`;
  return { index, content: Buffer.from(JSON.stringify(item)) };
}

function csvRowReader(columns: readonly string[], delimiter: ',' | ';' | '\t'): (bytes: Buffer) => Row | string {
  const at = columns.indexOf(INDEX_COLUMN);
  if (at === -1) {
    throw new TrancheError('invalid_header', `the CSV header has no column ${INDEX_COLUMN}; take it from the download`);
  }
  return (bytes) => {
    const row = parseCsvRow(bytes, delimiter);
    if ('message' in row) return row.message;
    if (row.cells.length !== columns.length) {
      return `the row has ${row.cells.length} cells, the header ${columns.length}`;
    }
    const cell = row.cells[at]?.trim() ?? '';
    const index = Number(cell);
    if (cell === '' || !isIndex(index)) return `${INDEX_COLUMN} must be a whole number from 0`;
    return { index, content: bytes };
  };
}

function isIndex(value: unknown): value is number {
  return typeof value === 'number' && Number.isInteger(value) && value >= 0;
}

/** The cells of a kept CSV correction. */
export function correctedRowOf(chunk: Chunk, position: number): CorrectedRow {
  const { format } = chunk.header;
  const cells = new Map<string, string>();
  if (format.kind === 'json') return { cells, whole: '' };
  const row = parseCsvRow(itemBytes(chunk, position), format.delimiter);
  let whole = '';
  for (const [i, column] of format.columns.entries()) {
    const cell = 'cells' in row ? (row.cells[i] ?? '') : '';
    const own = ownColumn(column);
    if (own !== null) cells.set(own, cell);
    else if (column === WHOLE_ITEM) whole = cell;
  }
  return { cells, whole };
}
