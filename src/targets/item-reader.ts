/** Raw bytes of a chunk → items that passed their target's schema, or the fault that makes them `failed`. */
import { isAscii, isUtf8 } from 'node:buffer';
import type { Chunk, ItemFault, ItemFormat } from '../model/chunk.ts';
import { idempotencyKeyAt, indexAt, itemBytes } from '../model/chunk.ts';
import { parseCsvRow } from '../model/csv-row.ts';
import { ITEM_DEPTH_MAX } from '../model/limits.ts';
import type { ItemError } from '../model/outcome.ts';
import { depthOf, type ParsedJson, parseExact } from './exact-json.ts';
import type { ItemLabel, Target, TargetItem } from './target.ts';

export type ReadItem =
  | { readonly ok: true; readonly item: TargetItem<unknown>; readonly label: ItemLabel }
  | { readonly ok: false; readonly error: ItemError; readonly label: ItemLabel };

export interface ItemReader {
  read(position: number): ReadItem;
  /**
   * What `dedupeBy` says of the item; null where `read` finds it invalid, or where nothing is to be said of it. Cheaper
   * than `read`.
   */
  keyOf(position: number): string | null;
  line(position: number): number;
  /** What is known of an item that is not to be applied. */
  label(position: number): ItemLabel;
}

const NO_LABEL: ItemLabel = {};
/** Short enough that its string dies young: one for a whole chunk would live outside the heap until a full collection. */
const STRETCH_BYTES = 32 * 1024;

export function createItemReader(chunk: Chunk, target: Target, uid: string): ItemReader {
  const faults = new Map(chunk.header.faults.map((fault) => [fault.position, fault] as const));
  const textOf = createDecoder(chunk);
  const parse = createParser(chunk, target, parseExact);
  const parsePlain = createParser(chunk, target, plainly);

  function readText(position: number, parse: (text: string) => Parsed): Parsed {
    const fault = faults.get(position);
    if (fault !== undefined) return refused(fault.code, fault.message, fault.column);
    const text = textOf(position);
    return text === null ? refused('invalid_utf8', 'the item is not valid UTF-8') : parse(text);
  }

  return {
    read(position) {
      const parsed = readText(position, parse);
      if (!parsed.ok) return { ok: false, error: parsed.error, label: NO_LABEL };
      const { value, exact } = parsed.json;
      const label = target.label?.(exact) ?? NO_LABEL;
      const checked = target.item.safeParse(value);
      if (!checked.success) return { ok: false, error: invalidItem(checked.error.issues), label };
      const idempotencyKey = idempotencyKeyAt(chunk, uid, position);
      return { ok: true, item: { index: indexAt(chunk, position), item: checked.data, exact, idempotencyKey }, label };
    },
    keyOf(position) {
      try {
        const parsed = readText(position, parsePlain);
        if (!parsed.ok) return null;
        const checked = target.item.safeParse(parsed.json.value);
        return checked.success ? (target.dedupeBy?.(checked.data) ?? null) : null;
      } catch {
        // A target's bug shows where the item is applied.
        return null;
      }
    },
    line: (position) => chunk.lines[position] ?? 0,
    label(position) {
      const parsed = readText(position, parse);
      return parsed.ok ? (target.label?.(parsed.json.exact) ?? NO_LABEL) : NO_LABEL;
    },
  };
}

type Parsed = { readonly ok: true; readonly json: ParsedJson } | { readonly ok: false; readonly error: ItemError };

/** ASCII is decoded a stretch at a time and cut by offsets: much cheaper than item by item. Null = not UTF-8. */
function createDecoder(chunk: Chunk): (position: number) => string | null {
  const { payload, ends } = chunk;
  if (isAscii(payload)) {
    let text = '';
    let textAt = 0;
    return (position) => {
      const start = position === 0 ? 0 : (ends[position - 1] ?? 0);
      const end = ends[position] ?? start;
      if (start < textAt || end > textAt + text.length) {
        textAt = start;
        text = payload.toString('latin1', start, Math.max(end, Math.min(start + STRETCH_BYTES, payload.length)));
      }
      return text.slice(start - textAt, end - textAt);
    };
  }
  const allValid = isUtf8(payload);
  return (position) => {
    const bytes = itemBytes(chunk, position);
    return allValid || isUtf8(bytes) ? bytes.toString('utf8') : null;
  };
}

type Parse = (text: string) => ParsedJson;

/** For those who only check the item: whether it is JSON does not depend on its digits. */
function plainly(text: string): ParsedJson {
  const value: unknown = JSON.parse(text);
  return { value, exact: value };
}

/** Inherits nothing, like null, but what is made from it is not kept as a dictionary, which takes twice the time. */
const NO_MEMBERS: object = Object.freeze(Object.create(null));

function createParser(chunk: Chunk, target: Target, parse: Parse): (text: string) => Parsed {
  const { format } = chunk.header;
  if (format.kind === 'json') return (text) => parseJson(text, parse);
  return (text) => {
    const row = readRow(text, format);
    if (!row.ok) return refused(row.fault.code, row.fault.message, row.fault.column);
    const { cells } = row;
    const item = target.fromRow?.(cells) ?? cells;
    if (typeof item === 'string') return parseJson(item, parse);
    // What its JSON text would be read as.
    const value = { ...item };
    return { ok: true, json: { value, exact: value } };
  };
}

type Row =
  | { readonly ok: true; readonly cells: Record<string, string> }
  | { readonly ok: false; readonly fault: Omit<ItemFault, 'position'> };

/** Cells by column, empty ones absent. */
function readRow(text: string, { columns, delimiter }: Extract<ItemFormat, { kind: 'csv' }>): Row {
  const row = parseCsvRow(text, delimiter);
  if ('message' in row) return { ok: false, fault: { code: 'invalid_csv', message: row.message, column: row.column } };
  if (row.cells.length !== columns.length) {
    const message = `the row has ${row.cells.length} cells, the header ${columns.length}`;
    return { ok: false, fault: { code: 'csv_ragged_row', message } };
  }
  const cells: Record<string, string> = Object.create(NO_MEMBERS);
  for (let i = 0; i < columns.length; i++) {
    const column = columns[i];
    const cell = row.cells[i];
    if (column !== undefined && cell !== undefined && cell !== '') cells[column] = cell;
  }
  return { ok: true, cells };
}

export type ItemText =
  | { readonly ok: true; readonly text: Buffer }
  | { readonly ok: false; readonly fault: Omit<ItemFault, 'position'> };

/** Each item as JSON text that is read as the same item, or fails alike: a retry keeps items so, whatever they came as. */
export function createItemTexts(chunk: Chunk, target: Target): (position: number) => ItemText {
  const faults = new Map(chunk.header.faults.map(({ position, ...fault }) => [position, fault] as const));
  const { format } = chunk.header;
  const textOf = createDecoder(chunk);
  return (position) => {
    const fault = faults.get(position);
    if (fault !== undefined) return { ok: false, fault };
    if (format.kind === 'json') return { ok: true, text: itemBytes(chunk, position) };
    const text = textOf(position);
    if (text === null) return { ok: false, fault: { code: 'invalid_utf8', message: 'the item is not valid UTF-8' } };
    const row = readRow(text, format);
    return row.ok ? { ok: true, text: Buffer.from(rowText(target, row.cells)) } : row;
  };
}

/** A row as JSON text: what the target makes of it, else an object of strings. */
export function rowText(target: Target, cells: Readonly<Record<string, string>>): string {
  const item = target.fromRow?.(cells) ?? cells;
  return typeof item === 'string' ? item : JSON.stringify(item);
}

/** Whether the text is an item that the target would apply. */
export function acceptsText(target: Target, text: string): boolean {
  const parsed = parseJson(text, plainly);
  return parsed.ok && target.item.safeParse(parsed.json.value).success;
}

function parseJson(text: string, parse: Parse): Parsed {
  if (text.length > 2 * ITEM_DEPTH_MAX && depthOf(text) > ITEM_DEPTH_MAX) {
    return refused('item_too_deep', `the item is nested deeper than ${ITEM_DEPTH_MAX} levels`);
  }
  try {
    return { ok: true, json: parse(text) };
  } catch (error) {
    const position = /position (\d+)/.exec(String(error))?.[1];
    const column = position === undefined ? text.length + 1 : Number(position) + 1;
    return refused('invalid_json', `the item is not valid JSON at its character ${column}`, column);
  }
}

function refused(code: string, message: string, column?: number): Parsed {
  return { ok: false, error: { code, message, retryable: false, ...(column === undefined ? {} : { column }) } };
}

const ISSUES_SHOWN = 3;

function invalidItem(issues: readonly { readonly path: PropertyKey[]; readonly message: string }[]): ItemError {
  const shown = issues.slice(0, ISSUES_SHOWN).map(({ path, message }) => `${path.join('.') || 'item'}: ${message}`);
  const more = issues.length > ISSUES_SHOWN ? ` and ${issues.length - ISSUES_SHOWN} more` : '';
  return { code: 'invalid_item', message: shown.join('; ') + more, retryable: false };
}
