/** Applies an item to the table `contacts`: creates the contact of its e-mail address, or changes what the item names of it. */
import { z } from 'zod';
import type { Applied } from '../model/outcome.ts';
import { upsertContacts } from './contacts-table.ts';
import { memberOf } from './exact-json.ts';
import { defineTarget, type ItemLabel } from './target.ts';

const EMAIL_CHARS_MAX = 254;
const TEXT_CHARS_MAX = 200;
const PHONE_CHARS_MAX = 64;
const AGE_MAX = 150;
const ATTRIBUTES_MAX = 100;
const ATTRIBUTE_NAME_CHARS_MAX = 128;
const ATTRIBUTES_CHARS_MAX = 16_384;

/** Taken in any case, kept in lower case. */
export const CONTACT_STATUSES = [
  ...(['lead', 'prospect', 'customer', 'active', 'inactive', 'pending'] as const),
  ...(['subscribed', 'unsubscribed', 'bounced', 'blocked', 'archived'] as const),
] as const;

/** One `@`, no white space or separators, no dot at an end or beside another; a domain of at least two labels. */
const EMAIL =
  /^(?!\.)(?!.*\.\.)[^\s@"(),:;<>[\]\\\p{Cc}\p{Cs}]{1,64}(?<!\.)@(?:[\p{L}\p{N}](?:[\p{L}\p{N}-]{0,61}[\p{L}\p{N}])?\.)+\p{L}(?:[\p{L}\p{N}-]{0,61}[\p{L}\p{N}])$/u;

const email = z
  .string({ error: (issue) => (issue.input === undefined ? 'is required' : 'must be text') })
  .trim()
  .normalize('NFC')
  .toLowerCase()
  .max(EMAIL_CHARS_MAX, `must be at most ${EMAIL_CHARS_MAX} characters`)
  .regex(EMAIL, 'must be a valid e-mail address');

const text = (charsMax: number) =>
  z
    .string('must be text')
    .trim()
    .max(charsMax, `must be at most ${charsMax} characters`)
    .refine(isStorableText, 'must have no NUL character and no half of a surrogate pair');

const status = z
  .string('must be text')
  .trim()
  .toLowerCase()
  .pipe(z.enum(CONTACT_STATUSES, `must be one of ${CONTACT_STATUSES.join(', ')}`));

const age = z.preprocess(
  (value) => (typeof value === 'string' && /^\s*\d{1,3}\s*$/.test(value) ? Number(value) : value),
  z
    .int(`must be a whole number from 0 to ${AGE_MAX}`)
    .min(0, 'must not be negative')
    .max(AGE_MAX, `must be at most ${AGE_MAX}`),
);

/** Absent, null and blank mean the same: the field stays as it is. */
const unchanged = <Schema extends z.ZodType>(schema: Schema) =>
  z.preprocess((value) => (typeof value === 'string' && value.trim() === '' ? null : value), schema.nullish());

/** The key is `email`; every member beside the six is an attribute. */
const Contact = z
  .looseObject(
    {
      email,
      name: unchanged(text(TEXT_CHARS_MAX)),
      phone: unchanged(text(PHONE_CHARS_MAX)),
      company: unchanged(text(TEXT_CHARS_MAX)),
      status: unchanged(status),
      age: unchanged(age),
    },
    'must be an object',
  )
  .superRefine((contact, context) => {
    const fault = attributesFault(contact);
    if (fault !== null) context.addIssue({ code: 'custom', message: fault.message, path: [fault.attribute] });
  });

const FIELDS = ['email', 'name', 'phone', 'company', 'status', 'age'] as const;
const FIELD_NAMES: ReadonlySet<string> = new Set(FIELDS);

/** One object for all that went alike: it is judged and recorded once a batch. */
const CREATED: Applied = { kind: 'succeeded', result: { action: 'created' } };
const UPDATED: Applied = { kind: 'succeeded', result: { action: 'updated' } };

export const contacts = defineTarget({
  name: 'contacts',
  entity: 'Contact',
  item: Contact,
  guarantee: 'exactly_once',
  onDoubt: 'resend',
  vendor: null,
  // A lost slice leaves its slots in the ledger: a journal would say the same again.
  plan: { batchItemsMax: 500, sliceConcurrency: 1, windowMax: 4, journal: false },
  label: toLabel,
  fromRow,
  dedupeBy: ({ email }) => email,
  migrations: [
    {
      id: 'contacts-1',
      // "C": compared byte by byte, which is twice as fast as by the rules of a language and the same everywhere.
      sql: `CREATE TABLE contacts (
        account text COLLATE "C" NOT NULL,
        email text COLLATE "C" NOT NULL,
        name text,
        phone text,
        company text,
        status text,
        age smallint,
        attributes jsonb NOT NULL DEFAULT '{}',
        created_at timestamptz NOT NULL DEFAULT now(),
        updated_at timestamptz NOT NULL DEFAULT now(),
        updated_by_operation text NOT NULL,
        PRIMARY KEY (account, email),
        CONSTRAINT contacts_attributes_size CHECK (pg_column_size(attributes) <= 65536)
      ) WITH (fillfactor = 85)`,
    },
  ],
  async applyBatch(items, { sql, operation }) {
    /** Index of the item that stands for an e-mail address in this batch. */
    const firsts = new Map<string, number>();
    for (const { item, index } of items) if (!firsts.has(item.email)) firsts.set(item.email, index);
    const rows = items
      .filter(({ item, index }) => firsts.get(item.email) === index)
      .map(({ item: { email, name, phone, company, status, age }, exact }) => {
        return { email, name, phone, company, status, age, attributes: attributesOf(exact) };
      });
    const isNew = await upsertContacts(sql, operation, rows);
    return items.map(({ item, index }): Applied => {
      const first = firsts.get(item.email);
      if (first !== undefined && first !== index) return { kind: 'skipped', reason: 'duplicate', duplicateOf: first };
      return isNew(item.email) ? CREATED : UPDATED;
    });
  },
});

function attributesOf(contact: unknown): Readonly<Record<string, unknown>> {
  if (!hasMembers(contact)) return NO_ATTRIBUTES;
  let attributes: Record<string, unknown> | null = null;
  for (const name in contact) {
    if (FIELD_NAMES.has(name)) continue;
    attributes ??= Object.create(null) as Record<string, unknown>;
    attributes[name] = contact[name];
  }
  return attributes ?? NO_ATTRIBUTES;
}

const NO_ATTRIBUTES: Readonly<Record<string, unknown>> = Object.freeze({});

function hasMembers(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null;
}

/** A few short texts, as most rows have: nothing of them can be at fault. Looked at for every row, twice. */
function areOrdinary(contact: Readonly<Record<string, unknown>>): boolean {
  let chars = 0;
  let count = 0;
  for (const name in contact) {
    if (FIELD_NAMES.has(name)) continue;
    const value = contact[name];
    if (typeof value !== 'string' || !isStorableText(value) || !isStorableText(name)) return false;
    if (name.length > ATTRIBUTE_NAME_CHARS_MAX) return false;
    count++;
    chars += name.length + value.length;
  }
  // In JSON a character takes six at most.
  return count <= ATTRIBUTES_MAX && 6 * (chars + count) <= ATTRIBUTES_CHARS_MAX;
}

/** What the column would refuse, or should not be filled with. */
function attributesFault(
  contact: Readonly<Record<string, unknown>>,
): { readonly attribute: string; readonly message: string } | null {
  if (areOrdinary(contact)) return null;
  const attributes = Object.entries(attributesOf(contact));
  if (attributes.length > ATTRIBUTES_MAX) {
    return { attribute: 'attributes', message: `must be at most ${ATTRIBUTES_MAX}` };
  }
  for (const [name, value] of attributes) {
    const shown = name.slice(0, ATTRIBUTE_NAME_CHARS_MAX);
    if (name.length > ATTRIBUTE_NAME_CHARS_MAX) {
      return { attribute: shown, message: `must have a name of at most ${ATTRIBUTE_NAME_CHARS_MAX} characters` };
    }
    if (!isStorable(name) || !isStorable(value)) {
      return { attribute: shown, message: 'must have no NUL character and no half of a surrogate pair' };
    }
  }
  if (JSON.stringify(attributes).length > ATTRIBUTES_CHARS_MAX) {
    return { attribute: 'attributes', message: `must be at most ${ATTRIBUTES_CHARS_MAX} characters of JSON together` };
  }
  return null;
}

/** PostgreSQL takes neither in text or JSON. As deep as items may be, see ITEM_DEPTH_MAX. */
function isStorable(value: unknown): boolean {
  if (typeof value === 'string') return isStorableText(value);
  if (typeof value !== 'object' || value === null) return true;
  return Object.entries(value).every(([name, member]) => isStorableText(name) && isStorable(member));
}

function isStorableText(value: string): boolean {
  return value.isWellFormed() && !value.includes('\0');
}

function toLabel(exact: unknown): ItemLabel {
  const value = memberOf(exact, 'email');
  if (typeof value !== 'string' || value.length > EMAIL_CHARS_MAX) return {};
  return { email: value.trim().normalize('NFC').toLowerCase() };
}

/** Other names that columns go by; compared in lower case, with `_` and `-` as spaces. */
const ALIASES: Readonly<Record<string, (typeof FIELDS)[number]>> = {
  'e mail': 'email',
  'email address': 'email',
  'e mail address': 'email',
  'full name': 'name',
  'phone number': 'phone',
  'company name': 'company',
};

/** Of two columns for one field the one of its very name counts, else the first that is filled; others are attributes. */
function fromRow(row: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  if (isNamedAsItsFields(row)) return row;
  const members = new Map<string, string>();
  for (const [column, cell] of Object.entries(row)) {
    const field = fieldOf(column);
    const isTaken = field !== column && (field === null || members.has(field) || Object.hasOwn(row, field));
    members.set(isTaken ? column : field, cell);
  }
  return Object.fromEntries(members);
}

/** As most rows are. */
function isNamedAsItsFields(row: Readonly<Record<string, string>>): boolean {
  for (const column in row) {
    const field = fieldOf(column);
    if (field !== null && field !== column) return false;
  }
  return true;
}

/** Columns seen lately: rows of one file have the same ones. */
const fields = new Map<string, string | null>();
const COLUMNS_KEPT_MAX = 2_000;

function fieldOf(column: string): string | null {
  const known = fields.get(column);
  if (known !== undefined) return known;
  const field = fieldNamed(column);
  if (fields.size >= COLUMNS_KEPT_MAX) fields.clear();
  fields.set(column, field);
  return field;
}

function fieldNamed(column: string): string | null {
  const name = column.trim().toLowerCase();
  if (FIELD_NAMES.has(name)) return name;
  const words = name.replace(/[\s_-]+/g, ' ');
  return Object.hasOwn(ALIASES, words) ? (ALIASES[words] ?? null) : null;
}
