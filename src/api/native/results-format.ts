/** Result lines in the format that a reader asks for. NDJSON, as stored, passes through untouched. */

export const RESULT_FORMATS = ['ndjson', 'csv', 'json'] as const;
export type ResultFormat = (typeof RESULT_FORMATS)[number];

export const RESULT_MEDIA_TYPES: Readonly<Record<ResultFormat, string>> = {
  ndjson: 'application/x-ndjson',
  csv: 'text/csv; charset=utf-8; header=present',
  json: 'application/json',
};

const LINE_END = 0x0a;

/** `lines`: buffers of whole NDJSON lines. No JSON text holds a raw line end, so each one found is a separator. */
export async function* toJsonArray(lines: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  let before = '[';
  for await (const piece of lines) {
    if (piece.length === 0) continue;
    // latin1 maps bytes to characters one to one: UTF-8 inside comes out as it went in.
    const end = piece[piece.length - 1] === LINE_END ? piece.length - 1 : piece.length;
    yield Buffer.from(before + piece.toString('latin1', 0, end).split('\n').join(',\n'), 'latin1');
    before = ',\n';
  }
  yield Buffer.from(before === '[' ? '[]\n' : ']\n');
}

/** Stable: new columns are added at the end. `details` holds, as JSON, every member that has no column of its own. */
export const CSV_COLUMNS = [
  'index',
  'line',
  'type',
  'id',
  'outcome',
  'attempts',
  'code',
  'message',
  'result',
  'details',
] as const;

/** Rows per piece: bounds how long one piece holds the event loop (about 5 ms). */
const ROWS_PER_PIECE = 1_000;

/**
 * RFC 4180 with CRLF. `guarded`: cells that a spreadsheet would run as a formula get a `'` in front;
 * without it every cell is exactly the value.
 */
export async function* toCsv(lines: AsyncIterable<Buffer>, { guarded }: { guarded: boolean }): AsyncGenerator<Buffer> {
  yield Buffer.from(`${CSV_COLUMNS.join(',')}\r\n`);
  for await (const piece of lines) {
    let rows = '';
    let count = 0;
    for (let start = 0; start < piece.length; ) {
      const found = piece.indexOf(LINE_END, start);
      const end = found === -1 ? piece.length : found;
      if (end > start) rows += toRow(piece.toString('utf8', start, end), guarded);
      start = end + 1;
      count += 1;
      if (count % ROWS_PER_PIECE !== 0) continue;
      yield Buffer.from(rows);
      rows = '';
    }
    if (rows !== '') yield Buffer.from(rows);
  }
}

function toRow(line: string, guarded: boolean): string {
  const row = parseExact(line);
  const error = isMembers(row['error']) ? row['error'] : NO_MEMBERS;
  const { index, line: at, type, id, outcome, attempts, reason, result } = row;
  const { code = reason, message } = error;
  const cells = [index, at, type, id, outcome, attempts, code, message, result, detailsOf(row, error)];
  return `${cells.map((cell) => toCell(cell, guarded)).join(',')}\r\n`;
}

const NO_MEMBERS: Members = {};
const ROW_COLUMNS: ReadonlySet<string> = new Set('index line type id outcome attempts reason error result'.split(' '));
const ERROR_COLUMNS: ReadonlySet<string> = new Set(['code', 'message']);

/** undefined for most rows: then nothing is copied. Without a prototype, `__proto__` is a name like any other. */
function detailsOf(row: Members, error: Members): Members | undefined {
  let details: Record<string, unknown> | undefined;
  for (const name in row) {
    if (ROW_COLUMNS.has(name)) continue;
    details ??= Object.create(null) as Record<string, unknown>;
    details[name] = row[name];
  }
  for (const name in error) {
    if (ERROR_COLUMNS.has(name)) continue;
    details ??= Object.create(null) as Record<string, unknown>;
    details[name] = error[name];
  }
  return details;
}

type Members = Readonly<Record<string, unknown>>;

function isMembers(value: unknown): value is Members {
  return typeof value === 'object' && value !== null;
}

const MAYBE_INEXACT = /\d[eE][-+\d]|[\d.]{16}/;

/** Numbers that a double cannot hold keep their digits. The reviver costs ten times a plain parse: only where needed. */
function parseExact(line: string): Members {
  const value: unknown = MAYBE_INEXACT.test(line) ? JSON.parse(line, keepDigits) : JSON.parse(line);
  if (!isMembers(value)) throw new Error('a result line is not an object');
  return value;
}

function keepDigits(_name: string, value: unknown, context?: { readonly source?: string }): unknown {
  const source = context?.source;
  if (typeof value !== 'number' || source === undefined || String(value) === source) return value;
  return rawJson(source);
}

/** Guarantees what the type library does not know yet: V8 renders the returned object as `source`, digit for digit. */
function rawJson(source: string): unknown {
  return (JSON as typeof JSON & { rawJSON(text: string): unknown }).rawJSON(source);
}

/** Full-width signs too: some spreadsheets take them for the plain ones. */
const FORMULA = /^[=+\-@\t\r\n\uff1d\uff0b\uff0d\uff20]/;

export function toCell(value: unknown, guarded: boolean): string {
  if (value === undefined || value === null) return '';
  if (typeof value === 'number') return guarded && value < 0 ? `'${value}` : String(value);
  const text = typeof value === 'string' ? value : JSON.stringify(value);
  const safe = guarded && FORMULA.test(text) ? `'${text}` : text;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}
