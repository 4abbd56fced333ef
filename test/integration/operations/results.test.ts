import { Readable } from 'node:stream';
import type { TestWorkflowEnvironment } from '@temporalio/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { addTallies, EMPTY_TALLY, type Progress, type Tally } from '../../../src/model/operation.ts';
import type { ItemOutcome } from '../../../src/model/outcome.ts';
import { renderResultLine } from '../../../src/model/result-line.ts';
import type { RunningOperations } from '../../../src/operations/index.ts';
import type { BlobStore } from '../../../src/storage/blob-store.ts';
import { createRecords } from '../../../src/storage/records.ts';
import { createSegments } from '../../../src/storage/segments.ts';
import { type Folder, openFolder, operationsOn, request, startTemporal } from '../../fixtures/operations-under-test.ts';

let env: TestWorkflowEnvironment;
let folder: Folder;
let operations: RunningOperations;

beforeAll(async () => {
  env = await startTemporal();
  folder = await openFolder();
  operations = operationsOn(folder.store, env.client, { statusDeadlineMs: 200 });
});
afterAll(async () => {
  await env.teardown();
  await folder.remove();
});

let accounts = 0;
const freshAccount = () => `account-${accounts++}`;

interface Row {
  readonly index: number;
  readonly outcome: ItemOutcome;
  readonly code?: string;
}

/** Commits a segment as a slice does. */
async function commit(uid: string, ordinal: number, seq: number, rows: readonly Row[]): Promise<void> {
  const lines = rows.map(({ index, outcome, code }) => {
    const error = code === undefined ? {} : { error: { code, message: `${code} of ${index}`, retryable: false } };
    return `${renderResultLine({ index, line: index + 1, label: {}, outcome, attempts: 1, ...error })}\n`;
  });
  const tally = rows.reduce<Tally>(
    (sum, { outcome }) => addTallies(sum, { ...EMPTY_TALLY, [outcome]: 1 }),
    EMPTY_TALLY,
  );
  const segment = { outcomeLines: Buffer.from(lines.join('')), outcomes: rows.length, tally, deferred: [] };
  expect(await createSegments(folder.store).commit({ uid, run: 1, ordinal }, seq, segment)).toBe(true);
}

async function end(account: string, id: string, tally: Partial<Tally>): Promise<void> {
  const at = new Date().toISOString();
  const summary: Progress = {
    version: 1,
    run: 1,
    revision: 9,
    state: 'ended',
    outcome: 'cancelled',
    tally: { ...EMPTY_TALLY, ...tally },
    running: 0,
    throttle: null,
    amended: {},
    startedAt: at,
    endedAt: at,
    asOf: at,
  };
  expect(await createRecords(folder.store).createSummary(account, id, summary)).toBe(true);
}

async function textOf(body: AsyncIterable<Buffer>): Promise<string> {
  return Buffer.concat(await Readable.from(body).toArray()).toString('utf8');
}

async function rowsOf(account: string, id: string, outcome?: ItemOutcome): Promise<Record<string, unknown>[]> {
  const { lines } = await operations.results({ account, id, ...(outcome === undefined ? {} : { outcome }) });
  const text = await textOf(lines);
  return text
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line) as Record<string, unknown>);
}

async function accept(body: string, over: Parameters<typeof request>[1] = {}) {
  const account = freshAccount();
  const { operation } = await operations.submit(request(body, { account, ...over }));
  const record = await createRecords(folder.store).readRecord(account, operation.id);
  if (record === null) throw new Error('no record');
  return { account, id: operation.id, record };
}

describe('results', () => {
  it('begin near the index asked for once ended, and at the beginning until then', async () => {
    const { account, id } = await accept('1\n2\n3\n4\n5\n6\n7\n', { intake: { chunkItems: 2 } });
    const indexesFrom = async (fromIndex: number) => {
      const { lines } = await operations.results({ account, id, fromIndex });
      return [...(await textOf(lines)).matchAll(/"index":(\d+)/g)].map(([, index]) => Number(index));
    };
    expect(await indexesFrom(5)).toEqual([]);
    await end(account, id, { cancelled: 7 });
    expect(await indexesFrom(0)).toEqual([0, 1, 2, 3, 4, 5, 6]);
    expect(await indexesFrom(3)).toEqual([2, 3, 4, 5, 6]);
    expect(await indexesFrom(6)).toEqual([6]);
    expect(await indexesFrom(1_000_000)).toEqual([6]);
  });

  it('come in input order while it runs, without what is not decided', async () => {
    const { account, id, record } = await accept('{"n":0}\n{"n":1}\n{"n":2}\n');
    await commit(record.uid, 0, 0, [{ index: 2, outcome: 'succeeded' }]);
    await commit(record.uid, 0, 1, [{ index: 0, outcome: 'failed', code: 'bad' }]);
    expect((await operations.results({ account, id })).complete).toBe(false);
    expect((await rowsOf(account, id)).map(({ index }) => index)).toEqual([0, 2]);
    expect((await rowsOf(account, id, 'failed')).map(({ index }) => index)).toEqual([0]);
  });

  it('hold each index exactly once after the end: what was not begun is cancelled, with its line and label', async () => {
    const items = Array.from({ length: 12_000 }, (_, n) =>
      JSON.stringify({ type: 'update', id: n, product: { price: 1 } }),
    );
    const { account, id, record } = await accept(`\n\n${items.join('\n')}\n`, { target: 'products' });
    expect(record.chunkItems.length).toBeGreaterThan(2);
    const rows = Array.from({ length: 100 }, (_, i): Row => ({ index: i * 2, outcome: 'succeeded' }));
    await commit(record.uid, 0, 0, rows);
    await end(account, id, { succeeded: 100, cancelled: 11_900 });
    const all = await rowsOf(account, id);
    expect(all.map(({ index }) => index)).toEqual(items.map((_, index) => index));
    expect(all[1]).toEqual({ index: 1, line: 4, type: 'update', id: 1, outcome: 'cancelled', attempts: 0 });
    expect(all[11_999]).toMatchObject({ line: 12_002, id: 11_999, outcome: 'cancelled' });
    expect(await rowsOf(account, id, 'succeeded')).toHaveLength(100);
    expect(await rowsOf(account, id, 'cancelled')).toHaveLength(11_900);
    expect(await rowsOf(account, id, 'unknown')).toEqual([]);
    expect((await operations.results({ account, id })).complete).toBe(true);
  });

  it('group what failed by code, the most frequent first', async () => {
    const { account, id, record } = await accept('{}\n{}\n{}\n{}\n');
    await commit(record.uid, 0, 0, [
      { index: 0, outcome: 'failed', code: 'rare' },
      { index: 1, outcome: 'failed', code: 'often' },
      { index: 2, outcome: 'succeeded' },
      { index: 3, outcome: 'unknown', code: 'often' },
    ]);
    await end(account, id, { failed: 2, succeeded: 1, unknown: 1 });
    const groups = [
      { code: 'often', count: 2, sample: 'often of 1', firstIndex: 1, retryable: false },
      { code: 'rare', count: 1, sample: 'rare of 0', firstIndex: 0, retryable: false },
    ];
    expect(await operations.errors(account, id)).toEqual(groups);
    expect(await operations.errors(account, id)).toEqual(groups);
  });

  it('are 503 where the store fails before the first line, as are dead letters and errors', async () => {
    const { account, id, record } = await accept('{}\n{}\n', { intake: { chunkItems: 1 } });
    await commit(record.uid, 0, 0, [{ index: 0, outcome: 'failed', code: 'bad' }]);
    await end(account, id, { failed: 1, cancelled: 1 });
    const isOfSegments = (key: string) => key.includes('/run-1.');
    const broken: BlobStore = {
      ...folder.store,
      get: (key) => (isOfSegments(key) ? Promise.reject(new Error('EIO')) : folder.store.get(key)),
    };
    const half = operationsOn(broken, env.client, { statusDeadlineMs: 200 });
    const unavailable = { code: 'unavailable' };
    const { lines } = await half.results({ account, id });
    await expect(textOf(lines)).rejects.toMatchObject(unavailable);
    await expect(half.errors(account, id)).rejects.toMatchObject(unavailable);
    for (const format of ['ndjson', 'csv'] as const) {
      const letters = half.deadLetters({ account, id, outcomes: [], format }).then(({ body }) => textOf(body));
      await expect(letters).rejects.toMatchObject(unavailable);
    }
  });

  it('are not another account’s', async () => {
    const { id } = await accept('{}\n');
    const account = freshAccount();
    await expect(operations.results({ account, id })).rejects.toMatchObject({ code: 'not_found' });
    await expect(operations.errors(account, id)).rejects.toMatchObject({ code: 'not_found' });
    await expect(operations.input(account, id)).rejects.toMatchObject({ code: 'not_found' });
  });
});

describe('input', () => {
  it('gives JSON items back digit for digit, one per line', async () => {
    const { account, id } = await accept('[ {"a":1.0,\n"b":12345678901234567890},\r\n"x\\n" ]', {
      contentType: 'application/json',
    });
    const { mediaType, body } = await operations.input(account, id);
    expect(mediaType).toBe('application/x-ndjson');
    expect(await textOf(body)).toBe('{"a":1.0, "b":12345678901234567890}\n"x\\n"\n');
  });

  it('gives CSV rows back behind their header', async () => {
    const { account, id } = await accept('id;"na;me"\r\n1;"a\nb"\r\n2;c', { contentType: 'text/csv' });
    const { mediaType, body } = await operations.input(account, id);
    expect(mediaType).toMatch(/^text\/csv/);
    expect(await textOf(body)).toBe('id;"na;me"\r\n1;"a\nb"\r\n2;c\r\n');
  });

  it('keeps the place of an item that was too large', async () => {
    const { account, id } = await accept(`1\n"${'x'.repeat(1_100_000)}"\n3\n`);
    expect(await textOf((await operations.input(account, id)).body)).toBe('1\nnull\n3\n');
  });
});
