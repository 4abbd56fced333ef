/** Submitting under limits: what counts, what costs nothing, and what happens while the database is away. */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { createIngest } from '../../../src/ingest/index.ts';
import { noLog } from '../../../src/model/log.ts';
import { createOperations, type RunningOperations } from '../../../src/operations/index.ts';
import { type AccountLimits, createAccountLimits } from '../../../src/operations/limits/account-limits.ts';
import { createPlaceSweep } from '../../../src/operations/limits/places.ts';
import type { QuotaLimits } from '../../../src/operations/limits/quotas.ts';
import { migrate } from '../../../src/storage/migrations.ts';
import { openDatabase } from '../../../src/storage/postgres.ts';
import { createQuotaRows } from '../../../src/storage/quotas.ts';
import { createRecords } from '../../../src/storage/records.ts';
import { CORE_MIGRATIONS } from '../../../src/storage/schema.ts';
import { createSegments } from '../../../src/storage/segments.ts';
import { createTargetRegistry } from '../../../src/targets/index.ts';
import {
  ACTOR,
  eventually,
  type Folder,
  keysUnder,
  lazyClient,
  openFolder,
  QUICK_SETTINGS,
  request,
  switchable,
} from '../../fixtures/operations-under-test.ts';
import { NO_POSTGRES, type Postgres, postgresIsWithinReach, startPostgres } from '../../fixtures/postgres.ts';

const reachable = await postgresIsWithinReach();
const NONE: QuotaLimits = { surfaces: {}, submissions: null, operationsMax: null, itemsMax: null, bytesMax: null };
/** Nobody listens there: what is accepted waits in the outbox, which is no matter here. */
const client = lazyClient(1);
let accounts = 0;

async function everything({ store }: Folder): Promise<readonly string[]> {
  const keys = ['open/', 'operations/', 'data/', 'keyless/'].map((prefix) => keysUnder(store, prefix));
  return (await Promise.all(keys)).flat().sort();
}

describe.skipIf(!reachable)(`submitting under limits ${reachable ? '' : NO_POSTGRES}`, () => {
  let postgres: Postgres;
  let folder: Folder;
  let database: ReturnType<typeof openDatabase>;
  let account: string;

  beforeAll(async () => {
    postgres = await startPostgres();
    database = openDatabase({
      ...{ url: postgres.url, connectionsMax: 8, applicationName: 'limits-test', statementTimeoutMs: 5_000 },
    });
    await migrate(database, CORE_MIGRATIONS);
  });
  beforeEach(async () => {
    folder = await openFolder();
    account = `account-${accounts++}`;
  });
  afterEach(() => folder.remove());
  afterAll(async () => {
    await database?.close();
    await postgres?.close();
  });

  function limited(
    limits: Partial<QuotaLimits>,
    store = folder.store,
  ): RunningOperations & { readonly own: AccountLimits } {
    const records = createRecords(store);
    const own = createAccountLimits({
      ...{ sql: database, records, limits: { ...NONE, ...limits }, storeDeadlineMs: 2_000, log: noLog },
    });
    const operations = createOperations({
      storage: { store, records, segments: createSegments(store) },
      ingest: createIngest({ chunkSizes: {} }),
      ...{ client, database, targets: createTargetRegistry({}), limits: own, log: noLog },
      settings: { ...QUICK_SETTINGS, startDeadlineMs: 100, callDeadlineMs: 100, statusDeadlineMs: 200 },
    });
    return Object.assign(operations, { own });
  }

  const submit = (operations: RunningOperations, over: Parameters<typeof request>[1] = {}, body = '{}\n') =>
    operations.submit(request(body, { account, ...over }));
  const exceeded = expect.objectContaining({ code: 'quota_exceeded' });

  it('refuses what is one too many, says when to come back, and leaves nothing of it', async () => {
    const operations = limited({ submissions: { max: 2, windowMs: 60_000 } });
    const first = await submit(operations);
    expect(first.limits).toEqual([
      { name: 'submissions', limit: 2, unit: 'requests', windowSeconds: 60, remaining: 1, resetSeconds: 60 },
    ]);
    await submit(operations, { key: 'second' });
    const before = await everything(folder);
    const error = await submit(operations, { key: 'third' }).catch((fault: unknown) => fault);
    expect(error).toEqual(exceeded);
    expect(error).toMatchObject({ facts: { violated: ['submissions'], retryAfterSeconds: expect.any(Number) } });
    expect(await everything(folder)).toEqual(before);
    expect(await operations.limits(account)).toMatchObject([{ remaining: 0 }]);
  });

  it('refuses before the body is read where no key could make it a replay', async () => {
    const operations = limited({ submissions: { max: 1, windowMs: 60_000 } });
    await submit(operations);
    let read = false;
    const { body: _, ...rest } = request('', { account });
    const { Readable } = await import('node:stream');
    const body = new Readable({
      read() {
        read = true;
        this.push(null);
      },
    });
    await expect(operations.submit({ ...rest, body })).rejects.toEqual(exceeded);
    expect(read).toBe(false);
  });

  it('takes nothing for a replay, also at the limit, and still tells a key that is used twice', async () => {
    const operations = limited({ submissions: { max: 1, windowMs: 60_000 }, operationsMax: 1 });
    const { operation } = await submit(operations, { key: 'once' });
    for (let n = 0; n < 3; n++) {
      const again = await submit(operations, { key: 'once' });
      expect(again).toMatchObject({ replayed: true, operation: { id: operation.id } });
    }
    await expect(submit(operations, { key: 'once' }, '{"other":1}\n')).rejects.toMatchObject({
      code: 'idempotency_key_reused',
    });
    await expect(submit(operations, { key: 'twice' })).rejects.toEqual(exceeded);
  });

  it('accepts one request that is sent many times at once although there is one place', async () => {
    const processes = [0, 1, 2, 3].map(() => limited({ submissions: { max: 1, windowMs: 60_000 } }));
    const answers = await Promise.all(
      Array.from({ length: 20 }, (_, n) => submit(processes[n % 4] as RunningOperations, { key: 'crowd' })),
    );
    expect(answers.filter(({ replayed }) => !replayed)).toHaveLength(1);
    expect(new Set(answers.map(({ operation }) => operation.id)).size).toBe(1);
  });

  it('gives the place back where the same request is replayed by the window of its surface', async () => {
    const operations = limited({ submissions: { max: 2, windowMs: 60_000 } });
    for (let n = 0; n < 4; n++) await submit(operations, { keylessReplayWindowMs: 60_000 });
    expect(await operations.limits(account)).toMatchObject([{ remaining: 1 }]);
  });

  it('does not count what could not be kept', async () => {
    const store = switchable(folder.store);
    const operations = limited({ submissions: { max: 1, windowMs: 60_000 }, operationsMax: 1 }, store.store);
    store.off = true;
    await expect(submit(operations)).rejects.toMatchObject({ code: 'unavailable' });
    store.off = false;
    await expect(submit(operations)).resolves.toMatchObject({ replayed: false });
  });

  it('does not count what is refused for what it says', async () => {
    const operations = limited({ submissions: { max: 1, windowMs: 60_000 } });
    await expect(submit(operations, {}, '')).rejects.toMatchObject({ code: 'no_items' });
    await expect(submit(operations, { target: 'nothing' })).rejects.toMatchObject({ code: 'unknown_target' });
    await expect(submit(operations)).resolves.toMatchObject({ replayed: false });
  });

  it('says of what could never fit that it is too large, not that it comes too soon', async () => {
    const operations = limited({ itemsMax: 2, bytesMax: 100 });
    await expect(submit(operations, {}, '{}\n{}\n{}\n')).rejects.toMatchObject({ code: 'content_too_large' });
    await submit(operations, {}, '{}\n{}\n');
    await expect(submit(operations, { key: 'more' })).rejects.toEqual(exceeded);
  });

  it('counts the submissions of /bulk-actions by a limit of their own', async () => {
    const operations = limited({ surfaces: { 'bulk-actions': { max: 1, windowMs: 60_000 } } });
    const { limits } = await submit(operations, { surface: 'bulk-actions' });
    expect(limits).toMatchObject([{ name: 'bulk-actions', remaining: 0 }]);
    const error = await submit(operations, { surface: 'bulk-actions' }).catch((fault: unknown) => fault);
    expect(error).toMatchObject({ code: 'quota_exceeded', facts: { violated: ['bulk-actions'] } });
    await expect(submit(operations)).resolves.toMatchObject({ replayed: false });
    expect(await operations.limits(account)).toMatchObject([{ name: 'bulk-actions', limit: 1, remaining: 0 }]);
  });

  it('asks nothing of the database for a surface that has no limit', async () => {
    const operations = limited({ surfaces: { 'bulk-actions': { max: 1, windowMs: 60_000 } } });
    await postgres.stop();
    try {
      await expect(submit(operations)).resolves.toMatchObject({ replayed: false });
      await expect(submit(operations, { surface: 'product-bulk' })).resolves.toMatchObject({ replayed: false });
    } finally {
      await postgres.start();
    }
  });

  it('answers 503 and keeps nothing while the database is away, and goes on when it is back', async () => {
    const operations = limited({ submissions: { max: 1, windowMs: 60_000 } });
    await postgres.kill();
    try {
      await expect(submit(operations)).rejects.toMatchObject({ code: 'unavailable' });
      await expect(submit(operations, { key: 'keyed' })).rejects.toMatchObject({ code: 'unavailable' });
      await expect(operations.limits(account)).rejects.toMatchObject({ code: 'unavailable' });
      expect(await keysUnder(folder.store, 'operations/')).toEqual([]);
    } finally {
      await postgres.start();
    }
    await eventually(async () => expect((await submit(operations, { key: 'keyed' })).replayed).toBe(false));
    await expect(submit(operations)).rejects.toEqual(exceeded);
  });

  it('frees by its sweep what ended without telling, and leaves what goes on', async () => {
    const operations = limited({ operationsMax: 2 });
    const ended = (await submit(operations)).operation;
    const open = (await submit(operations)).operation;
    const records = createRecords(folder.store);
    const rows = createQuotaRows(database);
    const now = new Date().toISOString();
    const tally = { succeeded: 1, failed: 0, skipped: 0, cancelled: 0, unknown: 0 };
    await records.createSummary(account, ended.id, {
      ...{ version: 1, run: 1, revision: 2, state: 'ended', outcome: 'succeeded', tally, running: 0, throttle: null },
      ...{ amended: {}, startedAt: now, endedAt: now, asOf: now },
    });
    const sweep = createPlaceSweep({
      ...{ rows, quotas: operations.own.quotas, records, longestWindowMs: 0, intervalMs: 50, storeDeadlineMs: 2_000 },
      log: noLog,
    });
    sweep.start();
    try {
      await eventually(async () => expect(await operations.limits(account)).toMatchObject([{ remaining: 1 }]));
    } finally {
      await sweep.stop();
    }
    const { rows: left } = await database.query('SELECT operation_id FROM tranche_in_flight WHERE account = $1', [
      account,
    ]);
    expect(left).toEqual([{ operation_id: open.id }]);
  });

  it('takes a place for a retry, in no window, and frees it when its run has ended', async () => {
    const operations = limited({ operationsMax: 1, submissions: { max: 1, windowMs: 3_600_000 } });
    const records = createRecords(folder.store);
    const { id } = (await submit(operations)).operation;
    const now = new Date().toISOString();
    const end = (run: number) =>
      records.createSummary(account, id, {
        ...{ version: 1, run, revision: 9, state: 'ended', outcome: 'cancelled', running: 0, throttle: null },
        tally: { succeeded: 0, failed: 0, skipped: 0, cancelled: 1, unknown: 0 },
        ...{ amended: {}, startedAt: now, endedAt: now, asOf: now },
      });
    const sweep = createPlaceSweep({
      ...{ rows: createQuotaRows(database), quotas: operations.own.quotas, records, longestWindowMs: 0 },
      ...{ intervalMs: 50, storeDeadlineMs: 2_000, log: noLog },
    });
    const left = async () =>
      (await database.query('SELECT uid FROM tranche_in_flight WHERE account = $1', [account])).rowCount;
    const retry = (fromRun: number) =>
      operations.retry({
        ...{ account, id, fromRun, outcomes: [], codes: null, indexes: null, corrections: null, actor: ACTOR },
        signal: AbortSignal.timeout(20_000),
      });
    await end(1);
    // Its first run is not swept yet: there is no room.
    await expect(retry(1)).rejects.toMatchObject({ code: 'quota_exceeded' });
    sweep.start();
    try {
      await eventually(async () => expect(await left()).toBe(0));
      expect((await retry(1)).operation.run).toBe(2);
      expect(await left()).toBe(1);
      // What goes on is not swept.
      await new Promise((wake) => setTimeout(wake, 300));
      expect(await left()).toBe(1);
      expect((await retry(1)).replayed).toBe(true);
      expect(await left()).toBe(1);
      await end(2);
      await eventually(async () => expect(await left()).toBe(0));
    } finally {
      await sweep.stop();
    }
    // The retry was no submission: the window is as full as before.
    const { rowCount } = await database.query('SELECT uid FROM tranche_submissions WHERE account = $1', [account]);
    expect(rowCount).toBe(1);
  });

  it('gives back by its sweep what was never accepted because its process died, in the windows too', async () => {
    const operations = limited({ operationsMax: 2, submissions: { max: 2, windowMs: 3_600_000 } });
    const rows = createQuotaRows(database);
    const bid = { account, operationId: 'lost', surface: 'v1', items: 1, bytes: 1 };
    await operations.own.quotas.enter({ ...bid, uid: `${account}-lost` });
    await operations.own.quotas.enter({ ...bid, uid: `${account}-young` });
    await database.query("UPDATE tranche_in_flight SET entered_at = now() - interval '1 hour' WHERE uid = $1", [
      `${account}-lost`,
    ]);
    const records = createRecords(folder.store);
    const sweep = createPlaceSweep({
      ...{ rows, quotas: operations.own.quotas, records, longestWindowMs: 0, intervalMs: 50, storeDeadlineMs: 2_000 },
      log: noLog,
    });
    sweep.start();
    try {
      const free = [
        { name: 'submissions', remaining: 1 },
        { name: 'operations', remaining: 1 },
      ];
      await eventually(async () => expect(await operations.limits(account)).toMatchObject(free));
    } finally {
      await sweep.stop();
    }
  });
});
