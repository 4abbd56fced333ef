/** The embedded database as `npm start` runs it, a process of its own: the suites of every database, and its own limits. */
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client } from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { findFreePort } from '../../../src/embedded/ports.ts';
import { eventually } from '../../fixtures/stack/eventually.ts';
import { type Started, startMain } from '../../fixtures/stack/processes.ts';
import { describeContacts } from './contacts.suite.ts';
import { type DatabaseServer, describeDatabase, open } from './database.suite.ts';
import { describeMigrations } from './migrations.suite.ts';

interface Embedded extends DatabaseServer {
  readonly dataDir: string;
  readonly port: number;
}

/** `prepare`: what the data folder holds before the first start. */
async function startEmbedded(prepare: (dataDir: string) => Promise<void> = async () => {}): Promise<Embedded> {
  const dataDir = await mkdtemp(join(tmpdir(), 'tranche-pglite-'));
  await prepare(dataDir);
  const port = await findFreePort('127.0.0.1');
  let part: Started;
  const start = async (): Promise<void> => {
    part = startMain('database', { DATA_DIR: dataDir, DATABASE_PORT: String(port) });
    await part.ready;
  };
  await start();
  return {
    url: `postgres://postgres@127.0.0.1:${port}/postgres`,
    dataDir,
    port,
    start,
    kill: () => part.kill(),
    async close() {
      await part.stop();
      await rm(dataDir, { recursive: true, force: true });
    },
  };
}

describe('the embedded database', () => {
  describeDatabase('as a database', startEmbedded);

  let server: Embedded;
  beforeAll(async () => {
    // A start that was killed while it made the folder.
    server = await startEmbedded(async (dataDir) => {
      await mkdir(join(dataDir, 'postgres.new'));
      await writeFile(join(dataDir, 'postgres.new', 'PG_VERSION'), '18\n');
    });
  });
  afterAll(() => server?.close());

  describeMigrations(() => server.url);
  describeContacts(() => server.url);

  it('makes its folder anew where a start was killed half-way', async () => {
    expect((await readdir(server.dataDir)).toSorted()).toEqual(['postgres', 'postgres.lock']);
  });

  it('is opened by one process at a time', async () => {
    const second = startMain('database', { DATA_DIR: server.dataDir, DATABASE_PORT: '0' });
    await expect(second.ready).rejects.toThrow('in use by process');
  });

  it('clears dead rows away and lets go of its log by itself, as nothing else does there', async () => {
    const database = open(server.url);
    await database.query('CREATE TABLE churned (id int, value text)');
    for (let round = 0; round < 4; round += 1) {
      const text = 'md5(random()::text) || md5(random()::text) || md5(random()::text) || md5(random()::text)';
      await database.query(`INSERT INTO churned SELECT n, ${text} FROM generate_series(1, 100000) AS n`);
    }
    await database.query('DELETE FROM churned');
    const upkeep = `SELECT (SELECT last_vacuum IS NOT NULL FROM pg_stat_user_tables WHERE relname = 'churned') AS vacuumed,
      pg_wal_lsn_diff(pg_current_wal_lsn(), (SELECT redo_lsn FROM pg_control_checkpoint())) < 64 * 1024 * 1024 AS written`;
    await eventually(
      'both',
      async () => {
        const [row] = (await database.query<{ vacuumed: boolean; written: boolean }>(upkeep)).rows;
        return row?.vacuumed === true && row.written;
      },
      { withinMs: 60_000, everyMs: 500 },
    );
    await database.close();
  });

  it('serves a hundred connections at once', async () => {
    const databases = Array.from({ length: 13 }, () => open(server.url));
    const answers = await Promise.all(
      Array.from({ length: 104 }, (_, n) =>
        databases[n % 13]?.transaction((sql) => sql.query<{ n: number }>('SELECT $1::int AS n', [n])),
      ),
    );
    expect(answers.map((answer) => answer?.rows[0]?.n)).toEqual(Array.from({ length: 104 }, (_, n) => n));
    await Promise.all(databases.map((database) => database.close()));
  });

  it('refuses named statements, which all connections would share', async () => {
    const client = new Client({ connectionString: server.url });
    client.on('error', () => {});
    await client.connect();
    await expect(client.query({ name: 'one', text: 'SELECT 1' })).rejects.toMatchObject({ code: '0A000' });
    await client.end();
  });

  it('refuses COPY FROM STDIN, which would end the session of all', async () => {
    const client = new Client({ connectionString: server.url });
    client.on('error', () => {});
    await client.connect();
    await client.query('CREATE TABLE copied (n int)');
    await expect(client.query('COPY copied FROM STDIN')).rejects.toMatchObject({ code: '0A000' });
    await client.end();
  });

  it.each([
    ['no PostgreSQL at all', Buffer.from('GET / HTTP/1.1\r\nHost: x\r\n\r\n')],
    ['a length of four gigabytes', Buffer.from([0xff, 0xff, 0xff, 0xff, 0, 3, 0, 0])],
    ['a length of nothing', Buffer.from([0, 0, 0, 0, 0, 0, 0, 0])],
  ])('hangs up on %s, and serves the others', async (_, bytes) => {
    const socket = connect({ host: '127.0.0.1', port: server.port });
    const closed = new Promise((resolve) => socket.once('close', resolve));
    socket.on('error', () => {});
    socket.resume();
    socket.write(bytes);
    await closed;
    const database = open(server.url);
    expect((await database.query('SELECT 1 AS one')).rows).toEqual([{ one: 1 }]);
    await database.close();
  });
});
