/** What the histories submit. Every item names its history, so that nothing of one passes for another's. */

import type { Submission } from '../../../check/recorded-client.ts';
import { markOf } from '../../../check/sightings.ts';

type Named = Pick<Submission, 'key' | 'target'>;

const mark = (tag: string): string => `${markOf(tag)}item`;

/** Every `badEvery`th is refused by a vendor that refuses the name `bad`; 0 = none. */
export function products(tag: string, items: number, badEvery = 0): Submission & Named {
  const line = (_: unknown, n: number) => {
    const name = badEvery > 0 && n % badEvery === 0 ? 'bad' : mark(tag);
    return `{"type":"update","id":"${tag}-${n}","product":{"name":"${name}","price":${n}}}\n`;
  };
  return { target: 'products', key: `${tag}-products`, items, body: Array.from({ length: items }, line).join('') };
}

/** Without a key: an identical body finds it. */
export function keyless(tag: string, items: number): Submission {
  const operation = (_: unknown, n: number) => ({ type: 'update', id: `${tag}-${n}`, product: { name: mark(tag) } });
  const body = JSON.stringify({ operations: Array.from({ length: items }, operation) });
  return { surface: 'product-bulk', target: 'products', key: null, items, body };
}

export function jobs(tag: string, items: number): Submission & Named {
  const line = (_: unknown, n: number) => `{"n":${n},"name":"${mark(tag)}"}\n`;
  return { target: 'async', key: `${tag}-jobs`, items, body: Array.from({ length: items }, line).join('') };
}

export interface Contacts {
  readonly submission: Submission;
  readonly firsts: number;
  readonly duplicates: number;
}

const DUPLICATE_EVERY = 5;
const DUPLICATE_BEHIND = 4;

/** The address names the row; every fifth has that of an earlier one. */
export function contacts(tag: string, rows: number): Contacts & { readonly csv: string } {
  const isDuplicate = (n: number) => n % DUPLICATE_EVERY === DUPLICATE_BEHIND;
  const row = (_: unknown, n: number) =>
    `${isDuplicate(n) ? n - DUPLICATE_BEHIND : n}.${tag}@example.com,${mark(tag)},Company ${n % 100},${n % 90}\r\n`;
  const csv = `email,name,company,age\r\n${Array.from({ length: rows }, row).join('')}`;
  const duplicates = Array.from({ length: rows }, (_, n) => n).filter(isDuplicate).length;
  const submission = { target: 'contacts', key: `${tag}-contacts`, items: rows, type: 'text/csv', body: csv };
  return { submission, csv, firsts: rows - duplicates, duplicates };
}
