/** What every database behind `Database` has to show: the same tests on PostgreSQL and on the embedded one. */
import { randomUUID } from 'node:crypto';
import { Client } from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Database, isDataFault, isPassingFault, sqlStateOf } from '../../../src/model/database.ts';
import { type DatabaseOptions, openDatabase } from '../../../src/storage/postgres.ts';
import { openPreparedDatabase } from '../../../src/storage/prepared-database.ts';
import { eventually } from '../../fixtures/stack/eventually.ts';
import { startTcpProxy } from '../../fixtures/tcp-proxy.ts';

export interface DatabaseServer {
  readonly url: string;
  /** SIGKILL. */
  kill(): Promise<void>;
  /** After `kill`, on the same port and data. */
  start(): Promise<void>;
  close(): Promise<void>;
}

export function open(url: string, over: Partial<DatabaseOptions> = {}): Database {
  const statementTimeoutMs = 5_000;
  return openDatabase({ url, connectionsMax: 8, applicationName: 'suite', statementTimeoutMs, ...over });
}

/** The same database through another port. */
export function through(url: string, port: number): string {
  const other = new URL(url);
  other.port = String(port);
  return other.href;
}

export const faultOf = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    () => null,
    (error: unknown) => error,
  );

export function describeDatabase(name: string, boot: () => Promise<DatabaseServer>): void {
  describe(name, () => {
    let server: DatabaseServer;
    let database: Database;
    const table = `suite_${randomUUID().replaceAll('-', '')}`;

    beforeAll(async () => {
      server = await boot();
      database = open(server.url);
      await database.query(`CREATE TABLE ${table} (id text PRIMARY KEY, value int NOT NULL)`);
    });
    afterAll(async () => {
      await database?.close();
      await server?.close();
    });

    const valueAt = async (id: string): Promise<number | null> => {
      const { rows } = await database.query<{ value: number }>(`SELECT value FROM ${table} WHERE id = $1`, [id]);
      return rows[0]?.value ?? null;
    };
    const insert = (sql: Pick<Database, 'query'>, id: string, value = 0) =>
      sql.query(`INSERT INTO ${table} VALUES ($1, $2)`, [id, value]);
    const rawClient = async (over: object = {}): Promise<Client> => {
      const client = new Client({ connectionString: server.url, ...over });
      client.on('error', () => {});
      await client.connect();
      return client;
    };

    describe('values', () => {
      it('come back as what they are', async () => {
        const sent = ['ä😀\'"\\', ['a,b', '{"c"}', null], [1, 2], { deep: [{ n: 1.5, t: null }] }, 7, true, null];
        const casts = '$1::text, $2::text[], $3::int[], $4::jsonb, $5::bigint, $6::bool, $7::text';
        const { rows } = await database.query<{ v: unknown }>(
          `SELECT v.* FROM (SELECT ${casts}) AS v (a, b, c, d, e, f, g)`,
          sent,
        );
        expect(Object.values(rows[0] ?? {})).toEqual(sent);
      });

      it('of eight bytes are numbers where that is exact, else bigints, in arrays too', async () => {
        const { rows } = await database.query(
          'SELECT 9007199254740991::int8 a, -9007199254740992::int8 b, ARRAY[1, NULL, 9223372036854775807]::int8[] c, count(*) d FROM (VALUES (1)) v',
        );
        expect(rows).toEqual([
          { a: 9_007_199_254_740_991, b: -9_007_199_254_740_992n, c: [1, null, 9_223_372_036_854_775_807n], d: 1 },
        ]);
      });

      it('of dates without a zone are text, with one a moment', async () => {
        const { rows } = await database.query(
          "SELECT '2026-02-03'::date a, '2026-02-03 04:05:06'::timestamp b, '2026-02-03T04:05:06Z'::timestamptz c",
        );
        expect(rows).toEqual([{ a: '2026-02-03', b: '2026-02-03 04:05:06', c: new Date('2026-02-03T04:05:06Z') }]);
      });

      it('of a megabyte and of fifty thousand rows come through', async () => {
        const text = 'ä'.repeat(1_000_000);
        expect((await database.query('SELECT $1::text AS text', [text])).rows).toEqual([{ text }]);
        const many = await database.query<{ n: number }>('SELECT generate_series(1, 50000) AS n');
        expect([many.rowCount, many.rows.at(-1)]).toEqual([50_000, { n: 50_000 }]);
      });

      it('are counted where none is returned', async () => {
        const { rows, rowCount } = await insert(database, 'counted');
        expect([rows, rowCount]).toEqual([[], 1]);
      });
    });

    describe('a statement that fails', () => {
      it('tells its SQLSTATE, and whether rows or circumstances are at fault', async () => {
        await insert(database, 'twice');
        const unique = await faultOf(insert(database, 'twice'));
        expect([sqlStateOf(unique), isDataFault(unique), isPassingFault(unique)]).toEqual(['23505', true, false]);
        const number = await faultOf(database.query("SELECT 'x'::int"));
        expect([sqlStateOf(number), isDataFault(number)]).toEqual(['22P02', true]);
        const syntax = await faultOf(database.query('SELEKT'));
        expect([isDataFault(syntax), isPassingFault(syntax)]).toEqual([false, false]);
      });

      it('leaves its connection usable', async () => {
        const single = open(server.url, { connectionsMax: 1 });
        await faultOf(single.query('SELECT 1/0'));
        expect((await single.query('SELECT 1 AS one')).rows).toEqual([{ one: 1 }]);
        await single.close();
      });
    });

    describe('a transaction', () => {
      it('commits what its work did where that resolves, with its result', async () => {
        const result = await database.transaction(async (sql) => {
          await insert(sql, 'kept', 1);
          return (await sql.query(`UPDATE ${table} SET value = 2 WHERE id = 'kept'`)).rowCount;
        });
        expect([result, await valueAt('kept')]).toEqual([1, 2]);
      });

      it('rolls back where its work rejects, by its own error or the database’s', async () => {
        const fault = new Error('no');
        const failing = database.transaction(async (sql) => {
          await insert(sql, 'own error');
          throw fault;
        });
        await expect(failing).rejects.toBe(fault);
        const broken = database.transaction(async (sql) => {
          await insert(sql, 'sql error');
          await sql.query('SELECT 1/0');
        });
        await expect(broken).rejects.toMatchObject({ code: '22012' });
        expect([await valueAt('own error'), await valueAt('sql error')]).toEqual([null, null]);
      });

      it('that swallows an error rejects instead of committing nothing', async () => {
        const swallowing = database.transaction(async (sql) => {
          await insert(sql, 'swallowed');
          await faultOf(sql.query('SELECT 1/0'));
        });
        await expect(swallowing).rejects.toMatchObject({ code: '25P02' });
        expect(await valueAt('swallowed')).toBeNull();
      });

      it('can go on after an error within a savepoint', async () => {
        await database.transaction(async (sql) => {
          await insert(sql, 'before');
          await sql.query('SAVEPOINT row');
          await faultOf(insert(sql, 'before'));
          await sql.query('ROLLBACK TO SAVEPOINT row');
          await insert(sql, 'after');
        });
        expect([await valueAt('before'), await valueAt('after')]).toEqual([0, 0]);
      });

      it('shows nobody what it may yet roll back', async () => {
        const inserted = Promise.withResolvers<void>();
        const looked = Promise.withResolvers<void>();
        const writing = database.transaction(async (sql) => {
          await insert(sql, 'unseen');
          inserted.resolve();
          await looked.promise;
          throw new Error('roll back');
        });
        await inserted.promise;
        const looking = valueAt('unseen');
        // One session answers only afterwards, a full server at once.
        await Promise.race([looking, new Promise((wake) => setTimeout(wake, 100))]);
        looked.resolve();
        await expect(writing).rejects.toThrow('roll back');
        expect(await looking).toBeNull();
      });

      it('keeps others from its rows: no update is lost', async () => {
        await insert(database, 'counter');
        const add = () =>
          database.transaction(async (sql) => {
            const { rows } = await sql.query<{ value: number }>(
              `SELECT value FROM ${table} WHERE id = 'counter' FOR UPDATE`,
            );
            await sql.query(`UPDATE ${table} SET value = $1 WHERE id = 'counter'`, [(rows[0]?.value ?? NaN) + 1]);
          });
        const other = open(server.url);
        await Promise.all(Array.from({ length: 60 }, add));
        expect(await valueAt('counter')).toBe(60);
        await other.close();
      });

      it('cannot be used once it is over', async () => {
        const kept = await database.transaction(async (sql) => sql);
        await expect(kept.query('SELECT 1')).rejects.toThrow('over');
      });

      it('ends with the connection that holds it', async () => {
        const client = await rawClient();
        await client.query('BEGIN');
        await client.query(`INSERT INTO ${table} VALUES ('orphan', 1)`);
        Reflect.get(client, 'connection').stream.destroy();
        // Waits for the key's lock until the server has noticed.
        await insert(database, 'orphan', 2);
        expect(await valueAt('orphan')).toBe(2);
      });

      it('that is idle for too long is rolled back, and its owner is told by a fault that passes', async () => {
        const client = await rawClient({ idle_in_transaction_session_timeout: 300 });
        await client.query('BEGIN');
        await client.query(`INSERT INTO ${table} VALUES ('idle', 1)`);
        await insert(database, 'idle', 2);
        const fault = await faultOf(client.query('COMMIT'));
        expect(isPassingFault(fault)).toBe(true);
        expect(await valueAt('idle')).toBe(2);
        await client.end();
      });
    });

    describe('a network that fails', () => {
      it('at the answer of a commit rejects with a fault that passes, whatever became of it', async () => {
        const proxy = await startTcpProxy(Number(new URL(server.url).port));
        const remote = open(through(server.url, proxy.port));
        await remote.query('SELECT 1');
        proxy.cutAfter('COMMIT');
        const fault = await faultOf(remote.transaction((sql) => insert(sql, 'answer lost', 1)));
        expect([fault instanceof Error, isPassingFault(fault)]).toEqual([true, true]);
        expect(await eventually('the commit is there', () => valueAt('answer lost'))).toBe(1);
        expect((await remote.query('SELECT 1 AS one')).rows).toEqual([{ one: 1 }]);
        await remote.close();
        await proxy.close();
      });

      it('by silence ends a statement by our own clock, and its connection', async () => {
        const proxy = await startTcpProxy(Number(new URL(server.url).port));
        const remote = open(through(server.url, proxy.port), { connectionsMax: 1, statementTimeoutMs: 200 });
        await remote.query('SELECT 1');
        proxy.hold();
        expect(isPassingFault(await faultOf(remote.query('SELECT 1')))).toBe(true);
        proxy.release();
        expect((await remote.query('SELECT 2 AS two')).rows).toEqual([{ two: 2 }]);
        await remote.close();
        await proxy.close();
      });
    });

    describe('a server that is killed', () => {
      it('has what was committed, and nothing else, when it is back; the same pool goes on', async () => {
        await Promise.all(Array.from({ length: 20 }, (_, i) => insert(database, `durable ${i}`, 1)));
        const doomed = await faultOf(
          database.transaction(async (sql) => {
            await insert(sql, 'doomed');
            await server.kill();
            await insert(sql, 'doomed too');
          }),
        );
        expect(isPassingFault(doomed)).toBe(true);
        const away = await faultOf(database.query('SELECT 1'));
        expect([away instanceof Error, isPassingFault(away)]).toEqual([true, true]);
        await server.start();
        await eventually('it answers', async () => (await database.query('SELECT 1')).rowCount === 1);
        const { rows } = await database.query(`SELECT count(*) AS n FROM ${table} WHERE id LIKE 'durable %'`);
        expect(rows).toEqual([{ n: 20 }]);
        expect([await valueAt('doomed'), await valueAt('doomed too')]).toEqual([null, null]);
      });

      it('is waited for by a database that is to be prepared, and by nobody else', async () => {
        await server.kill();
        const migrations = [{ id: `late-${table}`, sql: `CREATE TABLE late_${table} (n int)` }];
        const options = { url: server.url, connectionsMax: 2, applicationName: 'late', statementTimeoutMs: 5_000 };
        const prepared = openPreparedDatabase({ ...options, migrations });
        const early = await faultOf(prepared.query('SELECT 1'));
        expect([sqlStateOf(early), isPassingFault(early)]).toEqual(['57P03', true]);
        await server.start();
        const insertLate = () => prepared.query(`INSERT INTO late_${table} VALUES (1)`);
        await eventually('the table is there', async () => (await insertLate()).rowCount === 1);
        await prepared.close();
      });
    });

    it('takes nothing once it is closed, and closes twice', async () => {
      const closed = open(server.url);
      await closed.query('SELECT 1');
      await Promise.all([closed.close(), closed.close()]);
      await expect(closed.query('SELECT 1')).rejects.toThrow();
    });
  });
}
