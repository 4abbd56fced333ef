/** Every route, walked by another account's people: what is not theirs is not there. */
import type { TestWorkflowEnvironment } from '@temporalio/testing';
import { SignJWT } from 'jose';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createApp } from '../../../src/api/app.ts';
import { API_LIMITS } from '../../../src/api/limits.ts';
import { type Route, routesOf } from '../../../src/api/routes.ts';
import { createSignIn } from '../../../src/api/sign-in/sign-in.ts';
import { createTokens } from '../../../src/api/sign-in/tokens.ts';
import type { Role } from '../../../src/model/access.ts';
import { noLog } from '../../../src/model/log.ts';
import type { ApiKeys } from '../../../src/operations/api-keys.ts';
import type { RunningOperations } from '../../../src/operations/index.ts';
import { type Folder, openFolder, operationsOn, startTemporal } from '../../fixtures/operations-under-test.ts';

const SECRET = 'a-secret-of-more-than-32-bytes-for-tests';
const KEY = 'key-of-acme';

let temporal: TestWorkflowEnvironment;
let folder: Folder;
let operations: RunningOperations;
let app: ReturnType<typeof createApp>;

/** Keys of one account only; the table's own query is tested on PostgreSQL. */
const keys: Pick<ApiKeys, 'list' | 'revoke'> = {
  list: async (account) => (account === 'acme' ? [keyView] : []),
  async revoke(account) {
    if (account === 'acme') return keyView;
    throw Object.assign(new Error('There is no such API key.'), { name: 'TrancheError', code: 'not_found', facts: {} });
  },
};
const KEY_ID = '0123456789abcdefghjk';
const keyView = {
  ...{ id: KEY_ID, account: 'acme', name: 'of acme', roles: ['viewer' as const], createdBy: null },
  ...{ createdAt: '2026-01-01T00:00:00.000Z', expiresAt: null, lastUsedAt: null, revokedAt: null },
};

beforeAll(async () => {
  temporal = await startTemporal();
  folder = await openFolder();
  operations = operationsOn(folder.store, temporal.client);
  const options = { issuer: null, audience: null, accountClaim: 'account', rolesClaim: 'roles', log: noLog };
  const tokens = createTokens({ ...options, secret: SECRET, jwksUrl: null });
  app = createApp({
    operations,
    log: noLog,
    signIn: createSignIn({ tokens, apiKeys: null, adminKey: null }),
    apiKeys: { ...keys, create: () => Promise.reject(new Error('not asked')), find: async () => null },
    limits: { ...API_LIMITS, waitIntervalMs: 5 },
    ready: () => true,
    keylessReplayWindowMs: 0,
    publicUrl: null,
    closing: new AbortController().signal,
  });
});

afterAll(async () => {
  await operations?.stop();
  await folder?.remove();
  await temporal?.teardown();
});

async function tokenOf(account: string, role: Role): Promise<string> {
  const claims = new SignJWT({ account, roles: [role] })
    .setProtectedHeader({ alg: 'HS256' })
    .setSubject(`u-${account}`);
  return await claims.setExpirationTime('5m').sign(Buffer.from(SECRET));
}

/** What a route needs beside its path to get as far as looking for the operation. A new route's stands here, too. */
const REQUESTS: Readonly<Record<string, { readonly query?: string; readonly body?: unknown }>> = {
  'POST /v1/operations/:id/retry': { query: '?fromRun=1' },
  'PATCH /v1/operations/:id': { body: { priority: 2 } },
};

/** Parameters of paths: those that name something of acme's. */
const PARAMETERS: Readonly<Record<string, string>> = { index: '0', vendor: 'async', token: 'none' };

/** What acme has, by the beginning of the paths that name it. */
type Belongings = Readonly<Record<string, string>>;

async function ask(route: Route, token: string, belongings: Belongings): Promise<Response> {
  const owner = Object.keys(belongings).find((prefix) => route.path.startsWith(prefix));
  const own = belongings[owner ?? ''] ?? '';
  if (namesSomething(route)) expect(own, `this test makes nothing that ${route.path} could name`).not.toBe('');
  const path = route.path.replace(/:([a-zA-Z]+)(\{[^}]*\})?/g, (_, name: string) => PARAMETERS[name] ?? own);
  const { query = '', body } = REQUESTS[`${route.method} ${route.path}`] ?? {};
  return await app.request(`${path}${query}`, {
    method: route.method,
    headers: {
      Authorization: `Bearer ${token}`,
      ...(body === undefined ? {} : { 'Content-Type': 'application/json' }),
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
}

async function send(
  path: string,
  token: string,
  key: string,
  body: unknown,
): Promise<Readonly<Record<string, unknown>>> {
  const isForm = body instanceof FormData;
  const answer = await app.request(path, {
    method: 'POST',
    headers: {
      Authorization: `Bearer ${token}`,
      ...(isForm ? {} : { 'Content-Type': 'application/json' }),
      'Idempotency-Key': key,
    },
    body: isForm ? body : JSON.stringify(body),
  });
  const text = await answer.text();
  expect(answer.status, text).toBe(202);
  return JSON.parse(text) as Readonly<Record<string, unknown>>;
}

const PRODUCTS = { operations: [{ type: 'delete', id: 1 }] };

async function submit(token: string, key: string, target = 'products'): Promise<string> {
  return String((await send(`/v1/operations?target=${target}`, token, key, PRODUCTS))['id']);
}

/** One operation of every surface. */
async function belongingsOf(token: string, key: string): Promise<Belongings> {
  const form = new FormData();
  form.set('actionType', 'BULK_UPDATE');
  form.set('entityType', 'Contact');
  form.set('file', new Blob(['email,name\na@example.com,A\n'], { type: 'text/csv' }), 'contacts.csv');
  return {
    '/v1/operations': await submit(token, `${key}-v1`),
    '/v1/api-keys': KEY_ID,
    '/product/bulk': String((await send('/product/bulk', token, `${key}-product`, PRODUCTS))['bulkRequestId']),
    '/bulk-actions': String((await send('/bulk-actions', token, `${key}-action`, form))['actionId']),
    '/jobs': String((await send('/jobs', token, `${key}-job`, { vendor: 'sync', payload: {} }))['request_id']),
  };
}

/** What is the same for every account. */
const EVERYBODYS = ['/v1/targets', '/v1/vendors', '/v1/vendors/:vendor'];

/** Of the same forms, and nobody's. */
const NOBODYS: Belongings = {
  ...{ '/v1/operations': 'no-such-operation', '/v1/api-keys': KEY_ID, '/product/bulk': 'no-such-operation' },
  ...{ '/bulk-actions': 'no-such-operation', '/jobs': '6ba7b810-9dad-41d1-80b4-00c04fd430c8' },
};

/** Routes that name something of somebody's, and those that list what there is. */
function namesSomething({ path, access }: Route): boolean {
  return path.includes('/:') && access !== 'public' && !EVERYBODYS.includes(path);
}

describe("another account's people", () => {
  it.each(['viewer', 'operator', 'admin'] as const)('find nothing of acme’s on any route, as %s', async (role) => {
    const acme = await tokenOf('acme', 'admin');
    const stranger = await tokenOf('other', role);
    const belongings = await belongingsOf(acme, `${KEY}-${role}`);
    const routes = routesOf(app);
    expect(routes.length).toBeGreaterThan(15);
    for (const route of routes) {
      const name = `${route.method} ${route.path}`;
      if (route.access === 'public' || (route.method === 'POST' && !namesSomething(route))) continue;
      const answer = await ask(route, stranger, belongings);
      const text = await answer.text();
      if (answer.status === 403) {
        expect(role, name).not.toBe('admin');
        continue;
      }
      expect(text, name).not.toContain(KEY);
      expect(text, name).not.toContain('acme');
      if (namesSomething(route)) expect(`${name}: ${answer.status}`).toBe(`${name}: 404`);
      else if (!EVERYBODYS.includes(route.path))
        expect(`${name}: ${answer.status} ${isEmpty(text)}`).toBe(`${name}: 200 true`);
    }
  });

  it('are told the same of what is another’s as of what is not there at all', async () => {
    const acme = await tokenOf('acme', 'admin');
    const stranger = await tokenOf('other', 'admin');
    const belongings = await belongingsOf(acme, `${KEY}-same`);
    for (const route of routesOf(app).filter(namesSomething)) {
      const facts = async (asked: Belongings) => {
        const answer = await ask(route, stranger, asked);
        return { ...(JSON.parse(await answer.text()) as object), requestId: '', status: answer.status };
      };
      expect(await facts(belongings), `${route.method} ${route.path}`).toEqual(await facts(NOBODYS));
    }
  });

  it('may take the same key for another operation, which stays theirs', async () => {
    const acme = await submit(await tokenOf('acme', 'submitter'), `${KEY}-shared`);
    const other = await submit(await tokenOf('other', 'submitter'), `${KEY}-shared`, 'noop');
    expect(other).toBe(acme);
    const read = async (account: string) => {
      const headers = { Authorization: `Bearer ${await tokenOf(account, 'viewer')}` };
      return JSON.parse(await (await app.request(`/v1/operations/${acme}`, { headers })).text()) as object;
    };
    expect(await read('acme')).toMatchObject({ account: 'acme', target: 'products' });
    expect(await read('other')).toMatchObject({ account: 'other', target: 'noop' });
  });
});

describe('the people of the account', () => {
  it('get something else than 404 on the same routes: the walk above reaches what it asks for', async () => {
    const acme = await tokenOf('acme', 'admin');
    const belongings = await belongingsOf(acme, `${KEY}-own`);
    for (const route of routesOf(app).filter((one) => namesSomething(one) && one.method === 'GET')) {
      const answer = await ask(route, acme, belongings);
      await answer.body?.cancel();
      expect(`${route.path}: ${answer.status}`).toBe(`${route.path}: 200`);
    }
    const listed = await app.request('/v1/api-keys', { headers: { Authorization: `Bearer ${acme}` } });
    expect(await listed.text()).toContain(KEY_ID);
  });
});

function isEmpty(text: string): boolean {
  const body = JSON.parse(text) as unknown;
  if (Array.isArray(body)) return body.length === 0;
  const { data, limits } = body as { data?: unknown[]; limits?: unknown[] };
  return (data ?? limits)?.length === 0;
}
