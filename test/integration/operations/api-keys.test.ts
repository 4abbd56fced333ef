/** API keys on a real PostgreSQL: shown once, found by their secret only, revoked in every process within seconds. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Database } from '../../../src/model/database.ts';
import { noLog } from '../../../src/model/log.ts';
import { type ApiKeys, createApiKeys, type NewKeyRequest } from '../../../src/operations/api-keys.ts';
import { createApiKeyRows } from '../../../src/storage/api-keys.ts';
import { migrate } from '../../../src/storage/migrations.ts';
import { openDatabase } from '../../../src/storage/postgres.ts';
import { CORE_MIGRATIONS } from '../../../src/storage/schema.ts';
import { eventually } from '../../fixtures/operations-under-test.ts';
import { NO_POSTGRES, type Postgres, postgresIsWithinReach, startPostgres } from '../../fixtures/postgres.ts';

const reachable = await postgresIsWithinReach();
const REQUEST: NewKeyRequest = {
  ...{ account: 'acme', name: 'for tests', roles: ['submitter'], expiresAt: null, createdBy: 'somebody' },
};

describe.skipIf(!reachable)(`API keys ${reachable ? '' : NO_POSTGRES}`, () => {
  let postgres: Postgres;
  let database: Database;
  let keys: ApiKeys;

  beforeAll(async () => {
    postgres = await startPostgres();
    const options = { connectionsMax: 4, applicationName: 'keys-test', statementTimeoutMs: 5_000 };
    database = openDatabase({ ...options, url: postgres.url });
    await migrate(database, CORE_MIGRATIONS);
    keys = anotherProcess();
  });
  afterAll(async () => {
    await database?.close();
    await postgres?.close();
  });

  const anotherProcess = () => createApiKeys({ rows: createApiKeyRows(database), deadlineMs: 2_000, log: noLog });

  it('stand for their account and roles, and name themselves in the audit trail', async () => {
    const { key, secret } = await keys.create(REQUEST);
    expect(secret).toMatch(/^trk_[0-9a-z]{20}_[A-Za-z0-9_-]{43}$/);
    const caller = { account: 'acme', subject: `key:${key.id}`, roles: ['submitter'] };
    expect(await keys.find(secret)).toEqual(caller);
    expect(await anotherProcess().find(secret)).toEqual(caller);
  });

  it('are kept as hashes: nothing that is stored or listed opens anything', async () => {
    const { secret } = await keys.create({ ...REQUEST, account: 'hashed' });
    const { rows } = await database.query('SELECT * FROM tranche_api_keys');
    const stored = JSON.stringify([rows, await keys.list('hashed')]);
    expect(stored).not.toContain(secret.slice(-43));
    const hash = /[0-9a-f]{64}/.exec(JSON.stringify(rows.filter(({ account }) => account === 'hashed')))?.[0] ?? '';
    expect(await keys.find(`${secret.slice(0, 25)}${hash.slice(0, 43)}`)).toBeNull();
  });

  it('are refused with another secret, another id, or in another form', async () => {
    const [one, two] = [await keys.create(REQUEST), await keys.create(REQUEST)];
    const [mine, other] = [one.secret, two.secret];
    const last = mine.endsWith('A') ? 'B' : 'A';
    const forged = [
      ...[
        `${mine.slice(0, -1)}${last}`,
        `${mine.slice(0, 25)}${other.slice(25)}`,
        `${other.slice(0, 25)}${mine.slice(25)}`,
      ],
      ...[
        mine.slice(0, -1),
        `${mine}A`,
        ` ${mine}`,
        mine.toUpperCase(),
        'trk_',
        '',
        `trk_${'0'.repeat(20)}_${mine.slice(25)}`,
      ],
    ];
    for (const key of forged) expect(await keys.find(key), key).toBeNull();
    expect(await keys.find(mine)).not.toBeNull();
  });

  it('are gone once revoked: at once here, within seconds where they were just used', async () => {
    const elsewhere = anotherProcess();
    const { key, secret } = await keys.create(REQUEST);
    expect(await elsewhere.find(secret)).not.toBeNull();
    const revoked = await keys.revoke('acme', key.id);
    expect(revoked.revokedAt).not.toBeNull();
    expect(await keys.find(secret)).toBeNull();
    await eventually(async () => (await elsewhere.find(secret)) === null);
    expect((await keys.revoke('acme', key.id)).revokedAt).toBe(revoked.revokedAt);
  });

  it('end at their time, also in a process that knows them', async () => {
    const { secret } = await keys.create({ ...REQUEST, expiresAt: new Date(Date.now() + 1_000) });
    expect(await keys.find(secret)).not.toBeNull();
    await eventually(async () => (await keys.find(secret)) === null);
  });

  it('are listed and revoked by their own account only, newest first', async () => {
    const first = await keys.create({ ...REQUEST, account: 'listed', name: 'first' });
    const second = await keys.create({ ...REQUEST, account: 'listed', name: 'second' });
    expect((await keys.list('listed')).map(({ name }) => name)).toEqual(['second', 'first']);
    expect(await keys.list('other')).toEqual([]);
    await expect(keys.revoke('other', first.key.id)).rejects.toMatchObject({ code: 'not_found' });
    expect(await keys.find(first.secret)).not.toBeNull();
    expect(second.key.id).not.toBe(first.key.id);
  });

  it('say roughly when they were last used', async () => {
    const { key, secret } = await keys.create({ ...REQUEST, account: 'used' });
    await keys.find(secret);
    await eventually(async () => {
      const [listed] = await keys.list('used');
      expect(listed).toMatchObject({ id: key.id, lastUsedAt: expect.any(String) });
    });
  });

  it('grant no role that this release does not know', async () => {
    const { key, secret } = await keys.create({ ...REQUEST, account: 'later' });
    await database.query("UPDATE tranche_api_keys SET roles = '{emperor,viewer}' WHERE id = $1", [key.id]);
    expect((await anotherProcess().find(secret))?.roles).toEqual(['viewer']);
  });

  it('cannot be judged while the database is away: nobody gets in, nobody is told that the key is wrong', async () => {
    const { secret } = await keys.create(REQUEST);
    await postgres.stop();
    try {
      await expect(anotherProcess().find(secret)).rejects.toMatchObject({ code: 'unavailable' });
      expect(await anotherProcess().find('trk_nonsense')).toBeNull();
    } finally {
      await postgres.start();
    }
    await eventually(async () => (await anotherProcess().find(secret)) !== null);
  });
});
