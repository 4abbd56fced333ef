/** One item of an operation: what became of it, how it was last tried, and its payload, each by reading one chunk. */
import { type Chunk, type ItemFormat, itemBytes, positionOf } from '../../model/chunk.ts';
import { TrancheError } from '../../model/errors.ts';
import type { OperationRecord, RunRecord } from '../../model/operation.ts';
import { parseExact } from '../../targets/exact-json.ts';
import { orUnavailable, within } from '../deadline.ts';
import type { OperationsStorage, TargetRegistry } from '../deps.ts';
import { neverBegunLine } from '../never-begun.ts';
import type { ItemView, OperationView } from '../operations.ts';
import { refuseGone } from '../purge/gone.ts';
import { csvCell } from '../retry/correction-cells.ts';
import { correctedRowOf } from '../retry/corrections.ts';
import type { Status } from '../status/status.ts';
import { firstIndexes, readChunk } from './chunk-walk.ts';
import { readRecord, readRetries } from './results.ts';
import { ordinalOf, readRunChunk } from './runs.ts';

export interface ItemsDeps {
  readonly storage: OperationsStorage;
  readonly targets: TargetRegistry;
  readonly status: Status;
  readonly storeDeadlineMs: number;
}

export interface ItemInput {
  readonly mediaType: string;
  readonly body: Buffer;
}

export interface Items {
  item(account: string, id: string, index: number): Promise<ItemView>;
  itemInput(account: string, id: string, index: number): Promise<ItemInput>;
}

interface Facts {
  readonly operation: OperationView;
  readonly record: OperationRecord;
  readonly runs: readonly RunRecord[];
}

/** Where an item stands: the latest run that took it up. */
interface Place {
  readonly run: number;
  readonly ordinal: number;
  readonly chunk: Chunk;
  readonly position: number;
}

export function createItems(deps: ItemsDeps): Items {
  const { storage, status, storeDeadlineMs } = deps;

  async function factsOf(account: string, id: string, index: number): Promise<Facts> {
    // The state first: an operation that had ended by then has all its lines.
    const operation = await status.get(account, id);
    const record = await readRecord(storage, { account, id, storeDeadlineMs });
    if (!Number.isInteger(index) || index < 0 || index >= record.total) {
      throw new TrancheError('not_found', `there is no such item; the operation has ${record.total}, from index 0`);
    }
    return { operation, record, runs: await readRetries(storage, record, { upTo: operation.run, storeDeadlineMs }) };
  }

  async function read<T>(work: Promise<T>): Promise<T> {
    return await orUnavailable('the item cannot be read now; ask again', within(storeDeadlineMs, 'the item', work));
  }

  return {
    async item(account, id, index) {
      const facts = await factsOf(account, id, index);
      return await read(viewOf(deps, facts, index));
    },
    async itemInput(account, id, index) {
      const { record, runs } = await factsOf(account, id, index);
      const first = await read(placeInFirst(deps, record, index));
      const isCsv = first.chunk.header.format.kind === 'csv';
      const corrected = isCsv ? await read(findCorrection(deps, runs, index)) : null;
      if (corrected !== null) return corrected;
      // JSON is kept as it came by every run, a correction as what it made of its item.
      const { chunk, position } = isCsv ? first : await read(placeOf(deps, record, runs, index));
      const fault = chunk.header.faults.find((each) => each.position === position);
      const bytes = itemBytes(chunk, position);
      if (bytes.length > 0 || fault === undefined) return inputOf(chunk.header.format, bytes);
      throw new TrancheError('not_found', `this item was not kept: ${fault.message}`);
    },
  };
}

async function viewOf(deps: ItemsDeps, { operation, record, runs }: Facts, index: number): Promise<ItemView> {
  const { chunk, position, run, ordinal } = await placeOf(deps, record, runs, index);
  const at = { uid: record.uid, run, ordinal };
  const [{ line, trials, begun }, journals] = await Promise.all([
    deps.storage.segments.readItem(at, index),
    deps.storage.segments.journals(at),
  ]);
  const lastAttempts = trials.map(({ at: tried, code }) => ({ at: new Date(tried).toISOString(), code }));
  const common = { index, line: chunk.lines[position] ?? 0, run, lastAttempts };
  if (line !== null) return { ...common, ...decided(line) };
  // A later run than this one had to come after its end.
  if (operation.state !== 'ended' && operation.run === run) {
    return { ...common, outcome: begun || journals.length > 0 ? 'running' : 'pending', result: null };
  }
  await refuseGone(deps.storage.records, record);
  const label = deps.targets.labelsOf(record.target, chunk)(position);
  return { ...common, ...decided(neverBegunLine(chunk, position, label)) };
}

/** Numbers keep their digits. */
function decided(line: Buffer): Pick<ItemView, 'outcome' | 'result'> {
  const text = line.toString('utf8');
  const { outcome } = JSON.parse(text) as Pick<ItemView, 'outcome'>;
  return { outcome, result: parseExact(text).exact as NonNullable<ItemView['result']> };
}

async function placeOf(
  deps: ItemsDeps,
  record: OperationRecord,
  runs: readonly RunRecord[],
  index: number,
): Promise<Place> {
  for (const run of runs.toReversed()) {
    const ordinal = ordinalOf(run.firstIndexes, index);
    if (ordinal === -1) continue;
    const chunk = await readRunChunk(deps.storage.store, run, ordinal);
    const position = positionOf(chunk, index);
    if (position !== -1) return { run: run.run, ordinal, chunk, position };
  }
  return await placeInFirst(deps, record, index);
}

async function placeInFirst({ storage }: ItemsDeps, record: OperationRecord, index: number): Promise<Place> {
  const ordinal = ordinalOf(firstIndexes(record.chunkItems), index);
  const chunk = await readChunk(storage.store, record, ordinal);
  return { run: 1, ordinal, chunk, position: positionOf(chunk, index) };
}

/** The latest correction of a CSV's item, as it came; null where there is none. */
async function findCorrection(
  { storage: { store } }: ItemsDeps,
  runs: readonly RunRecord[],
  index: number,
): Promise<ItemInput | null> {
  for (const { corrections } of runs.toReversed()) {
    const ordinal = corrections === null ? -1 : ordinalOf(corrections.firstIndexes, index);
    if (corrections === null || ordinal === -1) continue;
    const chunk = await readRunChunk(store, corrections, ordinal);
    const position = positionOf(chunk, index);
    if (position === -1) continue;
    const { format } = chunk.header;
    if (format.kind === 'json') return inputOf(format, itemBytes(chunk, position));
    const row = correctedRowOf(chunk, position);
    if (row.whole !== '') return inputOf({ kind: 'json' }, Buffer.from(row.whole));
    const cells = [...row.cells];
    const rows = [cells.map(([column]) => column), cells.map(([, cell]) => cell)];
    return { mediaType: CSV, body: Buffer.from(rows.map((row) => `${row.map(csvCell).join(',')}\r\n`).join('')) };
  }
  return null;
}

const CSV = 'text/csv; charset=utf-8';

/** A row comes with its header. */
function inputOf(format: ItemFormat, bytes: Buffer): ItemInput {
  if (format.kind === 'json') return { mediaType: 'application/json', body: bytes };
  const header = format.columns.map(csvCell).join(format.delimiter);
  return { mediaType: CSV, body: Buffer.concat([Buffer.from(`${header}\r\n`), bytes, Buffer.from('\r\n')]) };
}
