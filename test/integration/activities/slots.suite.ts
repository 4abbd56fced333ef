/** What slices of an exactly-once target promise, on whatever keeps the ledger. */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { sweepOnce } from '../../../src/activities/batches/effects-sweeper.ts';
import type { Database } from '../../../src/model/database.ts';
import { createEffects, createEffectsSweep } from '../../../src/storage/effects.ts';
import { migrate } from '../../../src/storage/migrations.ts';
import { openDatabase } from '../../../src/storage/postgres.ts';
import { CORE_MIGRATIONS } from '../../../src/storage/schema.ts';
import {
  createSliceUnderTest,
  losingCommits,
  THINGS,
  thingsIn,
  thingsTarget,
  upsertThings,
} from '../../fixtures/slots.ts';

export interface DatabaseUnderTest {
  readonly url: string;
  close(): Promise<void>;
}

const things = (count: number) => Array.from({ length: count }, (_, i) => ({ id: i, value: i % 100 }));

export async function prepareLedger(database: Database): Promise<void> {
  await migrate(database, CORE_MIGRATIONS);
}

export function testSlots(name: string, start: () => Promise<DatabaseUnderTest>): void {
  describe(`slots on ${name}`, () => {
    let server: DatabaseUnderTest;
    let database: Database;
    let uid = '';
    let count = 0;

    beforeAll(async () => {
      server = await start();
      database = openDatabase({
        ...{ url: server.url, connectionsMax: 4, applicationName: 'slots', statementTimeoutMs: 5_000 },
      });
      await prepareLedger(database);
    });
    afterAll(async () => {
      await database?.close();
      await server?.close();
    });
    beforeEach(async () => {
      await database.query(THINGS);
      uid = `UID-${++count}`;
    });

    const ledgerRows = async () =>
      (await database.query<{ slot: number }>('SELECT slot FROM tranche_effects WHERE uid = $1 ORDER BY slot', [uid]))
        .rows;

    it('applies every item once, and records each slot', async () => {
      const slice = createSliceUnderTest({ uid, database, items: things(25) });
      expect(await slice.run()).toEqual({ waitUntil: null, vendorDown: false, awaiting: 0 });
      expect(slice.lines().map(({ index, id, outcome, attempts }) => [index, id, outcome, attempts])).toEqual(
        things(25).map(({ id }) => [id, id, 'succeeded', 1]),
      );
      expect((await thingsIn(database)).map(({ effects }) => effects)).toEqual(Array(25).fill(1));
      expect((await ledgerRows()).map(({ slot }) => slot)).toEqual([0, 1, 2]);
    });

    it('renders the same lines where a second slice adopts what the first one committed', async () => {
      const items = [...things(12), { id: 'no number' }, { id: 50, value: 101 }, ...things(3)];
      const first = createSliceUnderTest({ uid, database, items });
      await first.run();
      const second = createSliceUnderTest({ uid, database, items });
      await second.run();
      expect(second.lines()).toEqual(first.lines());
      expect(second.rows.undecided()).toBe(0);
      const effects = await thingsIn(database);
      expect(effects.map((row) => row.effects)).toEqual(Array.from({ length: 12 }, (_, id) => (id < 3 ? 2 : 1)));
    });

    it('lets two slices that race for the same slots apply each once', async () => {
      const items = things(200);
      const racers = Array.from({ length: 2 }, () => createSliceUnderTest({ uid, database, items }));
      await Promise.all(racers.map((racer) => racer.run()));
      expect(racers[0]?.lines()).toEqual(racers[1]?.lines());
      expect((await thingsIn(database)).filter(({ effects }) => effects !== 1)).toEqual([]);
    });

    it('adopts a slot whose commit took place without an answer', async () => {
      const items = things(10);
      const first = createSliceUnderTest({ uid, database: losingCommits(database, 1), items });
      expect(await first.run()).toMatchObject({ vendorDown: true });
      expect(first.lines()).toEqual([]);
      expect(first.deferred()).toEqual([]);
      const second = createSliceUnderTest({ uid, database, items });
      await second.run();
      expect(second.lines().map(({ outcome, attempts }) => [outcome, attempts])).toEqual(
        Array(10).fill(['succeeded', 1]),
      );
      expect((await thingsIn(database)).map(({ effects }) => effects)).toEqual(Array(10).fill(1));
    });

    it('finds the poisoned rows among 500 and fails them alone', async () => {
      const poisoned = [0, 77, 255, 256, 499];
      const items = things(500).map((thing) => (poisoned.includes(thing.id) ? { ...thing, value: 101 } : thing));
      const slice = createSliceUnderTest({ uid, database, items, plan: { batchItemsMax: 500 } });
      await slice.run();
      const failed = slice.lines().filter(({ outcome }) => outcome === 'failed');
      expect(failed.map(({ index }) => index)).toEqual(poisoned);
      expect(failed[0]?.error?.code).toBe('database_rejected');
      expect(failed[0]?.error?.message).toContain('SQLSTATE 23514, constraint things_value_max');
      expect(slice.lines().filter(({ outcome }) => outcome === 'succeeded')).toHaveLength(495);
      expect((await thingsIn(database)).filter(({ effects }) => effects === 1)).toHaveLength(495);
    });

    it('finds a row that is refused as late as at the commit', async () => {
      const items = things(10).map((thing) => (thing.id === 3 ? { ...thing, parent: 999 } : thing));
      const slice = createSliceUnderTest({ uid, database, items });
      await slice.run();
      const failed = slice.lines().filter(({ outcome }) => outcome === 'failed');
      expect(failed.map(({ index, error }) => [index, error?.code])).toEqual([[3, 'database_rejected']]);
      expect(await thingsIn(database)).toHaveLength(9);
    });

    it('takes the whole slot back where one of its items has to be tried again', async () => {
      let calls = 0;
      const target = thingsTarget(async (items, { sql }) => {
        calls++;
        const answers = await upsertThings(items, sql);
        const busy = { kind: 'transient', code: 'busy', message: 'busy', doubt: true, counts: true } as const;
        return calls === 1 ? answers.map((answer, i) => (i === 4 ? busy : answer)) : answers;
      });
      const retry = { ...createRetry(), initialIntervalMs: 20 };
      const slice = createSliceUnderTest({ uid, database, items: things(10), target, plan: { retry } });
      await slice.run();
      expect(calls).toBe(2);
      expect(slice.lines().map(({ outcome, attempts }) => [outcome, attempts])).toEqual(
        Array(10).fill(['succeeded', 2]),
      );
      expect((await thingsIn(database)).map(({ effects }) => effects)).toEqual(Array(10).fill(1));
    });

    it('fails the item that stays transient, by its code, and applies the others, never `unknown`', async () => {
      const target = thingsTarget(async (items, { sql }) => {
        const answers = await upsertThings(items.slice(1), sql);
        return [{ kind: 'transient', code: 'busy', message: 'busy', doubt: true, counts: true }, ...answers];
      });
      const retry = { ...createRetry(), initialIntervalMs: 5, maximumIntervalMs: 5, maximumAttempts: 3 };
      const slice = createSliceUnderTest({ uid, database, items: things(4), target, plan: { retry } });
      await slice.run();
      expect(slice.lines().map(({ outcome, attempts, error }) => [outcome, attempts, error?.code])).toEqual([
        ['failed', 3, 'busy'],
        ...Array(3).fill(['succeeded', 3, undefined]),
      ]);
      expect((await thingsIn(database)).map(({ id, effects }) => [id, effects])).toEqual([
        [1, 1],
        [2, 1],
        [3, 1],
      ]);
    });

    it('begins no further slot once too much has failed, and decides the rest in a later slice', async () => {
      const bad = { code: 'bad', message: 'bad', retryable: false };
      const target = thingsTarget(async (items) => items.map(() => ({ kind: 'failed', error: bad }) as const));
      const plan = { sliceConcurrency: 1, batchItemsMax: 10 };
      const items = things(100);
      const slice = createSliceUnderTest({ uid, database, items, target, plan, isSpent: ({ failed }) => failed >= 15 });
      expect(await slice.run()).toMatchObject({ waitUntil: null, vendorDown: false });
      expect(slice.lines().map(({ index }) => index)).toEqual(Array.from({ length: 20 }, (_, i) => i));
      expect(await ledgerRows()).toHaveLength(2);
      const later = createSliceUnderTest({ uid, database, items, target, plan });
      await later.run();
      expect(later.lines()).toHaveLength(100);
      expect(await ledgerRows()).toHaveLength(10);
    });

    it('puts a slot off for a later slice with its attempts', async () => {
      const target = thingsTarget(async (items) =>
        items.map(() => ({
          kind: 'transient',
          code: 'busy',
          message: '',
          doubt: false,
          counts: true,
          retryAfterMs: 60_000,
        })),
      );
      const slice = createSliceUnderTest({ uid, database, items: things(3), target });
      const end = await slice.run();
      expect(end).toMatchObject({ vendorDown: false });
      expect('waitUntil' in end && (end.waitUntil ?? 0) > Date.now() + 50_000).toBe(true);
      expect(slice.deferred().map(({ index, attempts, doubt }) => [index, attempts, doubt])).toEqual([
        [0, 1, false],
        [1, 1, false],
        [2, 1, false],
      ]);
      expect(await ledgerRows()).toEqual([]);
    });

    it.each([
      ['throws', () => Promise.reject(new TypeError('a bug'))],
      ['answers for too few', async () => []],
      ['swallows what a statement threw', swallow],
    ])('fails the items of a slot, and no others, where the target %s', async (_, misbehave) => {
      const target = thingsTarget(async (items, context) => {
        const answers = await upsertThings(items, context.sql);
        return items[0]?.index === 10 ? misbehave(items, context) : answers;
      });
      const slice = createSliceUnderTest({ uid, database, items: things(30), target });
      await slice.run();
      const outcomes = slice.lines().map(({ outcome, error }) => error?.code ?? outcome);
      expect(outcomes).toEqual([
        ...Array(10).fill('succeeded'),
        ...Array(10).fill('target_error'),
        ...Array(10).fill('succeeded'),
      ]);
      expect((await thingsIn(database)).map(({ id }) => id).filter((id) => id >= 10 && id < 20)).toEqual([]);
    });

    it('commits nothing once the lease is gone', async () => {
      let held = true;
      const target = thingsTarget(async (items, { sql }) => {
        const answers = await upsertThings(items, sql);
        held = false;
        return answers;
      });
      const slice = createSliceUnderTest({
        uid,
        database,
        items: things(3),
        target,
        held: () => held,
        plan: { boxMs: 300 },
      });
      await slice.run();
      expect(slice.lines()).toEqual([]);
      expect(await thingsIn(database)).toEqual([]);
      expect(await ledgerRows()).toEqual([]);
    });

    it('lets nobody apply what a cancelled operation has claimed, also where that had begun before', async () => {
      let reached: () => void = () => undefined;
      let goOn: () => void = () => undefined;
      const begun = new Promise<void>((resolve) => {
        reached = resolve;
      });
      const claimed = new Promise<void>((resolve) => {
        goOn = resolve;
      });
      const items = things(20);
      const target = thingsTarget(async (batch, { sql }) => {
        const answers = await upsertThings(batch, sql);
        if (batch[0]?.index !== 10) return answers;
        reached();
        await claimed;
        return answers;
      });
      const zombie = createSliceUnderTest({ uid, database, items, target, plan: { sliceConcurrency: 1 } });
      const running = zombie.run();
      await begun;
      const settling = createSliceUnderTest({ uid, database, items });
      // The embedded database serves one transaction at a time: there the claim waits for the other's end.
      const given = settling.giveUp(true);
      if (name === 'PostgreSQL') await given;
      goOn();
      await given;
      zombie.control.callHome();
      await running;
      const applied = (await thingsIn(database)).map(({ id }) => id);
      expect(settling.lines().map(({ index, outcome }) => [index, outcome])).toEqual(
        applied.map((id) => [id, 'succeeded']),
      );
      if (name === 'PostgreSQL') expect(applied).toEqual(Array.from({ length: 10 }, (_, id) => id));
      const late = createSliceUnderTest({ uid, database, items, plan: { boxMs: 300 } });
      expect(await late.run()).toMatchObject({ waitUntil: null });
      // It goes on after an end that was lost half-way: what nobody can apply any more must not keep it for ever.
      expect(late.lines().map(({ outcome }) => outcome)).toEqual(
        items.map(({ id }) => (applied.includes(id) ? 'succeeded' : 'cancelled')),
      );
      expect((await thingsIn(database)).map(({ id }) => id)).toEqual(applied);
    });

    it('forgets runs that have not been touched for a while, in bounded steps', async () => {
      await createSliceUnderTest({ uid, database, items: things(30) }).run();
      const sweep = createEffectsSweep(database);
      const isStale = async (ageMs: number) => (await sweep.stale(ageMs, 1_000)).some((run) => run.uid === uid);
      expect(await isStale(60_000)).toBe(false);
      expect(await isStale(-1_000)).toBe(true);
      expect(await sweep.forget({ uid, run: 1 }, 2)).toBe(2);
      expect(await sweep.forget({ uid, run: 1 }, 2)).toBe(1);
      expect(await ledgerRows()).toEqual([]);
    });

    it('sweeps what has ended, and nothing of a run that still has its marker', async () => {
      await createSliceUnderTest({ uid, database, items: things(30) }).run();
      const open = { version: 1, uid, account: 'tests', operationId: 'things-1', leaseAt: 0 } as const;
      const sweep = createEffectsSweep(database);
      const { signal } = new AbortController();
      await sweepOnce(sweep, { readOpen: async (name) => (name === uid ? open : null) }, signal, -1_000);
      expect(await ledgerRows()).toHaveLength(3);
      await sweepOnce(sweep, { readOpen: async () => null }, signal);
      expect(await ledgerRows()).toHaveLength(3);
      expect(await sweepOnce(sweep, { readOpen: async () => null }, signal, -1_000)).toBe(3);
      expect(await ledgerRows()).toEqual([]);
    });

    it('answers what was claimed as nothing, again and again', async () => {
      const effects = createEffects<{ readonly outcome: string }>(database);
      const at = { uid, run: 1, ordinal: 0 };
      expect(await effects.claim(at, [0, 1])).toEqual(new Map());
      expect(await effects.claim(at, [0, 1, 2])).toEqual(new Map());
      const work = { work: async () => [{ position: 0, decision: { outcome: 'succeeded' } }], mayCommit: () => true };
      expect(await effects.once({ ...at, slot: 1 }, work)).toBeNull();
      expect(await effects.once({ ...at, slot: 3 }, work)).toHaveLength(1);
    });
  });
}

async function swallow(items: readonly unknown[], { sql }: { readonly sql: Pick<Database, 'query'> }) {
  await sql.query('SELECT 1 / 0').catch(() => undefined);
  return items.map(() => ({ kind: 'succeeded' }) as const);
}

function createRetry() {
  return {
    ...{ initialIntervalMs: 500, backoffCoefficient: 2, maximumIntervalMs: 60_000, maximumAttempts: 6 },
    nonRetryableCodes: [],
  };
}
