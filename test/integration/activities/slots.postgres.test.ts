import { describe, expect, it } from 'vitest';
import { openDatabase } from '../../../src/storage/postgres.ts';
import { NO_POSTGRES, postgresIsWithinReach, startPostgres } from '../../fixtures/postgres.ts';
import { createSliceUnderTest, THINGS, thingsIn, thingsTarget, upsertThings } from '../../fixtures/slots.ts';
import { prepareLedger, testSlots } from './slots.suite.ts';

if (await postgresIsWithinReach()) {
  testSlots('PostgreSQL', () => startPostgres());
  describe('a PostgreSQL that dies in the midst of a slice', () => it.each(['stop', 'kill'] as const)('%s', diesBy));
} else describe('slots on PostgreSQL', () => it.skip(NO_POSTGRES, () => undefined));

/** The slice ends at once and says so; the next one applies what is missing, and nothing twice. */
async function diesBy(way: 'stop' | 'kill'): Promise<void> {
  const server = await startPostgres();
  const options = { connectionsMax: 4, applicationName: 'slots', statementTimeoutMs: 5_000 };
  const database = openDatabase({ url: server.url, ...options });
  try {
    await prepareLedger(database);
    await database.query(THINGS);
    const items = Array.from({ length: 100 }, (_, id) => ({ id, value: id % 100 }));
    const target = thingsTarget(async (batch, { sql }) => {
      const answers = await upsertThings(batch, sql);
      if (batch[0]?.index === 50) await server[way]();
      return answers;
    });
    const cut = createSliceUnderTest({ uid: 'UID', database, items, target });
    expect(await cut.run()).toMatchObject({ vendorDown: true, waitUntil: null });
    expect(cut.deferred()).toEqual([]);
    await server.start();
    const next = createSliceUnderTest({ uid: 'UID', database, items });
    expect(await next.run()).toMatchObject({ vendorDown: false });
    expect(next.lines().map(({ outcome, attempts }) => [outcome, attempts])).toEqual(Array(100).fill(['succeeded', 1]));
    expect((await thingsIn(database)).map(({ effects }) => effects)).toEqual(Array(100).fill(1));
  } finally {
    await database.close();
    await server.close();
  }
}
