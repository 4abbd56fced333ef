/** Applies an item to the vendor's `/products`: create → POST, update → PATCH, delete → DELETE. */
import { z } from 'zod';
import type { Applied, Transient } from '../model/outcome.ts';
import type { NotCalled, VendorAnswer, VendorRequest } from '../vendors/vendor.ts';
import { digitsOf, memberOf, parseExact } from './exact-json.ts';
import { defineTarget, type ItemLabel } from './target.ts';

const ID_CHARS_MAX = 512;

/** `.` and `..` would name another resource, and half a surrogate pair cannot be encoded. */
const id = z.union(
  [
    z
      .string()
      .min(1, 'id must not be empty')
      .max(ID_CHARS_MAX, `id must be at most ${ID_CHARS_MAX} characters`)
      .refine((text) => text !== '.' && text !== '..' && text.isWellFormed(), 'id cannot be part of a URL'),
    z.number(),
  ],
  { error: (issue) => (issue.input === undefined ? 'id is required' : 'id must be a string or a number') },
);
const product = z.looseObject(
  {},
  { error: (issue) => (issue.input === undefined ? 'product is required' : 'product must be an object') },
);

const Product = z.discriminatedUnion(
  'type',
  [
    z.looseObject({ type: z.literal('create'), product }),
    z.looseObject({ type: z.literal('update'), id, product }),
    z.looseObject({ type: z.literal('delete'), id }),
  ],
  {
    error: (issue) =>
      issue.code === 'invalid_union' ? 'type must be create, update or delete' : 'item must be an object',
  },
);

type ProductType = z.infer<typeof Product>['type'];

export const products = defineTarget({
  name: 'products',
  item: Product,
  guarantee: 'idempotent',
  onDoubt: 'resend',
  vendor: 'products',
  plan: { sliceConcurrency: 50 },
  label: toLabel,
  fromRow,
  applyOne({ item: { type }, exact, idempotencyKey }, context) {
    return context.vendor(requestFor(type, exact, idempotencyKey)).then((answer) => toApplied(type, answer));
  },
});

/** Id and product are taken from `exact`: a double would round the digits. */
function requestFor(type: ProductType, exact: unknown, idempotencyKey: string): VendorRequest {
  const path = type === 'create' ? '/products' : `/products/${encodeURIComponent(idText(exact) ?? '')}`;
  if (type === 'delete') return { method: 'DELETE', path, idempotencyKey, body: null };
  const body = JSON.stringify(memberOf(exact, 'product'));
  return { method: type === 'create' ? 'POST' : 'PATCH', path, idempotencyKey, body };
}

function idText(exact: unknown): string | null {
  const value = memberOf(exact, 'id');
  return typeof value === 'string' ? value : digitsOf(value);
}

/** Only a created product's id is news. */
function toApplied(type: ProductType, answer: VendorAnswer | Transient | NotCalled): Applied | NotCalled {
  if (answer.kind !== 'answer') return answer;
  const { status, body } = answer;
  if (status < 300)
    return { kind: 'succeeded', result: { status, ...(type === 'create' ? scalarId(parsedOrNull(body)) : {}) } };
  const said = saidBy(body);
  const message = said === '' ? `vendor answered ${status}` : `vendor answered ${status}: ${said}`;
  return { kind: 'failed', error: { code: 'vendor_rejected', message, retryable: false } };
}

const SAID_CHARS_MAX = 200;

/** What the vendor gives as its reason, in the places where APIs put it; else the text itself. */
function saidBy(body: string): string {
  const answer = parsedOrNull(body);
  const error = memberOf(answer, 'error');
  const candidates = [
    memberOf(error, 'message'),
    error,
    ...['message', 'detail', 'title'].map((name) => memberOf(answer, name)),
  ];
  const reason = candidates.find((candidate) => typeof candidate === 'string');
  return String(reason ?? body)
    .replace(/\s+/g, ' ')
    .trim()
    .slice(0, SAID_CHARS_MAX);
}

function parsedOrNull(body: string): unknown {
  try {
    return parseExact(body).exact;
  } catch {
    return null;
  }
}

function toLabel(exact: unknown): ItemLabel {
  const type = memberOf(exact, 'type');
  return { ...(typeof type === 'string' && type.length <= ID_CHARS_MAX ? { type } : {}), ...scalarId(exact) };
}

/** `id` where it is a short string or a number; a number that a double cannot hold becomes a string of its digits. */
function scalarId(exact: unknown): { readonly id?: string | number } {
  const text = idText(exact);
  if (text === null || text.length > ID_CHARS_MAX) return {};
  const isExactNumber = typeof memberOf(exact, 'id') === 'number' && String(Number(text)) === text;
  return { id: isExactNumber ? Number(text) : text };
}

/** Columns whose cells become JSON numbers where they are written as such; every other cell stays a string. */
const NUMBER_COLUMNS: ReadonlySet<string> = new Set(['price', 'stock', 'quantity']);
const JSON_NUMBER = /^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?$/;

/** `type` and `id` are the item's own; all other columns are members of the product. */
function fromRow(row: Readonly<Record<string, string>>): string {
  const own: string[] = [];
  const members: string[] = [];
  for (const [column, cell] of Object.entries(row)) {
    if (column === 'type' || column === 'id') own.push(`"${column}":${JSON.stringify(cell)}`);
    else members.push(`${JSON.stringify(column)}:${isNumberCell(column, cell) ? cell : JSON.stringify(cell)}`);
  }
  if (members.length > 0) own.push(`"product":{${members.join(',')}}`);
  return `{${own.join(',')}}`;
}

function isNumberCell(column: string, cell: string): boolean {
  return NUMBER_COLUMNS.has(column) && JSON_NUMBER.test(cell);
}
