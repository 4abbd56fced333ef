/** Whatever a client writes where a name, a number or a word belongs: it is refused at the door and reaches no verb. */
import { describe, expect, it } from 'vitest';
import { type Route, routesOf } from '../../../src/api/routes.ts';
import { toAccountId } from '../../../src/model/account.ts';
import { METADATA_DEPTH_MAX } from '../../../src/model/limits.ts';
import type { Operations } from '../../../src/operations/operations.ts';
import { operationIdOf } from '../../../src/operations/submit/operation-id.ts';
import { assertKey } from '../../../src/storage/key.ts';
import { auditPrefix, recordKeys } from '../../../src/storage/keys.ts';
import { fakeOperations } from '../../fixtures/fake-operations.ts';
import { appOver, JSON_HEADERS } from '../api/setup.ts';

/** As they stand in a path: some encoded, some twice. */
const HOSTILE_SEGMENTS = [
  ...['..%2f..%2fetc%2fpasswd', '%2e%2e', '%2e%2e%2fadmin', 'a%2fb', 'a%5cb', '..%5c..%5c', '%252e%252e%252f'],
  ...['%00', 'a%00b', '%0d%0aX-Evil:%20yes', '%0aevent:%20x', '%1b%5b2J', '%c2%9b', '%e2%80%ae', '%ff%fe', '%zz', '%'],
  ...[
    "'%20OR%20'1'='1",
    '%27%20OR%20WorkflowType%3D%27x',
    '%22;DROP%20TABLE%20x;--',
    '$%7bjndi:x%7d',
    '%7b%7b7*7%7d%7d',
  ],
  ...['a%3fx=1', 'a%23x', 'a%20b', '~', 'a~b~c', '-', '.hidden', 'a'.repeat(129), 'a'.repeat(4_000), '%F0%9F%92%A9'],
];
/** Of the right form, and of nobody. */
const STRANGE_NAMES = ['__proto__', 'constructor', 'toString', 'a..b', 'a:b'];

interface Seen {
  readonly verb: string;
  readonly args: readonly unknown[];
}

/** Every call that reaches a verb. */
function watched() {
  const calls: Seen[] = [];
  const fake = fakeOperations();
  const overrides: Record<string, unknown> = {};
  for (const [verb, act] of Object.entries(fake)) {
    if (typeof act !== 'function') continue;
    overrides[verb] = (...args: never[]) => {
      calls.push({ verb, args });
      return (act as (...args: never[]) => unknown)(...args);
    };
  }
  // The highest role: nothing but the input itself stands in the way.
  const signIn = async () => ({ account: 'default', subject: 'root', roles: ['admin' as const] });
  return { app: appOver(overrides as Partial<Operations>, { signIn }).app, operations: fake, calls };
}

const UUID = '6ba7b810-9dad-41d1-80b4-00c04fd430c8';
const SOUND: Readonly<Record<string, string>> = { index: '0', vendor: 'async', token: 'none' };
const NAMES = /:([a-zA-Z]+)(\{[^}]*\})?/g;

/** The route with `hostile` in place of one of its parameters, one after the other. */
function attacksOn({ path }: Route, hostile: string): string[] {
  const names = [...path.matchAll(NAMES)].map((match) => match[1] ?? '');
  return names.map((target) =>
    path.replace(NAMES, (_, name: string) => {
      if (name === target) return hostile;
      return SOUND[name] ?? (path.startsWith('/jobs') ? UUID : 'op-1');
    }),
  );
}

describe('a path', () => {
  it('with a hostile name in any of its places finds nothing, and no verb hears of it', async () => {
    const { app, calls } = watched();
    const routes = routesOf(app).filter(({ path }) => path.includes(':'));
    expect(routes.length).toBeGreaterThan(15);
    for (const route of routes) {
      for (const hostile of HOSTILE_SEGMENTS) {
        for (const path of attacksOn(route, hostile)) {
          calls.length = 0;
          const answer = await app.request(`http://localhost${path}`, {
            method: route.method,
            ...(route.method === 'GET' || route.method === 'DELETE'
              ? {}
              : { headers: JSON_HEADERS, body: '{"priority":1}' }),
          });
          const name = `${route.method} ${path}: ${answer.status}`;
          // By the URL standard a dot segment, encoded or not, is the way to another path, before anybody looks at it.
          if (new URL(path, 'http://localhost').pathname.split('/').length < path.split('/').length) continue;
          // The callback verb judges its token itself, in constant time.
          if (route.path.includes('/callbacks/')) continue;
          expect(name).toMatch(/: (?:400|404|405|415|422)$/);
          // A vendor is one of those in the settings, or none: the verb has the list.
          if (route.path.startsWith('/v1/vendors/')) continue;
          expect(
            calls.filter(({ verb }) => verb !== 'targets'),
            name,
          ).toEqual([]);
          expect(await answer.text(), name).not.toMatch(/X-Evil: yes|\p{Cc}|root:/u);
        }
      }
    }
  });

  it.each(STRANGE_NAMES)('may hold %s, a name of the right form, which is nobody’s', async (name) => {
    const { app } = watched();
    for (const path of ['/v1/operations/', '/product/bulk/status/', '/bulk-actions/']) {
      expect(`${path}: ${(await app.request(path + name)).status}`).toBe(`${path}: 404`);
    }
  });
});

describe('a query', () => {
  const HOSTILE_VALUES = [
    "' OR '1'='1",
    "x' AND WorkflowType != 'operation",
    '\u0000',
    '\r\nX: y',
    '\u202e',
    '-1',
    '1e9',
    'NaN',
    '[]',
    '__proto__',
    '٣',
    '9'.repeat(400),
    'a'.repeat(3_000),
  ];

  it.each(['state', 'outcome', 'target', 'createdAfter', 'limit', 'cursor'])(
    'with a hostile %s asks Temporal nothing that we did not write',
    async (parameter) => {
      const { app, calls } = watched();
      for (const value of HOSTILE_VALUES) {
        calls.length = 0;
        const answer = await app.request(`/v1/operations?${new URLSearchParams({ [parameter]: value })}`);
        // What a target or a cursor may be is the verb's to say: test/unit/operations/cursor.test.ts.
        if (parameter === 'target' || parameter === 'cursor') continue;
        expect(`${parameter}=${value}: ${answer.status}`).toMatch(/: 400$/);
        expect(calls).toEqual([]);
      }
    },
  );

  it('is refused for what it does not know on every native route, and names ten faults at most', async () => {
    const { app, operations } = watched();
    operations.put({ id: 'op-1' });
    const many = Array.from({ length: 900 }, (_, n) => `x${n}=1`).join('&');
    for (const route of routesOf(app).filter(({ path }) => path.startsWith('/v1/operations'))) {
      const [path = route.path] = attacksOn(route, 'op-1');
      const init = route.method === 'PATCH' ? { headers: JSON_HEADERS, body: '{"priority":1}' } : {};
      const answer = await app.request(`${path}?${many}`, { method: route.method, ...init });
      expect(`${route.method} ${path}: ${answer.status}`).toMatch(/: 400$/);
      expect((await answer.text()).length).toBeLessThan(5_000);
    }
  });

  it('of 20,000 characters is not read: 414', async () => {
    const { app } = watched();
    const answer = await app.request(`/v1/operations?cursor=${'a'.repeat(20_000)}`);
    expect(answer.status).toBe(414);
    expect(await answer.json()).toMatchObject({ code: 'uri_too_long' });
  });
});

describe('a small body', () => {
  const deep = (depth: number) => '['.repeat(depth) + ']'.repeat(depth);
  const routes = [
    ['PATCH', '/v1/operations/op-1'],
    ['POST', '/v1/operations/op-1/retry'],
    ['POST', '/jobs'],
  ] as const;

  it.each(routes)('%s %s is refused where it is no object, deep, huge or something else', async (method, path) => {
    const { app, operations } = watched();
    operations.put({ id: 'op-1' });
    const bodies = [
      '',
      '[]',
      'null',
      '"x"',
      '{',
      '{"a"',
      '{"priority":{}}',
      '{"indexes":"x","vendor":7}',
      `{"x":${deep(4_000)}}`,
      deep(8_000),
    ];
    for (const body of bodies) {
      const answer = await app.request(path, { method, headers: JSON_HEADERS, body });
      expect(`${body.slice(0, 20)}: ${answer.status}`).toMatch(/: (?:400|422)$/);
    }
    const huge = `{"x":"${'a'.repeat(2 * 1024 * 1024)}"}`;
    expect((await app.request(path, { method, headers: JSON_HEADERS, body: huge })).status).toBe(413);
    const prototype = '{"__proto__":{"priority":5},"constructor":1}';
    const polluted = await app.request(path, { method, headers: JSON_HEADERS, body: prototype });
    expect([400, 422]).toContain(polluted.status);
    expect(({} as { priority?: number }).priority).toBeUndefined();
  });

  it.each([
    ['NaN as an index', '{"indexes":[1.5]}'],
    ['an index below 0', '{"indexes":[-1]}'],
    ['an index beyond all numbers', '{"indexes":[9007199254740993]}'],
    ['an object as a code', '{"codes":[{}]}'],
    ['no index at all', '{"indexes":[]}'],
    ['an outcome of no item', '{"outcomes":["succeeded"]}'],
    ['run 0', '{"fromRun":0}'],
  ])('of a retry with %s is refused', async (_, body) => {
    const { app } = watched();
    const answer = await app.request('/v1/operations/op-1/retry', { method: 'POST', headers: JSON_HEADERS, body });
    expect(answer.status).toBe(400);
  });
});

describe('metadata', () => {
  const submit = async (metadata: string) => {
    const { app, operations } = watched();
    const answer = await app.request(`/v1/operations?target=noop&${new URLSearchParams({ metadata })}`, {
      method: 'POST',
      headers: JSON_HEADERS,
      body: '[]',
    });
    return { status: answer.status, kept: operations.submissions[0]?.metadata };
  };
  const nested = (depth: number) => `${'{"a":'.repeat(depth)}1${'}'.repeat(depth)}`;

  it('may be nested so deep and not one deeper', async () => {
    expect((await submit(nested(METADATA_DEPTH_MAX))).status).toBe(202);
    expect((await submit(nested(METADATA_DEPTH_MAX + 1))).status).toBe(422);
    expect((await submit(`{"a":${'['.repeat(2_000)}${']'.repeat(2_000)}}`)).status).toBe(422);
  });

  it('is of a bounded size, and an object', async () => {
    expect((await submit(JSON.stringify({ a: 'x'.repeat(4_200) }))).status).toBe(422);
    for (const other of ['[]', '1', 'null', '"x"', '{', '']) expect((await submit(other)).status).toBe(422);
  });

  it('names no prototype', async () => {
    const { status, kept } = await submit('{"__proto__":{"admin":true}}');
    expect(status).toBe(202);
    expect((kept as { admin?: boolean }).admin).toBeUndefined();
    expect(Object.getPrototypeOf(kept)).toBe(Object.prototype);
  });
});

describe('a name that becomes part of a key or of a workflow id', () => {
  const NAMES = [
    '../../etc/passwd',
    '..',
    '.',
    '/',
    'a/b',
    'a\\b',
    '~',
    '\u0000',
    'ü',
    ' ',
    'a'.repeat(255),
    '__proto__',
    "x' OR 1=1",
    'C:\\x',
    '%2e%2e',
    'A'.repeat(128),
    'a~operation.json',
  ];

  it.each(NAMES)('is made sound where an account or an idempotency key is %j', (name) => {
    const account = toAccountId(name);
    const id = operationIdOf(name);
    expect(account).toMatch(/^[a-z0-9-]{1,40}$/);
    expect(id).toMatch(/^[A-Za-z0-9][A-Za-z0-9._:-]{0,127}$/);
    const keys = recordKeys(account, id);
    for (const key of [keys.record, keys.checkpoint, keys.summary(1), keys.run(2), `${auditPrefix(account, id)}x`]) {
      expect(() => assertKey(key)).not.toThrow();
      expect(key.split('/').slice(0, 2)).toEqual([expect.stringMatching(/^(?:operations|audit)$/), account]);
    }
  });

  it('stands for one name only', () => {
    expect(new Set(NAMES.map(toAccountId)).size).toBe(NAMES.length);
    expect(new Set(NAMES.map(operationIdOf)).size).toBe(NAMES.length);
  });

  it.each([
    '../x',
    'a/../b',
    '/a',
    'a//b',
    'a/',
    '.',
    '..',
    'a/./b',
    'a\u0000',
    'a b',
    'a\\b',
    'ä',
    'a!log',
    '!tmp/x',
    '',
    'a/'.repeat(500),
  ])('is no blob’s where it is %j, whoever asks', (key) => {
    expect(() => assertKey(key)).toThrow('invalid blob key');
  });
});
