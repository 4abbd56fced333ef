import { Readable } from 'node:stream';
import type { TestWorkflowEnvironment } from '@temporalio/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { decodeChunk, idempotencyKeyAt, isInDoubtAt, itemBytes } from '../../../src/model/chunk.ts';
import { isTrancheError } from '../../../src/model/errors.ts';
import {
  addTallies,
  EMPTY_TALLY,
  type OperationRecord,
  outcomeOf,
  type RunRecord,
  type Tally,
} from '../../../src/model/operation.ts';
import type { ItemOutcome } from '../../../src/model/outcome.ts';
import { renderResultLine } from '../../../src/model/result-line.ts';
import type { RunningOperations } from '../../../src/operations/index.ts';
import type { RetryRequest } from '../../../src/operations/operations.ts';
import { chunkKey } from '../../../src/storage/keys.ts';
import { createRecords } from '../../../src/storage/records.ts';
import { createSegments } from '../../../src/storage/segments.ts';
import {
  ACTOR,
  eventually,
  type Folder,
  keysUnder,
  lazyClient,
  openFolder,
  operationsOn,
  request,
  startTemporal,
} from '../../fixtures/operations-under-test.ts';

let env: TestWorkflowEnvironment;
let folder: Folder;
let operations: RunningOperations;
let elsewhere: RunningOperations;

beforeAll(async () => {
  env = await startTemporal();
  folder = await openFolder();
  operations = operationsOn(folder.store, env.client, { statusDeadlineMs: 200 });
  elsewhere = operationsOn(folder.store, env.client, { statusDeadlineMs: 200 });
});
afterAll(async () => {
  await env.teardown();
  await folder.remove();
});

let accounts = 0;

type Outcomes = Readonly<Record<number, ItemOutcome>>;

async function accept(body: string, over: Parameters<typeof request>[1] = {}): Promise<OperationRecord> {
  const account = `account-${accounts++}`;
  const { operation } = await operations.submit(request(body, { account, ...over }));
  const record = await createRecords(folder.store).readRecord(account, operation.id);
  if (record === null) throw new Error('no record');
  return record;
}

/** Commits as slices do; the chunk is found by its first index. */
async function commit({ uid }: OperationRecord, run: number, ordinal: number, outcomes: Outcomes): Promise<Tally> {
  let tally = EMPTY_TALLY;
  const lines = Object.entries(outcomes).map(([index, outcome]) => {
    tally = addTallies(tally, { ...EMPTY_TALLY, [outcome]: 1 });
    const code = Number(index) % 2 === 0 ? 'even' : 'odd';
    const hasError = outcome === 'failed' || outcome === 'unknown';
    const error = hasError ? { error: { code, message: `run ${run}`, retryable: true } } : {};
    const line = { index: Number(index), line: Number(index) + 1, label: {}, outcome, attempts: 1, ...error };
    return `${renderResultLine(line)}\n`;
  });
  const rows = { outcomeLines: Buffer.from(lines.join('')), outcomes: lines.length, tally, deferred: [] };
  expect(await createSegments(folder.store).commit({ uid, run, ordinal }, 0, rows)).toBe(true);
  return tally;
}

async function end({ account, id }: OperationRecord, run: number, tally: Tally, cancelled = false): Promise<void> {
  const at = new Date().toISOString();
  const outcome = outcomeOf(tally, cancelled);
  const times = { startedAt: at, endedAt: at, asOf: at };
  const state = { state: 'ended', outcome, tally, running: 0, throttle: null, amended: {} } as const;
  const summary = { version: 1, run, revision: 9, ...state, ...times } as const;
  expect(await createRecords(folder.store).createSummary(account, id, summary)).toBe(true);
}

function asking({ account, id }: OperationRecord, over: Partial<RetryRequest> = {}): RetryRequest {
  const signal = new AbortController().signal;
  const all = { fromRun: 1, outcomes: [], codes: null, indexes: null, corrections: null };
  return { account, id, ...all, actor: ACTOR, signal, ...over };
}

function corrections(text: string, contentType = 'application/x-ndjson'): Pick<RetryRequest, 'corrections'> {
  return { corrections: { body: Readable.from([Buffer.from(text)]), contentType, contentEncoding: null } };
}

async function runOf({ account, id }: OperationRecord, run: number): Promise<RunRecord> {
  const record = await createRecords(folder.store).readRun(account, id, run);
  if (record === null) throw new Error(`no run ${run}`);
  return record;
}

/** What the slices of a run are given: idempotency key without the uid → item. */
async function chosenBy(record: OperationRecord, run: number): Promise<Record<string, string>> {
  const { prefix, chunkItems } = await runOf(record, run);
  const chosen: Record<string, string> = {};
  for (const ordinal of chunkItems.keys()) {
    const blob = await folder.store.get(chunkKey(prefix, ordinal));
    if (blob === null) throw new Error('no chunk');
    const chunk = decodeChunk(blob);
    for (let at = 0; at < chunk.header.items; at++) {
      const fault = chunk.header.faults.find(({ position }) => position === at);
      const key = idempotencyKeyAt(chunk, 'u', at).slice(1);
      chosen[key] = fault === undefined ? itemBytes(chunk, at).toString() : `${fault.code}@${chunk.lines[at]}`;
    }
  }
  return chosen;
}

/** Keys of what a run may not call a failure without an answer. */
async function inDoubt(record: OperationRecord, run: number): Promise<string[]> {
  const { prefix } = await runOf(record, run);
  const chunk = decodeChunk((await folder.store.get(chunkKey(prefix, 0))) ?? Buffer.alloc(0));
  const positions = Array.from({ length: chunk.header.items }, (_, position) => position);
  const doubtful = positions.filter((position) => isInDoubtAt(chunk, position));
  return doubtful.map((position) => idempotencyKeyAt(chunk, 'u', position).slice(1));
}

async function textOf(body: AsyncIterable<Buffer>): Promise<string> {
  return Buffer.concat(await Readable.from(body).toArray()).toString('utf8');
}

async function outcomesOf({ account, id }: OperationRecord): Promise<string[]> {
  const text = await textOf((await operations.results({ account, id })).lines);
  const rows = text.split('\n').filter(Boolean);
  return rows.map((line) => JSON.parse(line)).map(({ index, outcome }) => `${index} ${outcome}`);
}

const FIVE = '{"n":0}\n{"n":1}\n{"n":2.50}\n{"n":3}\n{"n":4}\n';
const MIXED: Outcomes = { 0: 'succeeded', 1: 'failed', 2: 'failed', 3: 'unknown', 4: 'cancelled' };

async function ended(outcomes = MIXED, body = FIVE, over: Parameters<typeof request>[1] = {}) {
  const record = await accept(body, over);
  await end(record, 1, await commit(record, 1, 0, outcomes));
  return record;
}

async function detailsOf(refused: Promise<unknown>): Promise<unknown[]> {
  const error = await refused.then(
    () => null,
    (cause: unknown) => cause,
  );
  if (!isTrancheError(error)) throw error;
  return (error.facts.errors ?? []).map(({ detail }) => detail);
}

describe('a retry', () => {
  it('takes up what failed, is unknown or was cancelled, under the keys that are safe, and counts on from the rest', async () => {
    const record = await ended();
    const { operation, replayed } = await operations.retry(asking(record));
    expect(replayed).toBe(false);
    expect(operation).toMatchObject({ run: 2, state: 'queued', outcome: null, endedAt: null });
    expect(operation.counts).toMatchObject({ total: 5, pending: 4, succeeded: 1, failed: 0, unknown: 0, cancelled: 0 });
    expect(await chosenBy(record, 2)).toEqual({
      ':1:r2': '{"n":1}',
      ':2:r2': '{"n":2.50}',
      ':3': '{"n":3}',
      ':4': '{"n":4}',
    });
    expect(await elsewhere.get(record.account, record.id)).toMatchObject({ run: 2, counts: operation.counts });
    const { memo, status } = await env.client.workflow.getHandle(`${record.account}/${record.id}`).describe();
    expect({ memo: memo?.['run'], status: status.name }).toEqual({ memo: undefined, status: 'RUNNING' });
  });

  it('says of each item whether an earlier run may have had it applied, also where a run between was ended early', async () => {
    const record = await ended();
    await operations.retry(asking(record));
    expect(await inDoubt(record, 2)).toEqual([':3']);
    expect(await runOf(record, 2)).toMatchObject({ doubts: [1] });
    await end(record, 2, { ...EMPTY_TALLY, succeeded: 1, cancelled: 3, unknown: 1 }, true);
    const never = ['0 succeeded', '1 cancelled', '2 cancelled', '3 unknown', '4 cancelled'];
    expect(await outcomesOf(record)).toEqual(never);
    expect(await operations.item(record.account, record.id, 3)).toMatchObject({
      outcome: 'unknown',
      result: { error: { code: 'cancelled_in_doubt' } },
    });
    const corrected = corrections('{"index":3,"item":{"n":33}}\n');
    expect(await detailsOf(operations.retry(asking(record, { fromRun: 2, ...corrected })))).toEqual([
      expect.stringContaining('index 3 is unknown'),
    ]);
    await operations.retry(asking(record, { fromRun: 2 }));
    expect(await inDoubt(record, 3)).toEqual([':3']);
  });

  it('narrows by outcome, code and index', async () => {
    const record = await ended();
    await operations.retry(asking(record, { outcomes: ['failed', 'cancelled'], codes: ['odd'] }));
    expect(Object.keys(await chosenBy(record, 2))).toEqual([':1:r2']);
    const other = await ended();
    await operations.retry(asking(other, { indexes: [4, 2, 2] }));
    expect(Object.keys(await chosenBy(other, 2))).toEqual([':2:r2', ':4']);
  });

  it('refuses indexes that are not there or went well, and lists them; and a choice of nothing', async () => {
    const record = await ended();
    const refused = operations.retry(asking(record, { indexes: [0, 1, 5, 4_294_967_297] }));
    expect(await detailsOf(refused)).toEqual([
      expect.stringContaining('no index 5'),
      expect.stringContaining('no index 4294967297'),
      expect.stringContaining('index 0 is succeeded'),
    ]);
    await expect(refused).rejects.toMatchObject({ code: 'invalid_selection' });
    const nothing = operations.retry(asking(record, { codes: ['none'] }));
    await expect(nothing).rejects.toMatchObject({ code: 'illegal_transition', facts: { currentState: 'ended' } });
    const keys = await keysUnder(folder.store, `data/${record.uid.slice(-2).toLowerCase()}/${record.uid}/`);
    expect(keys.filter((key) => /chunks-|corrections-/.test(key))).toEqual([]);
    expect(await operations.get(record.account, record.id)).toMatchObject({ run: 1, state: 'ended' });
  });

  it('is one retry however often and wherever the same request comes, and another one is refused', async () => {
    const record = await ended();
    const asked = Array.from({ length: 10 }, (_, n) => (n % 2 === 0 ? operations : elsewhere).retry(asking(record)));
    const answers = await Promise.all(asked);
    expect(answers.filter(({ replayed }) => !replayed)).toHaveLength(1);
    expect(new Set(answers.map(({ operation }) => operation.run))).toEqual(new Set([2]));
    const folders = await keysUnder(folder.store, `data/${record.uid.slice(-2).toLowerCase()}/${record.uid}/`);
    expect(folders.filter((key) => key.includes('/chunks-2-'))).toHaveLength(1);
    expect((await elsewhere.retry(asking(record, { outcomes: ['cancelled', 'unknown', 'failed'] }))).replayed).toBe(
      true,
    );
    const other = elsewhere.retry(asking(record, { outcomes: ['failed'] }));
    await expect(other).rejects.toMatchObject({ code: 'illegal_transition' });
    await expect(operations.retry(asking(record, { fromRun: 3 }))).rejects.toMatchObject({
      code: 'illegal_transition',
    });
    const running = operations.retry(asking(record, { fromRun: 2 }));
    await expect(running).rejects.toMatchObject({ facts: { currentState: 'queued' } });
  });

  it('is refused while the operation runs, and is not found in another account', async () => {
    const record = await accept(FIVE);
    await expect(operations.retry(asking(record))).rejects.toMatchObject({ facts: { currentState: 'queued' } });
    const theirs = asking(record, { account: 'somebody-else' });
    await expect(operations.retry(theirs)).rejects.toMatchObject({ code: 'not_found' });
  });

  it('overlays the results: pending while in work, each index once when ended, run 3 over run 2', async () => {
    const record = await ended();
    await operations.retry(asking(record));
    await commit(record, 2, 0, { 1: 'succeeded', 3: 'failed' });
    expect(await outcomesOf(record)).toEqual(['0 succeeded', '1 succeeded', '3 failed']);
    // Items 2 and 4 were never begun.
    const base = (await runOf(record, 2)).base;
    await end(record, 2, addTallies(base, { ...EMPTY_TALLY, succeeded: 1, failed: 1, cancelled: 2 }), true);
    const second = ['0 succeeded', '1 succeeded', '2 cancelled', '3 failed', '4 cancelled'];
    expect(await outcomesOf(record)).toEqual(second);
    expect((await operations.get(record.account, record.id)).counts).toMatchObject({
      succeeded: 2,
      failed: 1,
      cancelled: 2,
    });

    await elsewhere.retry(
      asking(record, { fromRun: 2, ...corrections('{"index":2,"item":{"n":22}}\n{"index":3,"item":[1.0]}\n') }),
    );
    expect(await chosenBy(record, 3)).toEqual({ ':2:r2': '{"n":22}', ':3:r3': '[1.0]' });
    expect(await outcomesOf(record)).toEqual(['0 succeeded', '1 succeeded', '4 cancelled']);
    await commit(record, 3, 0, { 2: 'succeeded', 3: 'unknown' });
    await end(record, 3, addTallies((await runOf(record, 3)).base, { ...EMPTY_TALLY, succeeded: 1, unknown: 1 }));
    const third = ['0 succeeded', '1 succeeded', '2 succeeded', '3 unknown', '4 cancelled'];
    expect(await outcomesOf(record)).toEqual(third);
    await operations.retry(asking(record, { fromRun: 3 }));
    expect(await chosenBy(record, 4)).toEqual({ ':3:r3': '[1.0]', ':4': '{"n":4}' });
  });

  it('takes CSV rows up as what they mean, broken ones with their fault and line', async () => {
    const record = await ended(
      { 0: 'failed', 1: 'failed', 2: 'failed' },
      'type,id,price\nupdate,7,1.50\nupdate,8\ndelete,9,\n',
      { contentType: 'text/csv', target: 'products' },
    );
    await operations.retry(asking(record));
    expect(await chosenBy(record, 2)).toEqual({
      ':0:r2': '{"type":"update","id":"7","product":{"price":1.50}}',
      ':1:r2': 'csv_ragged_row@3',
      ':2:r2': '{"type":"delete","id":"9"}',
    });
  });

  it('keeps chunks small and indexes right over many chunks', async () => {
    const total = 30_000;
    const body = Array.from({ length: total }, (_, n) => `{"n":${n}}`).join('\n');
    const record = await accept(body, { target: 'products' });
    let tally = EMPTY_TALLY;
    let first = 0;
    for (const [ordinal, items] of record.chunkItems.entries()) {
      const entries = Array.from({ length: items }, (_, i) => [
        first + i,
        (first + i) % 3 === 0 ? 'failed' : 'succeeded',
      ]);
      tally = addTallies(tally, await commit(record, 1, ordinal, Object.fromEntries(entries)));
      first += items;
    }
    await end(record, 1, tally);
    await operations.retry(asking(record));
    const run = await runOf(record, 2);
    expect(run.chunkItems.length).toBeGreaterThan(2);
    const chosen = await chosenBy(record, 2);
    expect(Object.keys(chosen)).toHaveLength(10_000);
    expect(chosen[':29997:r2']).toBe('{"n":29997}');
    await commit(record, 2, 1, { [run.firstIndexes[1] ?? 0]: 'unknown' });
    const lines = await outcomesOf(record);
    expect(lines).toHaveLength(20_001);
    expect(lines.map((line) => Number(line.split(' ')[0]))).toEqual(
      Array.from({ length: total }, (_, n) => n).filter((n) => n % 3 !== 0 || n === run.firstIndexes[1]),
    );
  });
});

describe('a retry while Temporal is away', () => {
  it('is accepted, and begins by itself once the server is back, in a workflow that says which run it is', async () => {
    const away = operationsOn(folder.store, lazyClient(1), { startDeadlineMs: 200, statusDeadlineMs: 200 });
    const account = `account-${accounts++}`;
    const { operation } = await away.submit(request(FIVE, { account }));
    const record = await createRecords(folder.store).readRecord(account, operation.id);
    if (record === null) throw new Error('no record');
    await end(record, 1, await commit(record, 1, 0, MIXED));
    expect((await away.retry(asking(record))).operation).toMatchObject({ run: 2, state: 'queued', live: false });
    expect((await away.retry(asking(record))).replayed).toBe(true);
    const marker = `${record.uid}-2`;
    const records = createRecords(folder.store);
    const standing = await records.readOpen(marker);
    if (standing === null) throw new Error('no marker');
    await records.putOpen({ ...standing, leaseAt: Date.now() - 10_000 });
    const reconciling = operationsOn(folder.store, env.client);
    reconciling.start();
    try {
      const handle = env.client.workflow.getHandle(`${account}/${operation.id}`);
      const { memo } = await eventually(() => handle.describe());
      expect(memo).toMatchObject({ run: 2 });
      // The marker of the run that has ended is taken away; that of the retry stays.
      expect(await records.readOpen(marker)).not.toBeNull();
      await end(record, 2, EMPTY_TALLY);
      await records.putOpen({ ...standing, leaseAt: Date.now() - 10_000 });
    } finally {
      await reconciling.stop();
    }
  });
});

describe('corrections', () => {
  it('are refused with all that is wrong about them', async () => {
    const record = await ended();
    const sent = ['{"index":0,"item":1}', '{"index":1}', '{"index":2,"item":1}', '{"index":2,"item":1}', 'x'];
    const late = ['{"index":1,"item":1}', '{"index":9,"item":1}', '{"item":1}'];
    const refused = operations.retry(asking(record, corrections([...sent, ...late].join('\n'))));
    expect(await detailsOf(refused)).toEqual([
      expect.stringMatching(/^line 2: index 1 has no member "item"/),
      expect.stringMatching(/^line 4: index 2 is there twice/),
      expect.stringMatching(/^line 5: it is not valid JSON/),
      expect.stringMatching(/^line 6: index 1 stands behind 2/),
      expect.stringMatching(/^line 7: there is no index 9/),
      expect.stringMatching(/^line 8: give the item/),
    ]);
    const well = operations.retry(asking(record, corrections('{"index":0,"item":1}\n{"index":3,"item":1}')));
    await expect(well).rejects.toMatchObject({
      code: 'invalid_selection',
      message: expect.stringContaining('index 0'),
    });
    await expect(operations.retry(asking(record, corrections('')))).rejects.toMatchObject({ code: 'no_items' });
    const headless = corrections('n\n1\n', 'text/csv');
    await expect(operations.retry(asking(record, headless))).rejects.toMatchObject({ code: 'invalid_header' });
  });

  it('choose exactly what they correct, or add to what is chosen beside them; the same body again is the same retry', async () => {
    const record = await ended();
    const body = '{"index":1,"item":{"n":12345678901234567890}}\n';
    await operations.retry(asking(record, corrections(body)));
    expect(await chosenBy(record, 2)).toEqual({ ':1:r2': '{"n":12345678901234567890}' });
    expect((await elsewhere.retry(asking(record, corrections(body)))).replayed).toBe(true);
    const other = elsewhere.retry(asking(record, corrections(`${body}\n`)));
    await expect(other).rejects.toMatchObject({ code: 'illegal_transition' });
    const both = await ended();
    await operations.retry(asking(both, { outcomes: ['cancelled'], ...corrections(body) }));
    expect(Object.keys(await chosenBy(both, 2))).toEqual([':1:r2', ':4']);
  });
});

describe('dead letters', () => {
  const CSV =
    'type;id;_id;price\r\nupdate;7;"a;b";1.50\r\nupdate;8;"say ""no""\nagain";x\r\nupdate;9;;1\r\n9;2;3;4;5\r\n';
  const csv = { contentType: 'text/csv', target: 'products' };
  const down = async (record: OperationRecord, format: 'csv' | 'ndjson', outcomes: RetryRequest['outcomes'] = []) => {
    const { account, id } = record;
    return await textOf((await elsewhere.deadLetters({ account, id, format, outcomes })).body);
  };

  it('of a CSV come cell for cell, and with one cell corrected go back as they are', async () => {
    const record = await ended({ 0: 'failed', 1: 'failed', 2: 'unknown', 3: 'failed' }, CSV, csv);
    const text = await down(record, 'csv');
    expect(text).toBe(
      [
        '_index,_line,_outcome,_code,_message,type,id,_id,price',
        '0,1,failed,even,run 1,update,7,"a;b",1.50',
        '1,2,failed,odd,run 1,update,8,"say ""no""\nagain",x',
        '2,3,unknown,even,run 1,update,9,,1',
        '3,4,failed,odd,run 1,9,2,3,"4;5"',
        '',
      ].join('\r\n'),
    );
    const sent = corrections(text.replace('again",x', 'again",12.30'), 'text/csv');
    await operations.retry(asking(record, sent));
    expect(await chosenBy(record, 2)).toEqual({
      ':0:r2': '{"type":"update","id":"7","product":{"_id":"a;b","price":1.50}}',
      ':1:r2': '{"type":"update","id":"8","product":{"_id":"say \\"no\\"\\nagain","price":12.30}}',
      ':2': '{"type":"update","id":"9","product":{"price":1}}',
      ':3:r2': '{"type":"9","id":"2","product":{"_id":"3","price":"4;5"}}',
    });
    const input = async (index: number) => {
      const { mediaType, body } = await operations.itemInput(record.account, record.id, index);
      return `${mediaType} ${body.toString()}`;
    };
    expect(await input(1)).toBe('text/csv; charset=utf-8 type,id,_id,price\r\nupdate,8,"say ""no""\nagain",12.30\r\n');
    await commit(record, 2, 0, { 0: 'succeeded', 1: 'failed', 2: 'succeeded', 3: 'succeeded' });
    await end(record, 2, { ...EMPTY_TALLY, succeeded: 3, failed: 1 });
    expect(await down(record, 'csv')).toContain('\r\n1,2,failed,odd,run 2,update,8,"say ""no""\nagain",12.30\r\n');
  });

  it('of a CSV are refused where a column was cut off, or where a doubtful item was changed', async () => {
    const record = await ended({ 0: 'failed', 1: 'failed', 2: 'unknown', 3: 'failed' }, CSV, csv);
    const cut = operations.retry(asking(record, corrections('_index,type,id,_id\n0,update,7,x\n', 'text/csv')));
    await expect(cut).rejects.toMatchObject({ code: 'invalid_header', message: expect.stringContaining('"price"') });
    const changed = '_index,type,id,_id,price\n2,update,9,,2\n';
    const refused = operations.retry(asking(record, corrections(changed, 'text/csv')));
    expect(await detailsOf(refused)).toEqual([expect.stringContaining('index 2 is unknown')]);
  });

  it('of a CSV that was corrected as JSON come as a whole, and go back so', async () => {
    const record = await ended({ 0: 'failed', 1: 'succeeded', 2: 'failed', 3: 'succeeded' }, CSV, csv);
    await operations.retry(asking(record, corrections('{"index":2,"item":{"type":"delete","id":2.0}}')));
    await end(record, 2, await commit(record, 2, 0, { 2: 'failed' }));
    const text = await down(record, 'csv');
    expect(text.split('\r\n').slice(0, 3)).toEqual([
      '_index,_line,_outcome,_code,_message,_item,type,id,_id,price',
      '0,1,failed,even,run 1,,update,7,"a;b",1.50',
      '2,3,failed,even,run 2,"{""type"":""delete"",""id"":2.0}",,,,',
    ]);
    await operations.retry(asking(record, { fromRun: 2, ...corrections(text.replace('a;b', 'ab'), 'text/csv') }));
    expect(await chosenBy(record, 3)).toEqual({
      ':0:r3': '{"type":"update","id":"7","product":{"_id":"ab","price":1.50}}',
      ':2:r3': '{"type":"delete","id":2.0}',
    });
  });

  it('of items that were never kept, or whose names no header takes, go back unharmed', async () => {
    const items = [`{"x":"${'x'.repeat(1_100_000)}"}`, '{"":1," a":2,"b":3}'];
    const record = await ended({ 0: 'failed', 1: 'failed' }, items.join('\n'));
    const text = await down(record, 'csv');
    expect(text.split('\r\n').slice(0, 3)).toEqual([
      '_index,_line,_outcome,_code,_message,_item,b',
      '0,1,failed,even,run 1,,',
      '1,2,failed,odd,run 1,"{"""":1,"" a"":2,""b"":3}",',
    ]);
    await operations.retry(asking(record, corrections(text, 'text/csv')));
    expect(await chosenBy(record, 2)).toEqual({ ':0:r2': 'item_too_large@1', ':1:r2': items[1] });
    await expect(operations.itemInput(record.account, record.id, 0)).rejects.toMatchObject({ code: 'not_found' });
    const large = await ended({ 0: 'failed' }, '1\n');
    const sent = corrections(`{"index":0,"item":"${'x'.repeat(1_100_000)}"}`);
    expect(await detailsOf(operations.retry(asking(large, sent)))).toEqual([expect.stringContaining('larger than')]);
  });

  it('of JSON come by member, keep what is not touched digit for digit, and go back', async () => {
    const items = [
      '{"type":"update","id":1.0,"product":{"price":1e400}}',
      '{"type":"update","id":"abc","_index":"mine","product":{}}',
      '[1,2]',
      '{"broken"',
      '{"type":"create","product":{"a":1}}',
    ];
    const failed = { 0: 'failed', 1: 'failed', 2: 'failed', 3: 'failed', 4: 'succeeded' } as const;
    const record = await ended(failed, items.join('\n'), { target: 'products' });
    const text = await down(record, 'csv');
    expect(text.split('\r\n')).toEqual([
      '_index,_line,_outcome,_code,_message,_item,type,id,product,__index',
      '0,1,failed,even,run 1,,update,1.0,"{""price"":1e400}",',
      '1,2,failed,odd,run 1,,update,abc,{},mine',
      '2,3,failed,even,run 1,"[1,2]",,,,',
      '3,4,failed,odd,run 1,"{""broken""",,,,',
      '',
    ]);
    expect((await down(record, 'ndjson')).split('\n').slice(1, 4)).toEqual(
      [
        '{"index":1,"line":2,"outcome":"failed","error":{"code":"odd","message":"run 1"},"item":{"type":"update","id":"abc","_index":"mine","product":{}}}',
        '{"index":2,"line":3,"outcome":"failed","error":{"code":"even","message":"run 1"},"item":[1,2]}',
        '{"index":3,"line":4,"outcome":"failed","error":{"code":"odd","message":"run 1"},"raw":"{\\"broken\\""}',
      ].map((line) => line.replace('"run 1"}', '"run 1","retryable":true}')),
    );
    const corrected = text
      .replace('abc,{}', 'abc,"{""price"":2.50}"')
      .replace('"{""broken"""', '"{""type"":""delete"",""id"":5}"');
    await operations.retry(asking(record, corrections(corrected, 'text/csv')));
    expect(await chosenBy(record, 2)).toEqual({
      ':0:r2': items[0],
      ':1:r2': '{"type":"update","id":"abc","_index":"mine","product":{"price":2.50}}',
      ':2:r2': '[1,2]',
      ':3:r2': '{"type":"delete","id":5}',
    });
  });
});

describe('a single item', () => {
  it('is read by index: its line, its last attempts, its payload', async () => {
    const record = await ended();
    const { account, id, uid } = record;
    expect(await operations.item(account, id, 2)).toMatchObject({
      index: 2,
      line: 3,
      outcome: 'failed',
      run: 1,
      lastAttempts: [],
      result: { index: 2, outcome: 'failed', error: { code: 'even' } },
    });
    expect((await operations.itemInput(account, id, 2)).body.toString()).toBe('{"n":2.50}');
    for (const index of [5, -1, 0.5]) {
      await expect(operations.item(account, id, index)).rejects.toMatchObject({ code: 'not_found' });
    }
    await operations.retry(asking(record, corrections('{"index":2,"item":{"n":3.0}}')));
    expect(await operations.item(account, id, 2)).toMatchObject({ outcome: 'pending', run: 2, result: null });
    expect(await operations.item(account, id, 3)).toMatchObject({ outcome: 'unknown', run: 1 });
    expect((await operations.itemInput(account, id, 2)).body.toString()).toBe('{"n":3.0}');
    const at = Date.parse('2026-01-01T00:00:00Z');
    const trials = [{ index: 2, trials: [{ at, code: 'vendor_timeout' }] }];
    const deferred = [{ index: 2, notBefore: 5, attempts: 1, doubt: true }];
    const nothing = { outcomeLines: Buffer.alloc(0), outcomes: 0, tally: EMPTY_TALLY };
    await createSegments(folder.store).commit({ uid, run: 2, ordinal: 0 }, 0, { ...nothing, deferred, trials });
    expect(await operations.item(account, id, 2)).toMatchObject({
      outcome: 'running',
      lastAttempts: [{ at: '2026-01-01T00:00:00.000Z', code: 'vendor_timeout' }],
    });
    await end(record, 2, { ...EMPTY_TALLY, succeeded: 1, cancelled: 2, failed: 1, unknown: 1 }, true);
    expect(await operations.item(account, id, 2)).toMatchObject({ outcome: 'cancelled', result: { line: 3 } });
  });
});
