/** What every answer says to a browser and to caches, on every route and whatever is asked. */
import { describe, expect, it } from 'vitest';
import { type Route, routesOf } from '../../../src/api/routes.ts';
import { createNoSignIn } from '../../../src/api/sign-in/sign-in.ts';
import { viewOf } from '../../fixtures/fake-operations.ts';
import { appOver, JSON_HEADERS } from '../api/setup.ts';

const view = viewOf({ id: 'op-1', state: 'ended', outcome: 'succeeded' });
const job = { operation: view, status: 'complete', result: undefined, error: null } as const;

function open() {
  const lines = async function* () {
    yield Buffer.from('{"index":0,"line":1,"outcome":"succeeded","attempts":1}\n');
  };
  const { app, operations } = appOver({
    job: async () => job as never,
    item: async () => ({ index: 0 }) as never,
    itemInput: async () => ({ mediaType: 'application/json', body: Buffer.from('{}') }) as never,
    deadLetters: async () => ({ mediaType: 'application/x-ndjson', body: lines() }) as never,
  });
  operations.put(view);
  return app;
}

const UUID = '6ba7b810-9dad-41d1-80b4-00c04fd430c8';
const pathOf = ({ path }: Route) =>
  path.replace(/:([a-zA-Z]+)(\{[^}]*\})?/g, (_, name) =>
    name === 'index' ? '0' : path.startsWith('/jobs') ? UUID : 'op-1',
  );

const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'];

function expectGuarded(answer: Response, name: string): void {
  const { headers } = answer;
  expect(headers.get('X-Content-Type-Options'), name).toBe('nosniff');
  expect(headers.get('Content-Security-Policy'), name).toContain("default-src 'none'; frame-ancestors 'none'");
  expect(headers.get('X-Frame-Options'), name).toBe('DENY');
  expect(headers.get('Cross-Origin-Resource-Policy'), name).toBe('same-origin');
  expect(headers.get('Referrer-Policy'), name).toBe('no-referrer');
  expect(headers.get('Set-Cookie'), name).toBeNull();
  const cors = [...headers.keys()].filter((header) => header.startsWith('access-control-'));
  expect(cors, name).toEqual([]);
  if (answer.body !== null) expect(headers.get('Content-Type') ?? '', name).not.toMatch(/html|xml|javascript|svg/i);
}

describe('every answer', () => {
  it('keeps browsers from guessing, framing, embedding and reading across origins', async () => {
    const app = open();
    const paths = [...new Set(routesOf(app).map(pathOf)), '/', '/no/such', '/v1/operations/..%2f..%2fetc'];
    expect(paths.length).toBeGreaterThan(20);
    for (const path of paths) {
      for (const method of METHODS) {
        const headers = { Origin: 'https://evil.example', 'Access-Control-Request-Method': 'POST' };
        const answer = await app.request(path, { method, headers });
        expectGuarded(answer, `${method} ${path}: ${answer.status}`);
        await answer.body?.cancel();
      }
    }
  });

  it('that is of an account is kept by no shared cache', async () => {
    const app = open();
    for (const route of routesOf(app).filter(({ method, access }) => method === 'GET' && access !== 'public')) {
      const answer = await app.request(pathOf(route));
      expect(`${route.path}: ${answer.headers.get('Cache-Control')}`).toMatch(/private|no-store/);
      await answer.body?.cancel();
    }
  });
});

describe('a page of another site, where nobody signs in', () => {
  it('changes nothing by any route, from a form, a script or a name made to point here', async () => {
    const signIn = createNoSignIn({ publicUrl: null, isLocal: true });
    const { app, operations } = appOver({}, { signIn });
    operations.put(viewOf({ id: 'op-1' }));
    const writing = routesOf(app).filter(({ method, access }) => method !== 'GET' && access !== 'public');
    expect(writing.length).toBeGreaterThan(8);
    const own = { Host: '127.0.0.1:3000' };
    const attacks: readonly Record<string, string>[] = [
      { ...own, 'Sec-Fetch-Site': 'cross-site' },
      { ...own, 'Sec-Fetch-Site': 'same-site' },
      { ...own, Origin: 'https://evil.example' },
      { ...own, Origin: 'null' },
      { ...own, Origin: 'http://127.0.0.1:8080' },
      { Host: 'evil.example:3000', Origin: 'http://evil.example:3000' },
      { Host: 'evil.example:3000', Origin: 'http://evil.example:3000', 'Sec-Fetch-Site': 'same-origin' },
      { Host: 'evil.example:3000' },
    ];
    for (const route of writing) {
      for (const attack of attacks) {
        const headers = { 'Content-Type': 'text/plain', ...attack };
        const answer = await app.request(pathOf(route), { method: route.method, headers });
        expect(`${route.method} ${route.path} ${JSON.stringify(attack)}: ${answer.status}`).toMatch(/: 403$/);
      }
    }
    expect(operations.submissions).toEqual([]);
  });

  it('reads nothing by a name made to point here', async () => {
    const { app } = appOver({}, { signIn: createNoSignIn({ publicUrl: null, isLocal: true }) });
    for (const route of routesOf(app).filter(({ method, access }) => method === 'GET' && access !== 'public')) {
      const answer = await app.request(pathOf(route), { headers: { Host: 'evil.example:3000' } });
      expect(`${route.path}: ${answer.status}`).toBe(`${route.path}: 403`);
    }
  });
});

describe('a header of an answer', () => {
  const HOSTILE = [
    'evil.example',
    'a b',
    'evil.example/x?',
    'evil.example#',
    'user@evil.example',
    '"><script>',
    '[::1',
    'a'.repeat(300),
  ];

  it.each(HOSTILE)('says nothing of a Host header like %j but a plain host', async (host) => {
    const headers = { ...JSON_HEADERS, Host: host };
    const answer = await open().request('/product/bulk', { method: 'POST', headers, body: '[]' });
    const location = answer.headers.get('Location') ?? '';
    expect(location).toMatch(/^(?:http:\/\/evil\.example)?\/product\/bulk\/status\//);
  });

  it('names our public URL whatever the Host header says', async () => {
    const { app } = appOver({}, { publicUrl: 'https://bulk.example.com' });
    const init = { method: 'POST', headers: { ...JSON_HEADERS, Host: 'evil.example' }, body: '[]' };
    const answer = await app.request('/product/bulk', init);
    expect(answer.headers.get('Location')).toMatch(/^https:\/\/bulk\.example\.com\/product/);
  });

  it('takes no request id, trace or preference that is not one', async () => {
    const app = open();
    for (const hostile of ['a b', '<x>', 'a'.repeat(65), 'ä', '"', '../..']) {
      const headers = {
        'X-Request-Id': hostile,
        traceparent: hostile,
        Prefer: `wait=${hostile}`,
        'If-None-Match': hostile,
      };
      const answer = await app.request('/v1/operations/op-1', { headers });
      expect(answer.status).toBe(200);
      expect(answer.headers.get('X-Request-Id')).toMatch(/^[0-9a-f-]{36}$/);
      expect(answer.headers.get('Preference-Applied')).toBeNull();
    }
  });

  it('links to pages of this service alone, whatever else the query holds', async () => {
    const { app } = appOver({ page: async () => ({ data: [], total: 3 }) });
    const query = new URLSearchParams({ page: '2', limit: '1', x: '>; rel="evil"\r\nSet-Cookie: a=b' });
    const answer = await app.request(`/bulk-actions?${query}`);
    expect(answer.status).toBe(200);
    for (const link of (answer.headers.get('Link') ?? '').split(', ')) {
      expect(link).toMatch(/^<\/bulk-actions\?[^<>\s"]*>; rel="(?:first|prev|next|last)"$/);
    }
  });
});
