import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createRows } from '../../../src/activities/rows.ts';
import type { Chunk } from '../../../src/model/chunk.ts';
import type { BlobStore } from '../../../src/storage/blob-store.ts';
import { createFsStore } from '../../../src/storage/fs.ts';
import { createSegments } from '../../../src/storage/segments.ts';
import type { ItemReader } from '../../../src/targets/item-reader.ts';
import { plan } from '../../fixtures/plan.ts';

const ITEMS = 4;
const header = {
  version: 1,
  format: { kind: 'json' },
  firstIndex: 10,
  items: ITEMS,
  payloadBytes: 0,
  faults: [],
} as const;
const table = new Uint32Array(ITEMS);
const chunk: Chunk = { header, ends: table, lines: table, chosen: null, payload: Buffer.alloc(0) };
const reader: ItemReader = {
  read: () => ({ ok: false, error: { code: 'x', message: '', retryable: false }, label: {} }),
  keyOf: () => null,
  line: (position) => position + 1,
  label: () => ({}),
};
const leavings = {
  lines: new Map(),
  reach: 0,
  begun: new Set<number>(),
  lastWords: false,
  lost: false,
  taken: new Map(),
  journals: [],
};
const marks = { positions: new Uint32Array(0), duplicateOf: new Uint32Array(0) };

let root: string;
let store: BlobStore;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'tranche-segments-'));
  store = createFsStore(root);
});
afterAll(async () => {
  await store.close();
  await rm(root, { recursive: true, force: true });
});

describe('the last attempts of an item', () => {
  it('are kept over slices, over cumulative segments and compaction, three of them, and cost the others nothing', async () => {
    const segments = createSegments(store);
    const at = { uid: 'U', run: 1, ordinal: 0 };
    for (let seq = 0; seq < 20; seq++) {
      const log = await segments.readLog(at, chunk);
      expect(log.nextSeq).toBe(seq);
      const rows = createRows({ chunk, log, leavings, reader, plan: plan(), marks });
      if (seq === 0) rows.decide(0, {}, { outcome: 'succeeded', attempts: 1 });
      if (seq === 1) rows.tried(3, 'early');
      rows.tried(2, `code_${seq}`);
      rows.defer(2, { notBefore: seq, attempts: seq + 1, doubt: false });
      expect(await segments.commit(at, seq, rows.segment(segments.isCumulative(seq)))).toBe(true);
    }
    const codesOf = async (index: number) => (await segments.readItem(at, index)).trials.map(({ code }) => code);
    expect(await codesOf(12)).toEqual(['code_17', 'code_18', 'code_19']);
    expect(await codesOf(13)).toEqual(['early']);
    expect(await segments.readItem(at, 10)).toMatchObject({ trials: [], begun: true });
    expect((await segments.readItem(at, 10)).line?.toString()).toContain('"outcome":"succeeded"');
    expect((await segments.readItem(at, 1)).line).toBeNull();
    const rows = createRows({ chunk, log: await segments.readLog(at, chunk), leavings, reader, plan: plan(), marks });
    for (const position of rows.open()) rows.decide(position, {}, { outcome: 'failed', attempts: 9 });
    await segments.compact(at, rows.segment(true));
    expect(await codesOf(12)).toEqual(['code_17', 'code_18', 'code_19']);
    expect((await segments.readLines(at, ITEMS)).count).toBe(ITEMS);
  });

  it('of no item make a segment as it always was', async () => {
    const segments = createSegments(store);
    const at = { uid: 'U', run: 1, ordinal: 1 };
    const log = await segments.readLog(at, chunk);
    const rows = createRows({ chunk, log, leavings, reader, plan: plan(), marks });
    for (const position of rows.open()) rows.decide(position, {}, { outcome: 'succeeded', attempts: 1 });
    await segments.commit(at, 0, rows.segment(false));
    const [entry] = await Array.fromAsync(store.list('data/'), ({ key }) => key).then((keys) =>
      keys.filter((key) => key.includes('00000001/')),
    );
    const text = (await store.get(entry ?? ''))?.toString() ?? '';
    expect(text.split('\n')).toHaveLength(ITEMS + 2);
    expect(text).not.toContain('trials');
  });
});
