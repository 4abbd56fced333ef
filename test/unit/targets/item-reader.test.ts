/** Rows and texts → items; the key of an item is read by a shorter way, which must find the same items valid. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { decodeChunk, encodeChunk, type ItemFormat } from '../../../src/model/chunk.ts';
import { createItemReader } from '../../../src/targets/item-reader.ts';
import { defineTarget, type Target } from '../../../src/targets/target.ts';

const fields = {
  name: 'people',
  item: z.looseObject({ email: z.email().toLowerCase(), age: z.coerce.number().int().min(0).optional() }),
  guarantee: 'idempotent',
  onDoubt: 'resend',
  vendor: null,
  label: (item: unknown) => ({ seen: JSON.stringify(item).length }),
  dedupeBy: ({ email }: { email: string }) => email,
  applyOne: () => ({ kind: 'succeeded' }) as const,
} as const;
const asTheyAre = defineTarget(fields) as unknown as Target;
const fromRow = defineTarget({ ...fields, fromRow: (row) => JSON.stringify(row) }) as unknown as Target;

function readerOf(texts: readonly string[], format: ItemFormat, target: Target) {
  const payload = Buffer.from(texts.join(''));
  const ends = new Uint32Array(texts.length);
  let end = 0;
  for (const [i, text] of texts.entries()) {
    end += Buffer.byteLength(text);
    ends[i] = end;
  }
  const header = { version: 1, format, firstIndex: 0, items: texts.length, payloadBytes: end, faults: [] } as const;
  const chunk = decodeChunk(encodeChunk(header, ends, new Uint32Array(texts.length), payload));
  return createItemReader(chunk, target, 'UID');
}

const columns = ['email', 'age', '__proto__', 'constructor', '7'];
const csv = { kind: 'csv', delimiter: ',', columns } as const;
const json = { kind: 'json' } as const;

const cell = fc.oneof(
  fc.constantFrom('', 'a@b.cd', 'A@B.CD', '17', '-1', '1.50', 'null', '"q""q"', 'é'),
  fc.string({ maxLength: 3 }),
);
const row = fc.array(cell, { minLength: 4, maxLength: 5 }).map((cells) => cells.join(','));
const text = fc.oneof(
  fc
    .record({ email: fc.constantFrom('a@b.cd', 'A@B.CD', 7, null), age: fc.constantFrom(1, 1.5, '3', -1) })
    .map((item) => JSON.stringify(item)),
  fc.constantFrom(
    '{"email":"a@b.cd","age":1.50}',
    '{"email":"a@b.cd"',
    '',
    '[',
    `${'['.repeat(200)}${']'.repeat(200)}`,
  ),
);

describe('an item reader', () => {
  it.each([
    ['rows as they are', csv, asTheyAre, row],
    ['rows through fromRow', csv, fromRow, row],
    ['JSON', json, asTheyAre, text],
  ] as const)('finds a key in exactly the items that it reads as valid: %s', (_, format, target, arbitrary) => {
    fc.assert(
      fc.property(fc.array(arbitrary as fc.Arbitrary<string>, { minLength: 1, maxLength: 20 }), (texts) => {
        const reader = readerOf(texts, format, target);
        const alone = readerOf(texts, format, target);
        for (let position = 0; position < texts.length; position++) {
          const read = reader.read(position);
          const key = read.ok ? (read.item.item as { email: string }).email : null;
          expect(alone.keyOf(position)).toBe(key);
          expect(reader.keyOf(position)).toBe(key);
        }
      }),
    );
  });

  it('reads a row as what its JSON text would be read as, whatever its columns are called', () => {
    fc.assert(
      fc.property(fc.array(row, { minLength: 1, maxLength: 20 }), (rows) => {
        const direct = readerOf(rows, csv, asTheyAre);
        const overJson = readerOf(rows, csv, fromRow);
        for (let position = 0; position < rows.length; position++) {
          expect(direct.read(position)).toEqual(overJson.read(position));
        }
      }),
    );
    const read = readerOf(['a@b.cd,,polluted,x,seven'], csv, asTheyAre).read(0);
    expect(read.ok && JSON.stringify(read.item.exact)).toBe(
      '{"7":"seven","email":"a@b.cd","__proto__":"polluted","constructor":"x"}',
    );
    expect(read.ok && Object.getPrototypeOf(read.item.exact)).toBe(Object.prototype);
  });

  it('says nothing of the key of an item that a target stumbles over', () => {
    const stumbling = {
      ...asTheyAre,
      dedupeBy: () => {
        throw new Error('bug');
      },
    };
    expect(readerOf(['{"email":"a@b.cd"}'], json, stumbling).keyOf(0)).toBeNull();
    const { dedupeBy: _none, ...without } = asTheyAre;
    expect(readerOf(['{"email":"a@b.cd"}'], json, without).keyOf(0)).toBeNull();
  });
});
