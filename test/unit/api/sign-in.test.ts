/** Who is let in to which route, for which account, and what the refused are told. */
import { describe, expect, it } from 'vitest';
import type { createApp } from '../../../src/api/app.ts';
import { routesOf } from '../../../src/api/routes.ts';
import { createNoSignIn, createSignIn } from '../../../src/api/sign-in/sign-in.ts';
import { type Caller, PERMISSIONS, ROLES, type Role } from '../../../src/model/access.ts';
import { TrancheError } from '../../../src/model/errors.ts';
import type { ApiKeys } from '../../../src/operations/api-keys.ts';
import { appOver, JSON_HEADERS } from './setup.ts';

const ADMIN_KEY = 'the-operators-own-key-of-some-length';

/** A token here is `<account>.<roles>`. */
const tokens = {
  async verify(token: string): Promise<Caller> {
    const [account = '', roles = ''] = token.split('.');
    if (account === 'bad' || !token.includes('.'))
      throw new TrancheError('unauthenticated', 'bad "token"\\', { challenge: 'invalid_token' });
    return { account, subject: `user-of-${account}`, roles: roles.split('+').filter((role) => role !== '') as Role[] };
  },
};
const apiKeys = {
  find: async (key: string): Promise<Caller | null> =>
    key === 'trk_good' ? { account: 'keyed', subject: 'key:good', roles: ['submitter'] } : null,
};

function guarded() {
  return appOver({}, { signIn: createSignIn({ tokens, apiKeys, adminKey: ADMIN_KEY }) });
}

const as = (token: string, more: Record<string, string> = {}) => ({
  headers: { Authorization: `Bearer ${token}`, ...more },
});

/** With every parameter filled in. */
function pathOf(path: string): string {
  return path.replace(/:[a-zA-Z]+(\{[^}]*\})?/g, 'op-1');
}

function walk(app: ReturnType<typeof createApp>) {
  const routes = routesOf(app).filter(({ access }) => access !== 'public');
  expect(routes.length).toBeGreaterThan(10);
  return routes;
}

describe('a request without valid credentials', () => {
  it('is refused on every route but the public ones, and its body is never read', async () => {
    const { app, operations } = guarded();
    for (const { method, path } of walk(app)) {
      const answer = await app.request(pathOf(path), { method });
      expect(answer.status, `${method} ${path}`).toBe(401);
      expect(answer.headers.get('WWW-Authenticate')).toBe('Bearer realm="tranche"');
      expect(await answer.json()).toMatchObject({ code: 'unauthenticated', status: 401 });
    }
    expect(operations.submissions).toEqual([]);
  });

  it('reaches the health probes', async () => {
    for (const path of ['/health', '/health/live', '/health/ready', '/health/detailed']) {
      expect((await guarded().app.request(path)).status).toBe(200);
    }
  });

  it('learns from them which part is at fault; why, only an admin does', async () => {
    const parts = { database: { ok: false, detail: 'connect ECONNREFUSED 10.0.0.5:5432', tookMs: 3 } };
    const { app } = appOver(
      { health: async () => ({ ok: false, parts }) },
      { signIn: createSignIn({ tokens, apiKeys, adminKey: ADMIN_KEY }) },
    );
    const seen = async (init = {}) => {
      const answer = await app.request('/health/detailed', init);
      expect(answer.status).toBe(503);
      return ((await answer.json()) as { parts: unknown }).parts;
    };
    const withoutWhy = { database: { ok: false, tookMs: 3 } };
    expect(await seen()).toEqual(withoutWhy);
    expect(await seen(as('bad.admin'))).toEqual(withoutWhy);
    expect(await seen(as('acme.operator'))).toEqual(withoutWhy);
    expect(await seen(as(ADMIN_KEY))).toEqual(parts);
  });

  it('finds public only what must be', () => {
    const open = routesOf(guarded().app).filter(({ access }) => access === 'public');
    for (const { path } of open) expect(path).toMatch(/^\/health|\/callbacks\/:/);
  });

  it.each([
    ['a bad token', { Authorization: 'Bearer bad.admin' }],
    ['an unknown API key', { 'X-API-Key': 'trk_bad' }],
    ['an unknown API key as bearer', { Authorization: 'Bearer trk_bad' }],
    ['almost the admin key', { Authorization: `Bearer bad${ADMIN_KEY}` }],
  ])('is told that %s is not valid', async (_, headers) => {
    const answer = await guarded().app.request('/v1/operations', { headers });
    expect(answer.status).toBe(401);
    const challenge = answer.headers.get('WWW-Authenticate') ?? '';
    expect(challenge).toMatch(/^Bearer realm="tranche", error="invalid_token", error_description="[^"\\]+"$/);
  });

  it.each([
    ['another scheme', { Authorization: 'Basic dXNlcjpwYXNz' }],
    ['a scheme without a token', { Authorization: 'Bearer ' }],
    ['an empty key', { 'X-API-Key': ' ' }],
  ])('is asked to sign in where it sends %s', async (_, headers) => {
    const answer = await guarded().app.request('/v1/operations', { headers });
    expect(answer.status).toBe(401);
    expect(answer.headers.get('WWW-Authenticate')).not.toContain('error=');
  });

  it('is refused where it sends two credentials', async () => {
    const answer = await guarded().app.request('/v1/operations', as('acme.viewer', { 'X-API-Key': 'trk_good' }));
    expect(answer.status).toBe(400);
  });
});

describe('a role', () => {
  it.each(ROLES)('%s is let in where the table permits it and nowhere else', async (role) => {
    const { app } = guarded();
    for (const { method, path, access } of walk(app)) {
      const answer = await app.request(pathOf(path), { method, ...as(`acme.${role}`) });
      const permitted = access !== 'public' && (PERMISSIONS[access] as readonly Role[]).includes(role);
      if (permitted) expect([401, 403], `${role}: ${method} ${path}`).not.toContain(answer.status);
      else expect(answer.status, `${role}: ${method} ${path}`).toBe(403);
      if (answer.status === 403) expect(answer.headers.get('WWW-Authenticate')).toContain('insufficient_scope');
    }
  });

  it('may be none at all: then nothing is permitted', async () => {
    expect((await guarded().app.request('/v1/operations', as('acme.'))).status).toBe(403);
  });

  it('permits more, the higher it is', () => {
    const counts = ROLES.map(
      (role) => Object.values(PERMISSIONS).filter((roles) => (roles as readonly Role[]).includes(role)).length,
    );
    expect(counts).toEqual([...counts].sort((a, b) => a - b));
    expect(new Set(counts).size).toBe(ROLES.length);
  });
});

describe('the account of a request', () => {
  it("is the token's, and goes into the submission with who sent it", async () => {
    const { app, operations } = guarded();
    const init = { method: 'POST', headers: { ...JSON_HEADERS, Authorization: 'bearer acme.submitter' }, body: '[1]' };
    expect((await app.request('/v1/operations?target=noop', init)).status).toBe(202);
    expect(operations.submissions[0]).toMatchObject({ account: 'acme', submittedBy: 'user-of-acme' });
  });

  it("is the key's", async () => {
    const { app, operations } = guarded();
    const headers = { ...JSON_HEADERS, 'X-API-Key': 'trk_good' };
    await app.request('/v1/operations?target=noop', { method: 'POST', headers, body: '[1]' });
    expect(operations.submissions[0]).toMatchObject({ account: 'keyed', submittedBy: 'key:good' });
  });

  it('may be named by the header where it is the same, and only an admin may name another', async () => {
    const { app } = guarded();
    const ask = async (token: string, account: string) =>
      (await app.request('/v1/operations', as(token, { 'Tranche-Account': account }))).status;
    expect(await ask('acme.viewer', 'acme')).toBe(200);
    expect(await ask('acme.viewer', 'other')).toBe(403);
    expect(await ask('acme.operator', 'other')).toBe(403);
    expect(await ask('acme.admin', 'other')).toBe(200);
    expect(await ask(ADMIN_KEY, 'other')).toBe(200);
  });

  it("is the header's for an admin: what is another's is found there, and not without it", async () => {
    const { app, operations } = guarded();
    operations.put({ id: 'op-1', account: 'other' });
    expect((await app.request('/v1/operations/op-1', as('acme.admin'))).status).toBe(404);
    const named = as('acme.admin', { 'Tranche-Account': 'other' });
    expect((await app.request('/v1/operations/op-1', named)).status).toBe(200);
  });
});

describe('the name of a new API key', () => {
  it.each(['a\u0000b', 'a\nb', '\ud800', ''])('cannot be %j, which no row takes or nobody can read', async (name) => {
    const apiKeysKept = { create: () => Promise.reject(new Error('must not be asked')) } as unknown as ApiKeys;
    const signIn = createSignIn({ tokens, apiKeys, adminKey: ADMIN_KEY });
    const headers = { ...JSON_HEADERS, Authorization: `Bearer ${ADMIN_KEY}` };
    const init = { method: 'POST', headers, body: JSON.stringify({ name, roles: ['viewer'] }) };
    const answer = await appOver({}, { signIn, apiKeys: apiKeysKept }).app.request('/v1/api-keys', init);
    expect(answer.status).toBe(400);
    expect(await answer.json()).toMatchObject({ errors: [{ parameter: 'name' }] });
  });
});

describe('where nobody signs in', () => {
  const post = (headers: Record<string, string>) =>
    appOver().app.request('http://127.0.0.1:3000/v1/operations?target=noop', {
      method: 'POST',
      headers: { ...JSON_HEADERS, Host: '127.0.0.1:3000', ...headers },
      body: '[1]',
    });

  it.each([
    ['what is no browser', {}],
    ['a page of ours', { Origin: 'http://127.0.0.1:3000', 'Sec-Fetch-Site': 'same-origin' }],
    ['a person who types', { 'Sec-Fetch-Site': 'none' }],
  ])('lets %s in', async (_, headers) => {
    expect((await post(headers)).status).toBe(202);
  });

  it.each([
    ['of another site', { 'Sec-Fetch-Site': 'cross-site' }],
    ['of another port', { 'Sec-Fetch-Site': 'same-site', Origin: 'http://127.0.0.1:3000' }],
    ['of another origin', { Origin: 'https://evil.example' }],
    ['in a sandbox', { Origin: 'null' }],
    ['whose name was made to point to us', { Origin: 'http://evil.example:3000', Host: 'evil.example:3000' }],
  ])('refuses a page %s', async (_, headers) => {
    const answer = await post(headers);
    expect(answer.status).toBe(403);
    expect(await answer.json()).toMatchObject({ code: 'forbidden' });
  });

  it('makes no API keys, which would outlive the open door', async () => {
    const init = { method: 'POST', headers: JSON_HEADERS, body: '{"name":"x","roles":["admin"]}' };
    expect((await appOver().app.request('/v1/api-keys', init)).status).toBe(403);
  });

  it.each([
    ['127.0.0.1:3000', 200],
    ['[::1]:3000', 200],
    ['LOCALHOST:3000', 200],
    ['tranche.localhost', 200],
    ['bulk.example.com', 200],
    ['evil.example:3000', 403],
    ['127.0.0.1.evil.example', 403],
    ['localhost.', 403],
    ['a b', 403],
  ])('and only this machine can knock, a request to %s gets %i, reads too', async (host, status) => {
    const signIn = createNoSignIn({ publicUrl: 'https://bulk.example.com', isLocal: true });
    const init = { headers: { Host: host } };
    expect((await appOver({}, { signIn }).app.request('http://127.0.0.1:3000/v1/operations', init)).status).toBe(
      status,
    );
  });

  it('lets every page read, which the browser then keeps from it', async () => {
    const headers = { 'Sec-Fetch-Site': 'cross-site' };
    expect((await appOver().app.request('/v1/operations', { headers })).status).toBe(200);
  });
});
