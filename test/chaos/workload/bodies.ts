/** Draws what a client submits: every surface and format, good items among bad ones, the account's mark in each. */
import type { Submission } from '../../check/recorded-client.ts';
import { markOf } from '../../check/sightings.ts';
import { FORM_TYPE, formBody } from '../../fixtures/stack/form.ts';
import type { Random } from '../random.ts';

/** What a submission's body is, whatever key it is then sent with. */
export interface Body extends Omit<Submission, 'key'> {
  /** Of contacts: stands in every e-mail address, behind the row's number. */
  readonly tag: string | null;
}

/** Refused by the vendor, for good: so that retries have something to do. */
export const refusedName = (account: string): string => `${markOf(account)} refused`;

const SURFACES = {
  'v1 products': 38,
  'product-bulk': 12,
  'v1 noop': 8,
  'v1 contacts': 10,
  'bulk-actions': 14,
  'jobs sync': 8,
  'jobs async': 10,
} as const;

export function drawBody(random: Random, account: string): Body {
  const kind = random.weighted(SURFACES);
  switch (kind) {
    case 'v1 products':
      return drawProducts(random, account);
    case 'product-bulk': {
      const items = drawSize(random);
      const operations = list(items, () => productItem(random, account));
      return { surface: 'product-bulk', target: 'products', items, body: JSON.stringify({ operations }), tag: null };
    }
    case 'v1 noop': {
      const items = drawSize(random);
      const item = (n: number) => (random.chance(0.02) ? { fail: 'wanted', n } : { n, note: markOf(account) });
      return { target: 'noop', items, type: 'application/json', body: JSON.stringify(list(items, item)), tag: null };
    }
    case 'v1 contacts': {
      const contacts = drawContacts(random, account);
      return { target: 'contacts', type: 'text/csv', ...contacts, body: contacts.body };
    }
    case 'bulk-actions': {
      const { body: content, items, tag } = drawContacts(random, account);
      const fields = [
        ['actionType', 'BULK_UPDATE'],
        ['entityType', 'Contact'],
        ['accountId', account],
      ] as const;
      const body = formBody({ fields, file: { content } });
      return { surface: 'bulk-actions', target: 'contacts', type: FORM_TYPE, items, body, tag };
    }
    case 'jobs sync':
    case 'jobs async': {
      const vendor = kind === 'jobs sync' ? 'sync' : 'async';
      const body = JSON.stringify({ payload: { note: markOf(account), n: random.whole(1, 1_000_000) }, vendor });
      return { surface: 'jobs', target: vendor, items: 1, body, tag: null };
    }
  }
}

function drawProducts(random: Random, account: string): Body {
  const items = drawSize(random);
  const rows = list(items, () => productItem(random, account));
  const common = { target: 'products', items, tag: null, query: drawPolicy(random) };
  switch (random.weighted({ json: 3, ndjson: 4, csv: 2 })) {
    case 'json':
      return { ...common, type: 'application/json', body: JSON.stringify(rows) };
    case 'ndjson':
      return { ...common, type: 'application/x-ndjson', body: rows.map((row) => `${JSON.stringify(row)}\n`).join('') };
    case 'csv': {
      const line = (_: number, index: number) =>
        `update,${random.whole(1, 100_000)},${markOf(account)} ${index},1.5\r\n`;
      return { ...common, type: 'text/csv', body: `type,id,name,price\r\n${list(items, line).join('')}` };
    }
  }
}

function productItem(random: Random, account: string): Readonly<Record<string, unknown>> {
  const name = random.chance(0.02) ? refusedName(account) : `${markOf(account)} ${random.whole(1, 1_000_000)}`;
  const id = random.whole(1, 100_000);
  switch (random.weighted({ update: 70, create: 20, delete: 8, invalid: 2 })) {
    case 'update':
      return { type: 'update', id, product: { name, price: random.whole(1, 1_000) } };
    case 'create':
      return { type: 'create', product: { name, price: 2 } };
    case 'delete':
      return { type: 'delete', id };
    case 'invalid':
      return { type: 'change', note: markOf(account) };
  }
}

/** Each index is a row: a new address, one that an earlier row has brought (skipped), or none (failed). */
function drawContacts(random: Random, account: string): { body: string; items: number; tag: string } {
  const items = drawSize(random);
  const tag = `t${random.whole(1, 1_000_000_000).toString(36)}`;
  const brought: number[] = [];
  const drawEmail = (index: number): string => {
    if (random.chance(0.02)) return 'nobody';
    const isRepeated = brought.length > 0 && random.chance(0.03);
    if (!isRepeated) brought.push(index);
    return `${isRepeated ? random.pick(brought) : index}.${tag}@example.com`;
  };
  const row = (_: number, index: number) =>
    `${drawEmail(index)},${markOf(account)} ${index},Company ${index % 10},${index % 90}\r\n`;
  return { body: `email,name,company,age\r\n${list(items, row).join('')}`, items, tag };
}

function drawPolicy(random: Random): Readonly<Record<string, string>> {
  return {
    ...(random.chance(0.2) ? { priority: `${random.whole(1, 5)}` } : {}),
    ...(random.chance(0.2) ? { concurrency: `${random.whole(1, 40)}` } : {}),
    ...(random.chance(0.1) ? { callsPerSecond: `${random.whole(10, 200)}` } : {}),
    ...(random.chance(0.08) ? { maxFailures: `${random.whole(0, 5)}`, onFailureLimit: 'stop' } : {}),
  };
}

function drawSize(random: Random): number {
  switch (random.weighted({ one: 15, few: 45, many: 25, hundreds: 12, thousands: 3 })) {
    case 'one':
      return 1;
    case 'few':
      return random.whole(2, 20);
    case 'many':
      return random.whole(21, 200);
    case 'hundreds':
      return random.whole(201, 1_000);
    case 'thousands':
      return random.whole(1_001, 5_000);
  }
}

function list<Value>(length: number, make: (n: number, index: number) => Value): Value[] {
  return Array.from({ length }, (_, index) => make(index, index));
}
