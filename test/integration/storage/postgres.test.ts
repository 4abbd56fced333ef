/** PostgreSQL itself: the suites of every database, and what only a full server does. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { isPassingFault, sqlStateOf } from '../../../src/model/database.ts';
import { NO_POSTGRES, type Postgres, postgresIsWithinReach, startPostgres } from '../../fixtures/postgres.ts';
import { describeContacts } from './contacts.suite.ts';
import { describeDatabase, faultOf, open } from './database.suite.ts';
import { describeMigrations } from './migrations.suite.ts';

const isWithinReach = await postgresIsWithinReach();

describe.skipIf(!isWithinReach)(`postgres${isWithinReach ? '' : ` (${NO_POSTGRES})`}`, () => {
  describeDatabase('the database', startPostgres);

  let server: Postgres;
  beforeAll(async () => {
    server = await startPostgres();
  });
  afterAll(() => server?.close());

  describeMigrations(() => server.url);
  describeContacts(() => server.url);

  it('gives up a statement that takes too long, and goes on with the next', async () => {
    const database = open(server.url, { statementTimeoutMs: 200, connectionsMax: 1 });
    const fault = await faultOf(database.query('SELECT pg_sleep(20)'));
    expect([sqlStateOf(fault), isPassingFault(fault)]).toEqual(['57014', true]);
    expect((await database.query('SELECT 1 AS one')).rows).toEqual([{ one: 1 }]);
    await database.close();
  });

  it('holds every session to its time-outs: what freezes in a transaction loses it', async () => {
    const database = open(server.url, { statementTimeoutMs: 4_321 });
    const shown = async (name: string) => (await database.query(`SHOW ${name}`)).rows[0];
    expect(await shown('statement_timeout')).toEqual({ statement_timeout: '4321ms' });
    const idle = 'idle_in_transaction_session_timeout';
    expect(await shown(idle)).toEqual({ [idle]: '30s' });
    await database.close();
  });

  it('sees connections by name, as many as are allowed, and none after the close', async () => {
    const named = open(server.url, { applicationName: 'counted', connectionsMax: 3 });
    const other = open(server.url);
    const count = async () => {
      const { rows } = await other.query<{ n: number }>(
        "SELECT count(*) AS n FROM pg_stat_activity WHERE application_name = 'counted'",
      );
      return rows[0]?.n;
    };
    await Promise.all(Array.from({ length: 10 }, () => named.query('SELECT pg_sleep(0.05)')));
    expect(await count()).toBe(3);
    await named.close();
    expect(await count()).toBe(0);
    await other.close();
  });

  it('ends an idle connection without harm to the process', async () => {
    const [victim, other] = [open(server.url, { applicationName: 'victim' }), open(server.url)];
    await victim.query('SELECT 1');
    await other.query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'victim'");
    const answer = await victim.query('SELECT 1 AS one').catch(() => victim.query('SELECT 1 AS one'));
    expect(answer.rows).toEqual([{ one: 1 }]);
    await Promise.all([victim.close(), other.close()]);
  });
});
