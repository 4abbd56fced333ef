/** Contacts by their row number: every tenth row is dirty, in turns invalid, a duplicate and ragged. */
import { Readable } from 'node:stream';

const BLOCK_ROWS = 5_000;
const DIRTY_EVERY = 10;
const DIRT = ['invalid', 'duplicate', 'ragged'] as const;

export function isDirty(row: number): boolean {
  return row % DIRTY_EVERY === DIRTY_EVERY - 1;
}

function dirtOf(row: number): (typeof DIRT)[number] {
  return DIRT[Math.floor(row / DIRTY_EVERY) % DIRT.length] ?? 'invalid';
}

/** A valid row's contact, as the target hands it to its table. */
export function contactOf(row: number) {
  return {
    email: `user.${row}@example.com`,
    name: `Person Number ${row}`,
    phone: `+49 30 ${1_000_000 + (row % 8_999_999)}`,
    company: `Company ${row % 5_000}`,
    status: row % 2 === 0 ? 'active' : 'lead',
    age: 18 + (row % 60),
    attributes: { city: `City ${row % 300}` },
  };
}

export interface Expected {
  readonly succeeded: number;
  readonly failed: number;
  readonly skipped: number;
}

export function expectedOf(rows: number): Expected {
  const counts = { succeeded: 0, failed: 0, skipped: 0 };
  for (let row = 0; row < rows; row++) {
    if (!isDirty(row)) counts.succeeded++;
    else counts[dirtOf(row) === 'duplicate' ? 'skipped' : 'failed']++;
  }
  return counts;
}

/** As text/csv with a header. */
export function contactsCsv(rows: number): Readable {
  function* blocks() {
    yield Buffer.from('email,name,phone,company,status,age,city\r\n');
    for (let first = 0; first < rows; first += BLOCK_ROWS) {
      const count = Math.min(BLOCK_ROWS, rows - first);
      yield Buffer.from(Array.from({ length: count }, (_none, local) => lineOf(first + local)).join(''));
    }
  }
  return Readable.from(blocks(), { objectMode: true, highWaterMark: 2 });
}

function lineOf(row: number): string {
  if (!isDirty(row)) return cellsOf(row).join(',').concat('\r\n');
  const cells = cellsOf(row);
  switch (dirtOf(row)) {
    case 'invalid':
      return ['not an address', ...cells.slice(1)].join(',').concat('\r\n');
    case 'duplicate':
      return [`USER.${row - 1}@Example.com`, ...cells.slice(1)].join(',').concat('\r\n');
    case 'ragged':
      return cells.slice(0, 5).join(',').concat('\r\n');
  }
}

function cellsOf(row: number): string[] {
  const { attributes, ...fields } = contactOf(row);
  return [...Object.values(fields), attributes.city].map(String);
}
