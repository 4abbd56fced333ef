/** Result lines as the rows of a bulk action's log: line, entity key, status, reason. */
import { outcomeInLine } from '../../model/result-line.ts';
import { toCell } from '../native/results-format.ts';
import type { PageAsked } from '../pages.ts';
import { CANCELLED_REASON } from './bulk-action-view.ts';

export const ROW_STATUSES = ['SUCCESS', 'FAILED', 'SKIPPED'] as const;
export type RowStatus = (typeof ROW_STATUSES)[number];

export interface LogRow {
  /** 1-based line of the row in the file. */
  readonly line: number;
  /** What the entity is known by, e.g. a contact's e-mail; null where the row does not tell. */
  readonly entityKey: string | null;
  readonly status: RowStatus;
  /** null where it succeeded. */
  readonly reason: string | null;
}

/** null = any. `entityKey` in lower case. */
export interface LogFilter {
  readonly status: RowStatus | null;
  readonly entityKey: string | null;
}

const STATUS_OF: Readonly<Record<string, RowStatus>> = {
  succeeded: 'SUCCESS',
  failed: 'FAILED',
  unknown: 'FAILED',
  skipped: 'SKIPPED',
  cancelled: 'SKIPPED',
};

export interface LogPiece {
  /** Index of the item that its first line is of, whether that row fits or not. */
  readonly firstIndex: number;
  readonly rows: readonly (() => LogRow)[];
}

/** Piece by piece the rows that fit; a row is only parsed when it is wanted, or when its entity key decides. */
export async function* rowsOf(
  lines: AsyncIterable<Buffer>,
  { status, entityKey }: LogFilter,
): AsyncGenerator<LogPiece> {
  for await (const piece of lines) {
    const rows: (() => LogRow)[] = [];
    // Every result line begins so (model/result-line.ts).
    const firstIndex = Number(/^\{"index":(\d+)/.exec(piece.toString('latin1', 0, 24))?.[1] ?? 0);
    for (const line of linesOf(piece)) {
      if (status !== null && STATUS_OF[outcomeInLine(line)] !== status) continue;
      if (entityKey === null) rows.push(() => toRow(line));
      else {
        const row = toRow(line);
        if (row.entityKey?.toLowerCase() === entityKey) rows.push(() => row);
      }
    }
    if (rows.length > 0) yield { firstIndex, rows };
  }
}

function* linesOf(piece: Buffer): Generator<Buffer> {
  for (let start = 0; start < piece.length; ) {
    const found = piece.indexOf(0x0a, start);
    const end = found === -1 ? piece.length : found;
    if (end > start) yield piece.subarray(start, end);
    start = end + 1;
  }
}

interface Line {
  readonly line: number;
  readonly outcome: string;
  readonly reason?: string;
  readonly error?: { readonly message: string };
  readonly [label: string]: unknown;
}

function toRow(line: Buffer): LogRow {
  // Rendered in one place (model/result-line.ts).
  const row = JSON.parse(line.toString('utf8')) as Line;
  const status = STATUS_OF[row.outcome] ?? 'FAILED';
  return { line: row.line, entityKey: entityKeyOf(row), status, reason: reasonOf(row) };
}

function reasonOf({ outcome, reason, error }: Line): string | null {
  if (outcome === 'cancelled') return CANCELLED_REASON;
  return reason?.toUpperCase() ?? error?.message ?? null;
}

const KEY_LABELS = ['email', 'id', 'key', 'name'] as const;
const NO_LABELS: ReadonlySet<string> = new Set(
  'index line outcome attempts error result reason duplicateOf'.split(' '),
);

/** The label that is most likely to name the entity; else the first one that the target gives. */
function entityKeyOf(row: Line): string | null {
  const name =
    KEY_LABELS.find((label) => row[label] !== undefined) ?? Object.keys(row).find((it) => !NO_LABELS.has(it));
  const value = name === undefined ? undefined : row[name];
  return typeof value === 'string' || typeof value === 'number' ? String(value) : null;
}

const ROWS_PER_PIECE = 1_000;

/** What may be left out before a page: in a whole log without a filter, the row of an index stands at that place. */
export function placeOf(asked: PageAsked | null, { status, entityKey }: LogFilter): number {
  return asked === null || status !== null || entityKey !== null ? 0 : (asked.page - 1) * asked.limit;
}

export interface LogCsv {
  readonly filter: LogFilter;
  /** Every row is there. */
  readonly complete: boolean;
  /** null = all of them. */
  readonly asked: PageAsked | null;
  /** Cells that a spreadsheet would run as a formula get a `'` in front. */
  readonly guarded: boolean;
}

/** RFC 4180 with CRLF. */
export async function* toLogCsv(lines: AsyncIterable<Buffer>, csv: LogCsv): AsyncGenerator<Buffer> {
  yield Buffer.from('line,entityKey,status,reason\r\n');
  const from = csv.asked === null ? 0 : (csv.asked.page - 1) * csv.asked.limit;
  const until = csv.asked === null ? Infinity : from + csv.asked.limit;
  let seen = 0;
  for await (const { firstIndex, rows } of rowsOf(lines, csv.filter)) {
    if (csv.complete && placeOf(csv.asked, csv.filter) > 0) seen = firstIndex;
    for (let at = 0; at < rows.length; at += ROWS_PER_PIECE) {
      const wanted = rows.slice(at, at + ROWS_PER_PIECE).filter((_, n) => seen + n >= from && seen + n < until);
      seen += Math.min(ROWS_PER_PIECE, rows.length - at);
      if (wanted.length > 0) yield Buffer.from(wanted.map((row) => toCsvRow(row(), csv.guarded)).join(''));
    }
    if (seen >= until) return;
  }
}

function toCsvRow({ line, entityKey, status, reason }: LogRow, guarded: boolean): string {
  return `${[line, entityKey, status, reason].map((cell) => toCell(cell, guarded)).join(',')}\r\n`;
}
