/** What is marked is skipped: once, before anything is tried, and whatever an earlier slice left behind. */
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readChunk } from '../../../src/activities/chunk-blob.ts';
import { type Leavings, readLeavings } from '../../../src/activities/journal.ts';
import { createRows } from '../../../src/activities/rows.ts';
import { judge } from '../../../src/activities/verdict.ts';
import type { Plan } from '../../../src/model/plan.ts';
import { chunkPrefix, marksKey } from '../../../src/storage/keys.ts';
import { decodeMarks, encodeMarks, type Marks, NO_MARKS, readMarks, writeMarks } from '../../../src/storage/marks.ts';
import { findTarget } from '../../../src/targets/index.ts';
import { createItemReader } from '../../../src/targets/item-reader.ts';
import { openStorage, type StorageUnderTest, writeChunk } from '../../fixtures/chunked.ts';
import { plan } from '../../fixtures/plan.ts';

let storage: StorageUnderTest;
beforeAll(async () => {
  storage = await openStorage();
});
afterAll(() => storage.close());

const marksOf = (entries: readonly (readonly [number, number])[]): Marks => ({
  positions: Uint32Array.from(entries, ([position]) => position),
  duplicateOf: Uint32Array.from(entries, ([, of]) => of),
});

describe('marks', () => {
  it('come back as they were written, whatever memory they are read into', () => {
    const index = fc.integer({ min: 0, max: 2 ** 32 - 1 });
    fc.assert(
      fc.property(fc.array(fc.tuple(index, index)), fc.nat(7), (entries, shift) => {
        const marks = marksOf(entries);
        const blob = encodeMarks(marks);
        const moved = Buffer.alloc(blob.length + shift).subarray(shift);
        blob.copy(moved);
        expect(decodeMarks(moved)).toEqual(marks);
      }),
    );
  });

  it('are refused where a byte is missing or too much, or where they are none', () => {
    const blob = encodeMarks(marksOf([[1, 0]]));
    expect(() => decodeMarks(blob.subarray(0, -1))).toThrow('torn');
    expect(() => decodeMarks(Buffer.concat([blob, Buffer.alloc(1)]))).toThrow('torn');
    expect(() => decodeMarks(Buffer.alloc(0))).toThrow('not a marks blob');
    expect(() => decodeMarks(Buffer.from('TRC1\0\0\0\0'))).toThrow('not a marks blob');
  });

  it('are none where there is no blob, and stand as they were first written', async () => {
    const at = { uid: 'UIDMARKS', run: 1, ordinal: 3 };
    expect(await readMarks(storage.store, at)).toEqual(NO_MARKS);
    await writeMarks(storage.store, at, marksOf([[2, 1]]));
    await writeMarks(storage.store, at, marksOf([[2, 1]]));
    expect(await readMarks(storage.store, at)).toEqual(marksOf([[2, 1]]));
    expect(await storage.store.get(marksKey('UIDMARKS', 2, 3))).toBeNull();
  });
});

let chunks = 0;

/** A slice's rows over five updates of which two are marked; `before`: what earlier slices left behind. */
async function rowsOf(before: Partial<Leavings>, over: Partial<Plan>, marks: Marks) {
  const uid = `UIDROWS${chunks++}`;
  const prefix = chunkPrefix(uid);
  const items = Array.from({ length: 5 }, (_, i) => `{"type":"update","id":${i},"product":{}}`);
  await writeChunk(storage.store, prefix, 0, { items, firstIndex: 100 });
  const ref = { account: 'tests', id: uid, uid, traceId: '' };
  const chunk = await readChunk(storage, { ref, ordinal: 0, source: { kind: 'blobs', prefix } });
  const at = { uid, run: 1, ordinal: 0 };
  const log = await storage.segments.readLog(at, chunk);
  const leavings = await readLeavings(storage, { ...at, seq: 0, chunk, lost: false, plan: plan(over) });
  const reader = createItemReader(chunk, findTarget('products'), uid);
  return createRows({ chunk, log, leavings: { ...leavings, ...before }, reader, plan: plan(over), marks });
}

const linesOf = (rows: Awaited<ReturnType<typeof rowsOf>>) =>
  rows
    .segment(true)
    .outcomeLines.toString()
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line));

describe('a slice', () => {
  const marks = marksOf([
    [1, 100],
    [4, 7],
  ]);

  it('decides what is marked at once, with its label and what was taken instead, and leaves the rest open', async () => {
    const rows = await rowsOf({}, {}, marks);
    expect(rows.open()).toEqual([0, 2, 3]);
    expect(rows.changed()).toBe(true);
    expect(rows.tally()).toMatchObject({ skipped: 2, succeeded: 0 });
    const said = { outcome: 'skipped', attempts: 0, reason: 'duplicate', type: 'update' };
    expect(linesOf(rows)).toEqual([
      { index: 101, line: 102, id: 1, ...said, duplicateOf: 100 },
      { index: 104, line: 105, id: 4, ...said, duplicateOf: 7 },
    ]);
  });

  it('lets stand what was decided before', async () => {
    const line = Buffer.from('{"index":104,"line":105,"outcome":"succeeded","attempts":1}');
    const rows = await rowsOf({ lines: new Map([[4, line]]) }, {}, marks);
    expect(rows.tally()).toMatchObject({ skipped: 1, succeeded: 1 });
    expect(rows.open()).toEqual([0, 2, 3]);
  });

  it('has no doubt about what is marked after a slice that was lost: nothing was tried for it', async () => {
    const rows = await rowsOf({ lost: true, reach: 5 }, { onDoubt: 'unknown' }, marks);
    expect(rows.tally()).toMatchObject({ skipped: 2, unknown: 3 });
  });
});

it('a target that skips an item may say of which it is a duplicate', () => {
  const trial = { counted: 0, attempts: 1, doubt: false };
  const decisionOf = (duplicateOf?: number) =>
    judge(
      plan(),
      trial,
      { kind: 'skipped', reason: 'twin', ...(duplicateOf === undefined ? {} : { duplicateOf }) },
      0,
      false,
    );
  expect(decisionOf(3)).toEqual({
    kind: 'decided',
    decision: { outcome: 'skipped', attempts: 1, reason: 'twin', duplicateOf: 3 },
  });
  expect(decisionOf()).toEqual({ kind: 'decided', decision: { outcome: 'skipped', attempts: 1, reason: 'twin' } });
});
