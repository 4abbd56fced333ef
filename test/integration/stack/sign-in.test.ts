/** Sign-in on API processes as they run in production: two of them, one PostgreSQL for the keys, one Temporal server. */
import { SignJWT } from 'jose';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { findFreePort } from '../../../src/embedded/ports.ts';
import { NO_POSTGRES, type Postgres, postgresIsWithinReach, startPostgres } from '../../fixtures/postgres.ts';
import { eventually } from '../../fixtures/stack/eventually.ts';
import { type Parts, startParts } from '../../fixtures/stack/parts.ts';
import { startMain } from '../../fixtures/stack/processes.ts';

const HOST = '127.0.0.1';
const SECRET = 'a-secret-of-more-than-32-bytes-for-tests';
const ADMIN_KEY = 'the-operators-own-key-of-some-length';
const reachable = await postgresIsWithinReach();

interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly body: Readonly<Record<string, unknown>>;
}

async function tokenOf(claims: Readonly<Record<string, unknown>>, secret = SECRET): Promise<string> {
  const token = new SignJWT(claims).setProtectedHeader({ alg: 'HS256' }).setSubject('alice').setAudience('tranche');
  return await token.setExpirationTime('5m').sign(Buffer.from(secret));
}

describe('an API that would let everybody in', () => {
  it.each([
    ['of a cluster', { TEMPORAL_ADDRESS: '127.0.0.1:7233', AUTH: '' }],
    ['on every address', { HOST: '0.0.0.0', AUTH: '' }],
  ])('does not start %s', async (_, settings) => {
    const api = startMain('api', { PORT: '0', ...settings });
    await expect(api.ready).rejects.toThrow(/nobody would have to sign in/);
  });

  it('does not start as the embedded stack on another address, whatever is said', async () => {
    const stack = startMain('all', { PORT: '0', HOST: '0.0.0.0', AUTH: 'none' });
    await expect(stack.ready).rejects.toThrow(/keep HOST=127\.0\.0\.1/);
  });
});

describe.skipIf(!reachable)(`sign-in over two API processes ${reachable ? '' : NO_POSTGRES}`, () => {
  let postgres: Postgres;
  let parts: Parts;
  let urls: readonly string[];

  beforeAll(async () => {
    postgres = await startPostgres();
    parts = await startParts({
      ...{
        DATABASE_URL: postgres.url,
        AUTH: '',
        JWT_SECRET: SECRET,
        JWT_AUDIENCE: 'tranche',
        ADMIN_API_KEY: ADMIN_KEY,
      },
    });
    await parts.startTemporal();
    const ports = [await findFreePort(HOST), await findFreePort(HOST)];
    await Promise.all(ports.map((port) => parts.startApi({ PORT: `${port}` })));
    urls = ports.map((port) => `http://${HOST}:${port}`);
  });
  afterAll(async () => {
    await parts?.stop();
    await postgres?.close();
  });

  async function ask(at: number, path: string, token: string | null, init: RequestInit = {}): Promise<Answer> {
    const headers = { ...(token === null ? {} : { authorization: `Bearer ${token}` }), ...init.headers };
    const answer = await fetch(`${urls[at]}${path}`, { ...init, headers });
    const text = await answer.text();
    return { status: answer.status, headers: answer.headers, body: text === '' ? {} : JSON.parse(text) };
  }

  const post = (body: unknown) => ({
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });

  it('takes a token, and keeps what it accepts for its account alone', async () => {
    const acme = await tokenOf({ account: 'acme', roles: ['submitter'] });
    const accepted = await ask(0, '/v1/operations?target=noop', acme, post([{}]));
    expect(accepted).toMatchObject({ status: 202, body: { account: 'acme' } });
    const path = `/v1/operations/${accepted.body['id']}`;
    expect((await ask(1, path, acme)).status).toBe(200);
    const other = await tokenOf({ account: 'other', roles: ['admin'] });
    expect((await ask(1, path, other)).status).toBe(404);
    expect((await ask(1, path, ADMIN_KEY, { headers: { 'tranche-account': 'acme' } })).status).toBe(200);
  });

  it('refuses whoever is not signed in before a large body is sent', async () => {
    const size = 64 * 1024 * 1024;
    const answer = await fetch(`${urls[0]}/v1/operations?target=noop`, {
      method: 'POST',
      headers: { 'content-type': 'application/x-ndjson' },
      body: Buffer.alloc(size, '{}\n'),
    });
    expect(answer.status).toBe(401);
    expect(answer.headers.get('www-authenticate')).toBe('Bearer realm="tranche"');
    await answer.text();
  });

  it('refuses forged tokens and tokens for others', async () => {
    const forged = await tokenOf({ account: 'acme', roles: ['admin'] }, `${SECRET}?`);
    expect((await ask(0, '/v1/operations', forged)).status).toBe(401);
    const claims = new SignJWT({ account: 'acme', roles: ['admin'] })
      .setProtectedHeader({ alg: 'HS256' })
      .setSubject('a');
    const forOthers = await claims.setAudience('another-service').sign(Buffer.from(SECRET));
    expect((await ask(0, '/v1/operations', forOthers)).status).toBe(401);
    expect((await ask(0, '/health/ready', null)).status).toBe(200);
  });

  it('makes keys for administrators only, takes them in every process and drops them once they are revoked', async () => {
    const operator = await tokenOf({ account: 'acme', roles: ['operator'] });
    const wanted = { name: 'import', roles: ['submitter'], account: 'acme' };
    // The schema may still be on its way.
    const made = await eventually('a key', async () => {
      const answer = await ask(0, '/v1/api-keys', ADMIN_KEY, post(wanted));
      return answer.status === 201 && answer;
    });
    const key = String(made.body['key']);
    expect((await ask(0, '/v1/api-keys', operator, post(wanted))).status).toBe(403);
    const accepted = await ask(1, '/v1/operations?target=noop', key, post([{}]));
    expect(accepted).toMatchObject({ status: 202, body: { account: 'acme' } });
    expect((await ask(1, `/v1/operations/${accepted.body['id']}/cancel`, key, { method: 'POST' })).status).toBe(403);
    const byHeader = await ask(1, '/v1/limits', null, { headers: { 'x-api-key': key } });
    expect(byHeader).toMatchObject({ status: 200, body: { account: 'acme', limits: [] } });

    const listed = await ask(0, '/v1/api-keys', ADMIN_KEY, { headers: { 'tranche-account': 'acme' } });
    expect(JSON.stringify(listed.body)).toContain(String(made.body['id']));
    expect(JSON.stringify(listed.body)).not.toContain(key.slice(-43));

    const path = `/v1/api-keys/${made.body['id']}`;
    expect((await ask(0, path, ADMIN_KEY, { method: 'DELETE' })).status).toBe(404);
    const revoke = { method: 'DELETE', headers: { 'tranche-account': 'acme' } };
    expect((await ask(0, path, ADMIN_KEY, revoke)).status).toBe(200);
    expect((await ask(0, '/v1/limits', key)).status).toBe(401);
    await eventually('the other process', async () => (await ask(1, '/v1/limits', key)).status === 401);
  });

  it.each([
    ['no name', { roles: ['viewer'] }],
    ['no roles', { name: 'x', roles: [] }],
    ['an unknown role', { name: 'x', roles: ['root'] }],
    ['an unknown member', { name: 'x', roles: ['viewer'], secret: 'mine' }],
    ['an end that has passed', { name: 'x', roles: ['viewer'], expiresAt: '2020-01-01T00:00:00Z' }],
  ])('makes no key of a request with %s', async (_, body) => {
    expect((await ask(0, '/v1/api-keys', ADMIN_KEY, post(body))).status).toBe(400);
  });
});
