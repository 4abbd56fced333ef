import { expect, test } from 'vitest';
import { createLedger } from '../../../src/mock-vendor/ledger.ts';
import { createTextArena, hashText } from '../../../src/mock-vendor/text-arena.ts';

const row = {
  at: 1.5,
  key: 'k ü',
  traceId: '0af7651916cd43dd8448eb211c80319c',
  method: 'PATCH',
  path: '/products/1',
  status: 200,
  applied: true,
  replayed: false,
  bodyHash: 5,
  lagMs: 0,
  sentAtMs: 1_790_000_000_000.125,
};

test('over its bound the ledger drops its oldest block and keeps the newest rows in order', () => {
  const ledger = createLedger(100_000);
  for (let count = 0; count < 300_000; count++) ledger.append({ ...row, at: count });
  const seqs = [...ledger.rows(0)].map((found) => found.seq);
  expect(ledger.firstSeq()).toBeGreaterThan(1);
  expect(seqs.length).toBeGreaterThanOrEqual(100_000);
  expect(seqs.length).toBeLessThanOrEqual(100_000 + 2 * 65_536);
  expect(seqs[0]).toBe(ledger.firstSeq());
  expect(seqs.at(-1)).toBe(300_000);
  expect([...ledger.rows(299_998)].map((found) => found.at)).toEqual([299_998, 299_999]);
});

test('a reader sees the rows that stood when it began', () => {
  const ledger = createLedger(100);
  ledger.append(row);
  const reading = ledger.rows(0);
  expect(reading.next().value).toEqual({ ...row, seq: 1 });
  ledger.append(row);
  expect(reading.next().done).toBe(true);
});

test('texts of any length and alphabet come back from the arena', () => {
  const arena = createTextArena();
  const texts = ['', 'a', 'ü€😀', 'x'.repeat(2_000_000), ...Array.from({ length: 50_000 }, (_, n) => `text ${n}`)];
  const handles = texts.map((text) => arena.append(text));
  expect(handles.map((handle) => arena.read(handle))).toEqual(texts);
});

test('the hash tells a hundred thousand like bodies apart', () => {
  const hashes = new Set(Array.from({ length: 100_000 }, (_, n) => hashText(`{"price":${n}}`)));
  expect(hashes.size).toBe(100_000);
});
