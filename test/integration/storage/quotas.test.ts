/** The limits of accounts as rows of a real PostgreSQL, asked by many connections at once. */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { Database } from '../../../src/model/database.ts';
import { migrate } from '../../../src/storage/migrations.ts';
import { openDatabase } from '../../../src/storage/postgres.ts';
import { createQuotaRows, type Entry } from '../../../src/storage/quotas.ts';
import { CORE_MIGRATIONS } from '../../../src/storage/schema.ts';
import { NO_POSTGRES, type Postgres, postgresIsWithinReach, startPostgres } from '../../fixtures/postgres.ts';

const reachable = await postgresIsWithinReach();
const open = (url: string): Database =>
  openDatabase({ url, connectionsMax: 8, applicationName: 'quotas-test', statementTimeoutMs: 20_000 });

let uids = 0;
function entry(account: string, over: Partial<Entry> = {}): Entry {
  const uid = `uid-${uids++}`;
  const none = { surfaceWindow: null, window: null, itemsMax: null, bytesMax: null, operationsMax: null };
  return { account, uid, operationId: uid, surface: 'v1', items: 1, bytes: 10, ...none, ...over };
}

describe.skipIf(!reachable)(`limits of accounts ${reachable ? 'on PostgreSQL' : NO_POSTGRES}`, () => {
  let postgres: Postgres;
  let processes: Database[];
  let database: Database;

  beforeAll(async () => {
    postgres = await startPostgres();
    processes = Array.from({ length: 4 }, () => open(postgres.url));
    database = open(postgres.url);
    await migrate(database, CORE_MIGRATIONS);
  });
  beforeEach(async () => {
    await database.query('DELETE FROM tranche_submissions');
    await database.query('DELETE FROM tranche_in_flight');
  });
  afterAll(async () => {
    await Promise.all([...(processes ?? []), database].map((one) => one?.close()));
    await postgres?.close();
  });

  async function enterMany(entries: readonly Entry[]) {
    const quotas = processes.map(createQuotaRows);
    return await Promise.all(entries.map((one, i) => quotas[i % quotas.length]?.enter(one)));
  }

  it('admit exactly as many as the window holds, whoever asks and however many at once', async () => {
    const window = { max: 5, windowMs: 60_000 };
    const mine = Array.from({ length: 200 }, () => entry('crowd', { window }));
    const theirs = Array.from({ length: 4 }, () => entry('quiet', { window }));
    const answers = await enterMany([...mine, ...theirs]);
    expect(answers.slice(0, 200).filter((answer) => answer?.admitted)).toHaveLength(5);
    expect(answers.slice(200).every((answer) => answer?.admitted)).toBe(true);
    const refused = answers.slice(0, 200).find((answer) => !answer?.admitted);
    expect(refused?.submissions?.used).toBe(5);
    expect(refused?.submissions?.leavesInMs).toBeGreaterThan(0);
    expect(refused?.submissions?.leavesInMs).toBeLessThanOrEqual(60_000);
  });

  it('never admit more in any window, and use the window fully: it slides', async () => {
    const window = { max: 5, windowMs: 300 };
    const endAt = Date.now() + 3_000;
    const crowd = processes.map(createQuotaRows).map(async (quotas) => {
      while (Date.now() < endAt) await quotas.enter(entry('slide', { window }));
    });
    await Promise.all(crowd);
    const { rows } = await database.query<{ at: number }>(
      "SELECT (extract(epoch FROM at) * 1000)::float8 AS at FROM tranche_submissions WHERE account = 'slide' ORDER BY at",
    );
    const times = rows.map(({ at }) => at);
    const narrowest = Math.min(...times.slice(5).map((at, i) => at - (times[i] ?? 0)));
    expect(narrowest).toBeGreaterThanOrEqual(300 - 0.01);
    // Ten windows passed; a busy machine may lose some of them.
    expect(times.length).toBeGreaterThanOrEqual(25);
  });

  it('count what comes by one surface apart from the rest', async () => {
    const surfaceWindow = { max: 2, windowMs: 60_000 };
    const bulk = () =>
      entry('surfaces', { surface: 'bulk-actions', surfaceWindow, window: { max: 4, windowMs: 60_000 } });
    const other = () => entry('surfaces', { window: { max: 4, windowMs: 60_000 } });
    const rows = createQuotaRows(database);
    const admitted: boolean[] = [];
    for (const one of [bulk(), bulk(), bulk(), other(), other(), other()])
      admitted.push((await rows.enter(one)).admitted);
    expect(admitted).toEqual([true, true, false, true, true, false]);
  });

  it.each([
    ['operations', { operationsMax: 3 }, 3],
    ['items', { itemsMax: 10, items: 4 }, 2],
    ['bytes', { bytesMax: 100, bytes: 50 }, 2],
    ['the least of them', { operationsMax: 9, itemsMax: 10, items: 10 }, 1],
  ])('bound what is in flight by %s, and a place that is freed is taken again', async (_, over, places) => {
    const rows = createQuotaRows(database);
    const entries = Array.from({ length: 20 }, () => entry('flight', over));
    const answers = await enterMany(entries);
    expect(answers.filter((answer) => answer?.admitted)).toHaveLength(places);
    const first = entries.find((_one, i) => answers[i]?.admitted);
    await rows.free(first?.uid ?? '');
    expect((await rows.enter(entry('flight', over))).admitted).toBe(true);
    expect((await rows.enter(entry('flight', over))).admitted).toBe(false);
  });

  it('take a place in all limits or in none', async () => {
    const rows = createQuotaRows(database);
    const over = { window: { max: 9, windowMs: 60_000 }, itemsMax: 5, items: 3 };
    expect((await rows.enter(entry('both', over))).admitted).toBe(true);
    expect((await rows.enter(entry('both', over))).admitted).toBe(false);
    expect(await rows.look(entry('both', over))).toMatchObject({ submissions: { used: 1 }, items: 3, operations: 1 });
  });

  it('forget what is given back, as often as it is', async () => {
    const rows = createQuotaRows(database);
    const over = { window: { max: 1, windowMs: 60_000 }, operationsMax: 1 };
    const taken = entry('back', over);
    await rows.enter(taken);
    await rows.giveBack('back', taken.uid);
    await rows.giveBack('back', taken.uid);
    expect((await rows.enter(entry('back', over))).admitted).toBe(true);
  });

  it('tell a request that its twin holds a place', async () => {
    const rows = createQuotaRows(database);
    const over = { window: { max: 1, windowMs: 60_000 } };
    await rows.enter(entry('twins', { ...over, operationId: 'same' }));
    const twin = await rows.enter(entry('twins', { ...over, operationId: 'same' }));
    expect(twin).toMatchObject({ admitted: false, sameOperation: true });
    expect(await rows.enter(entry('twins', over))).toMatchObject({ admitted: false, sameOperation: false });
    expect(await rows.enter(entry('strangers', { ...over, operationId: 'same' }))).toMatchObject({ admitted: true });
  });

  it('hand a place that may be over to one sweeper at a time', async () => {
    const rows = createQuotaRows(database);
    const entries = Array.from({ length: 20 }, () => entry('sweep', { operationsMax: 100 }));
    for (const one of entries) await rows.enter(one);
    // Long enough ago that what one has just looked at is not overdue again for another who began a moment before.
    const LONG_AGO = "UPDATE tranche_in_flight SET looked_at = looked_at - interval '1 hour' WHERE account = 'sweep'";
    await database.query(LONG_AGO);
    const found = await Promise.all(processes.map(createQuotaRows).map((one) => one.overdue(60_000, 5)));
    const seen = [...found.flat(), ...(await rows.overdue(60_000, 100))].map(({ uid }) => uid);
    expect(seen).toHaveLength(20);
    expect(new Set(seen).size).toBe(20);
    expect(await rows.overdue(60_000, 100)).toEqual([]);
  });

  it('hold where the database was told to see all transactions by an old snapshot', async () => {
    await database.query("ALTER DATABASE postgres SET default_transaction_isolation = 'repeatable read'");
    const fresh = Array.from({ length: 4 }, () => open(postgres.url));
    try {
      const over = { window: { max: 5, windowMs: 60_000 } };
      const asking = Array.from({ length: 100 }, (_, i) => createQuotaRows(fresh[i % 4] ?? database));
      const answers = await Promise.all(asking.map((rows) => rows.enter(entry('snapshots', over))));
      expect(answers.filter(({ admitted }) => admitted)).toHaveLength(5);
    } finally {
      await database.query('ALTER DATABASE postgres RESET default_transaction_isolation');
      await Promise.all(fresh.map((one) => one.close()));
    }
  });

  it('hold where an account is called anything at all', async () => {
    const rows = createQuotaRows(database);
    for (const account of ["it's", '"; DROP TABLE tranche_in_flight; --', '', '\\', '💥']) {
      const over = { window: { max: 1, windowMs: 60_000 } };
      expect((await rows.enter(entry(account, over))).admitted).toBe(true);
      expect((await rows.enter(entry(account, over))).admitted).toBe(false);
    }
  });
});
