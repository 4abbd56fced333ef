/** Items as CSV cells and back: what a download of dead letters shows, and what a corrected cell of it means. */
import { digitsOf, parseExact } from '../../targets/exact-json.ts';

/** Columns of the download that are not the items' own. */
export const OWN_COLUMNS = ['_index', '_line', '_outcome', '_code', '_message'] as const;
/** Holds an item that does not fit the columns, as it came. */
export const WHOLE_ITEM = '_item';

const RESERVED = /^_+(?:index|line|outcome|code|message|item)$/;

/** An item's column of a reserved name gets one underscore more. */
export function columnName(own: string): string {
  return RESERVED.test(own) ? `_${own}` : own;
}

/** The item's own column; null where it is the download's. */
export function ownColumn(column: string): string | null {
  if (!RESERVED.test(column)) return column;
  return column.startsWith('__') ? column.slice(1) : null;
}

/** Members of a JSON object; null where the text is none. */
export function membersOf(text: string): ReadonlyMap<string, unknown> | null {
  try {
    const { exact } = parseExact(text);
    const isObject = typeof exact === 'object' && exact !== null && !Array.isArray(exact) && digitsOf(exact) === null;
    return isObject ? new Map(Object.entries(exact)) : null;
  } catch {
    return null;
  }
}

/** Strings as they are, all else as JSON text. */
export function cellOf(value: unknown): string {
  if (value === undefined) return '';
  return typeof value === 'string' ? value : JSON.stringify(value);
}

/** One row of the download that came back. */
export interface CorrectedRow {
  /** By the items' own columns. */
  readonly cells: ReadonlyMap<string, string>;
  /** The cell `_item`: the item itself, whatever the cells say; empty where there is none. */
  readonly whole: string;
}

/**
 * The JSON text of an item whose cells came back: a cell that is as it was keeps its value exactly, an emptied one is
 * absent, a changed one has the type that it had. Where the target refuses that and takes it as the other type, it is.
 */
export function correctItem(original: string, row: CorrectedRow, accepts: (text: string) => boolean): string {
  if (row.whole !== '') return row.whole;
  const members = membersOf(original);
  const likely = render(members, row, decode);
  if (likely === null) return original;
  if (accepts(likely)) return likely;
  const other = render(members, row, decodeOtherwise);
  return other !== null && accepts(other) ? other : likely;
}

type Decode = (cell: string, before: unknown) => unknown;

/** null: nothing was changed. */
function render(members: ReadonlyMap<string, unknown> | null, { cells }: CorrectedRow, read: Decode): string | null {
  const item = new Map(members);
  let changed = false;
  for (const [column, cell] of cells) {
    const before = item.get(column);
    // Underscored columns that the item never had are a spreadsheet's own.
    if (cell === cellOf(before) || (column.startsWith('_') && !item.has(column))) continue;
    changed = true;
    if (cell === '') item.delete(column);
    else item.set(column, read(cell, before));
  }
  if (!changed) return null;
  const parts = [...item].map(([name, value]) => `${JSON.stringify(name)}:${JSON.stringify(value)}`);
  return `{${parts.join(',')}}`;
}

function decode(cell: string, before: unknown): unknown {
  return typeof before === 'string' ? cell : fromJson(cell);
}

function decodeOtherwise(cell: string, before: unknown): unknown {
  return typeof before === 'string' ? fromJson(cell) : cell;
}

/** A cell that is JSON, but not text in quotes, is what it says. */
function fromJson(cell: string): unknown {
  try {
    const { exact } = parseExact(cell);
    return typeof exact === 'string' ? cell : exact;
  } catch {
    return cell;
  }
}

/** RFC 4180: quoted only where it must be; the other two delimiters count, since a reader guesses which one is used. */
export function csvCell(text: string): string {
  return /["\r\n,;\t]/.test(text) || text.startsWith(' ') || text.endsWith(' ')
    ? `"${text.replaceAll('"', '""')}"`
    : text;
}
