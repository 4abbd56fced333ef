/**
 * A whole journey with a canary in every secret and in every item: submissions, failures, retries, callbacks, refusals,
 * a database that dies. Afterwards nothing that others read (logs, error answers, workflow histories, command lines)
 * holds any of them, and no process has connected to an address that a client named.
 */
import { once } from 'node:events';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Connection, Client as TemporalClient } from '@temporalio/client';
import { SignJWT } from 'jose';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { findFreePort } from '../../../src/embedded/ports.ts';
import { SETTINGS } from '../../../src/settings.ts';
import { type Postgres, postgresIsWithinReach, startPostgres } from '../../fixtures/postgres.ts';
import { eventually } from '../../fixtures/stack/eventually.ts';
import { FORM_TYPE, formBody } from '../../fixtures/stack/form.ts';
import { type Parts, startParts } from '../../fixtures/stack/parts.ts';
import { type Started, startMain } from '../../fixtures/stack/processes.ts';
import { createVendor } from '../../fixtures/stack/vendor.ts';

const HOST = '127.0.0.1';
const HOOK = fileURLToPath(new URL('./record-connections.ts', import.meta.url));
const withDatabase = await postgresIsWithinReach();

/** One canary a secret; what it stands in may be a URL. */
const canaryOf = (env: string) => `seccnry-${env.toLowerCase().replaceAll('_', '')}-0123456789abcdef`;
/** In every place of an item, each recognisable. */
const ITEM = 'itmcnry';
const METADATA = 'metcnry';
const ANY_ITEM = /itmcnry/;

const SECRETS = Object.values(SETTINGS)
  .flatMap((group) => Object.values(group) as { readonly env: string; readonly secret?: true }[])
  .filter(({ secret }) => secret === true)
  .map(({ env }) => env);

interface Refusal {
  readonly what: string;
  readonly status: number;
  readonly text: string;
}

let postgres: Postgres | null = null;
let parts: Parts;
let trap: Awaited<ReturnType<typeof startTrap>>;
let connectionsFile: string;
const processes: Started[] = [];
const refusals: Refusal[] = [];
/** Tokens and keys that were made on the way. */
const tokens: string[] = [];

/** Listens where only a client says to connect to. */
async function startTrap() {
  let connections = 0;
  const received: Buffer[] = [];
  const server = createServer((socket) => {
    connections++;
    socket
      .on('error', () => {})
      .once('data', (piece) => {
        received.push(piece);
        socket.destroy();
      });
  });
  server.listen(0, HOST);
  await once(server, 'listening');
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  return {
    port,
    url: `http://${HOST}:${port}/trap`,
    connections: () => connections,
    received,
    close: () => server.close(),
  };
}

async function tokenOf(account: string, roles: readonly string[], secret = canaryOf('JWT_SECRET')): Promise<string> {
  const claims = new SignJWT({ account, roles }).setProtectedHeader({ alg: 'HS256' }).setSubject('alice');
  const token = await claims.setExpirationTime('10m').sign(Buffer.from(secret));
  tokens.push(token);
  return token;
}

async function send(
  method: string,
  path: string,
  token: string | null,
  init: {
    readonly body?: string | Buffer;
    readonly type?: string;
    readonly headers?: Readonly<Record<string, string>>;
  } = {},
): Promise<{ readonly status: number; readonly text: string; readonly json: Readonly<Record<string, unknown>> }> {
  const answer = await fetch(`${parts.url}${path}`, {
    method,
    headers: {
      ...(token === null ? {} : { authorization: `Bearer ${token}` }),
      ...(init.body === undefined ? {} : { 'content-type': init.type ?? 'application/json' }),
      ...init.headers,
    },
    ...(init.body === undefined ? {} : { body: init.body }),
  });
  const text = await answer.text();
  if (answer.status >= 400) refusals.push({ what: `${method} ${path.slice(0, 80)}`, status: answer.status, text });
  const isJson = /\bjson\b/.test(answer.headers.get('content-type') ?? '') && text.startsWith('{');
  return { status: answer.status, text, json: isJson ? JSON.parse(text) : {} };
}

beforeAll(async () => {
  trap = await startTrap();
  postgres = withDatabase ? await startPostgres() : null;
  const databaseUrl = postgres?.url.replace('postgres@', `postgres:${canaryOf('DATABASE_URL')}@`);
  const env: Record<string, string> = {
    AUTH: 'on',
    LOG_LEVEL: 'debug',
    RETRY_MAXIMUM_ATTEMPTS: '2',
    VENDOR_BUDGETS: 'products=500/s',
  };
  for (const secret of ['JWT_SECRET', 'ADMIN_API_KEY', 'S3_ACCESS_KEY_ID', 'S3_SECRET_ACCESS_KEY'])
    env[secret] = canaryOf(secret);
  if (databaseUrl !== undefined) env['DATABASE_URL'] = databaseUrl;
  parts = await startParts({ ...env, HEARTBEAT_TIMEOUT_MS: '1000' });
  connectionsFile = join(parts.dataDir, 'connections.txt');
  await parts.startTemporal();
  const own = {
    CALLBACK_SECRET: canaryOf('CALLBACK_SECRET'),
    CALLBACK_BASE_URL: parts.url,
    CALLBACK_TIMEOUT_MS: '8000',
    NODE_OPTIONS: `--import=${HOOK}`,
    CONNECTIONS_FILE: connectionsFile,
  };
  processes.push(await parts.startApi(own), await parts.startWorker(own));
});
afterAll(async () => {
  await parts?.stop();
  await postgres?.close();
  trap?.close();
});

async function ended(id: string, token: string): Promise<void> {
  await eventually(
    `the end of ${id}`,
    async () => (await send('GET', `/v1/operations/${id}`, token)).json['state'] === 'ended',
    { withinMs: 60_000, everyMs: 200 },
  );
}

async function accept(
  path: string,
  token: string,
  body: string | Buffer,
  type?: string,
  key?: string,
): Promise<string> {
  const headers = key === undefined ? {} : { 'idempotency-key': key };
  const { status, text, json } = await send('POST', path, token, {
    body,
    headers,
    ...(type === undefined ? {} : { type }),
  });
  expect(status, text).toBe(202);
  return String(json['id'] ?? json['bulkRequestId'] ?? json['actionId'] ?? json['request_id']);
}

/** Names under which a server may be told to call somewhere. */
function urlsEverywhere(): Record<string, unknown> {
  const names = [
    'url',
    'href',
    'callback',
    'callbackUrl',
    'callback_url',
    'webhook',
    'uri',
    'image',
    'location',
    '$ref',
    'host',
    'baseUrl',
    'path',
  ];
  return Object.fromEntries(names.map((name) => [name, `${trap.url}/${ITEM}`]));
}

function productItems(): string {
  const product = { name: `${ITEM}-name`, description: `${ITEM}\n\r\u001b[2J`, ...urlsEverywhere() };
  const items = [
    { type: 'create', product, ...urlsEverywhere() },
    { type: 'update', id: `${ITEM}-1`, product },
    ...[
      trap.url,
      '../admin',
      '..',
      '.',
      '%2e%2e%2fadmin',
      'a?b=c',
      '#x',
      `//${HOST}:${trap.port}/x`,
      `@${HOST}:${trap.port}`,
    ].map((id) => ({
      type: 'delete',
      id: `${id}`,
      note: ITEM,
    })),
    { type: `${ITEM}-type` },
    { type: 'update', id: { ssn: ITEM } },
    `${ITEM}-text`,
    null,
  ].map((item) => JSON.stringify(item));
  return [...items, `{"broken": ${ITEM}}`, `{"a":"${ITEM}`, `[${'['.repeat(100)}"${ITEM}"`].join('\n');
}

const LINES = 'application/x-ndjson';
const LINK_HEADERS = () => ({
  Forwarded: `host=${HOST}:${trap.port}`,
  'X-Forwarded-Host': `${HOST}:${trap.port}`,
  Referer: trap.url,
  'X-Callback-Url': trap.url,
});

describe('a journey with a canary in every secret and every item', () => {
  it('has a canary for every secret that there is', () => {
    // What is not set above is set for the second API below; a new secret has to be set in either.
    expect(SECRETS.toSorted()).toEqual([
      'ADMIN_API_KEY',
      'CALLBACK_SECRET',
      'DATABASE_URL',
      'JWT_SECRET',
      'S3_ACCESS_KEY_ID',
      'S3_SECRET_ACCESS_KEY',
      'TEMPORAL_API_KEY',
    ]);
  });

  it('goes through success, failure, retry, callbacks and refusals', async () => {
    const token = await tokenOf('acme', ['operator']);
    const query = new URLSearchParams({
      target: 'products',
      metadata: JSON.stringify({ note: METADATA, webhook: trap.url }),
    });
    // The vendor's own words hold the client's data, too.
    await createVendor(parts.vendor.url).configure({ rejectNames: [`${ITEM}-name`], errors: { '500': 0.3 } });
    const products = await accept(`/v1/operations?${query}`, token, productItems(), LINES, 'products');
    const bulk = await accept(
      '/product/bulk',
      token,
      JSON.stringify({ operations: JSON.parse(`[{"type":"delete","id":"${ITEM}"}]`) }),
    );
    const jobs = [];
    for (const vendor of ['sync', 'async']) {
      const payload = { ...urlsEverywhere(), fail: `${ITEM}-fail` };
      jobs.push(
        await accept(
          `/v1/operations?target=${vendor}`,
          token,
          JSON.stringify([payload, { ok: ITEM }, ITEM]),
          undefined,
          `jobs-${vendor}`,
        ),
      );
      const job = { vendor, payload, ...urlsEverywhere() };
      await accept('/jobs', token, JSON.stringify(job));
    }
    const rows = [
      'email,name,age,attributes',
      `${ITEM}@example.com,${ITEM},7,{`,
      `${ITEM},x,${ITEM},`,
      `=cmd|'/c ${ITEM}'!A1,\u0000,,`,
      `"${ITEM}`,
    ];
    const fields = [
      ['actionType', 'BULK_UPDATE'],
      ['entityType', 'Contact'],
      ['webhook', trap.url],
      ['metadata', METADATA],
    ] as const;
    const contacts = withDatabase
      ? await accept(
          '/bulk-actions',
          token,
          formBody({ fields, file: { content: rows.join('\n'), filename: `../${trap.url}.csv` } }),
          FORM_TYPE,
        )
      : null;
    for (const id of [products, bulk, ...jobs, ...(contacts === null ? [] : [contacts])]) await ended(id, token);

    const again = await send('POST', `/v1/operations/${products}/retry?outcomes=failed`, token);
    expect(again.status, again.text).toBe(202);
    await ended(products, token);
    const correction = `{"index":12,"item":{"type":"delete","id":"${ITEM}-corrected"}}\n{"index":0,"item":{"ssn":"${ITEM}`;
    await send('POST', `/v1/operations/${products}/retry`, token, { body: correction, type: LINES });
    await send('POST', `/v1/operations/${products}/retry`, token, { body: `${ITEM},"`, type: 'text/csv' });
    // The answers that its own client asks for do hold the items: what the checks below look for is there.
    expect((await send('GET', `/v1/operations/${products}/dead-letters`, token)).text).toMatch(ANY_ITEM);
  });

  it('goes through everything that is refused', async () => {
    const token = await tokenOf('acme', ['operator']);
    const viewer = await tokenOf('acme', ['viewer']);
    const stranger = await tokenOf('other', ['operator']);
    const forged = await tokenOf('acme', ['admin'], `${canaryOf('JWT_SECRET')}?`);
    const none = `${Buffer.from('{"alg":"none"}').toString('base64url')}.${Buffer.from('{"sub":"x"}').toString('base64url')}.`;
    for (const credential of [
      forged,
      none,
      `trk_${'0'.repeat(20)}_${'A'.repeat(43)}`,
      `${canaryOf('ADMIN_API_KEY')}x`,
      'x'.repeat(3_000),
    ]) {
      tokens.push(credential);
      expect((await send('GET', '/v1/operations', credential)).status).toBe(401);
    }
    const broken = [`{"operations":[{"type":"${ITEM}"`, `[${ITEM}]`, `"${ITEM}"`, `{"${ITEM}": [}`];
    for (const body of broken) await send('POST', '/v1/operations?target=noop', token, { body });
    for (const body of broken) await send('POST', '/product/bulk', token, { body });
    for (const body of [...broken, `{"vendor":"${ITEM}","payload":"${ITEM}"}`, `{"vendor":"sync"} ${ITEM}`])
      await send('POST', '/jobs', token, { body });
    await send('POST', '/v1/operations?target=noop', token, {
      body: Buffer.from(`\x1f\x8b${ITEM}`, 'latin1'),
      headers: { 'content-encoding': 'gzip' },
    });
    await send('POST', '/bulk-actions', token, { body: `--x\r\n${ITEM}`, type: 'multipart/form-data; boundary=x' });
    await send('POST', '/bulk-actions', token, {
      body: formBody({
        fields: [
          ['actionType', 'BULK_UPDATE'],
          ['entityType', 'Contact'],
          ['scheduledAt', ITEM],
        ],
        file: { content: `email\n${ITEM}` },
      }),
      type: FORM_TYPE,
    });
    await send('POST', '/v1/operations?target=noop', viewer, { body: `["${ITEM}"]` });
    await send('POST', '/v1/operations?target=noop', token, { body: `["${ITEM}"]`, type: 'text/html' });
    await send('POST', '/v1/operations?target=noop', token, {
      body: `["${ITEM}-2"]`,
      headers: { 'idempotency-key': 'products' },
    });
    await send('PATCH', '/v1/operations/products', token, { body: `{"priority":"${ITEM}"}` });
    await send('POST', '/v1/operations/products/retry', token, { body: `{"codes":["${ITEM}"]}` });
    for (const path of ['', '/results', '/items/0', '/items/0/input', '/input', '/audit', '/events']) {
      expect((await send('GET', `/v1/operations/products${path}`, stranger)).status).toBe(404);
    }
    for (const secret of ['none', `W10.${'A'.repeat(43)}`, `${ITEM}.${ITEM}`]) {
      const path = `/v1/vendors/async/callbacks/${secret}`;
      expect(
        (await send('POST', path, null, { body: `{"status":"complete","result":"${ITEM}"}`, headers: LINK_HEADERS() }))
          .status,
      ).toBe(404);
    }
    for (const path of ['/', '/v1/../etc', '/v1/operations?limit=x', '/nothing'])
      await send('GET', path, token, { headers: LINK_HEADERS() });
    expect(refusals.length).toBeGreaterThan(35);
  });

  it.skipIf(!withDatabase)('goes through API keys, and a database that dies while contacts are written', async () => {
    const admin = canaryOf('ADMIN_API_KEY');
    const made = await eventually('a key', async () => {
      const body = JSON.stringify({ name: 'import', roles: ['operator'], account: 'acme' });
      const answer = await send('POST', '/v1/api-keys', admin, { body });
      return answer.status === 201 && answer;
    });
    const key = String(made.json['key']);
    tokens.push(key, key.slice(25));
    const rows = Array.from(
      { length: 20_000 },
      (_, n) => `${n}-${ITEM}@example.com,Robert'); DROP TABLE contacts;-- ${ITEM}`,
    );
    const id = await accept(
      '/v1/operations?target=contacts',
      key,
      `email,name\n${rows.join('\n')}\n`,
      'text/csv',
      'contacts',
    );
    await postgres?.kill();
    await send('GET', '/v1/limits', `trk_${'1'.repeat(20)}_${'B'.repeat(43)}`);
    await send('GET', '/health/detailed', admin);
    await send('POST', '/v1/api-keys', admin, { body: `{"name":"x","roles":["viewer"]}` });
    await eventually(
      'a word about it',
      () => processes.some((process) => process.stderr().includes('the database is away')),
      { withinMs: 20_000 },
    );
    await postgres?.start();
    const viewer = await tokenOf('acme', ['viewer']);
    await ended(id, viewer);
    // Each row is where it belongs: what looks like SQL was a name.
    expect((await send('GET', `/v1/operations/${id}`, viewer)).json['counts']).toMatchObject({ succeeded: 20_000 });
  });

  it('goes through an operation that is purged', async () => {
    const token = await tokenOf('acme', ['operator']);
    const id = await accept(
      '/v1/operations?target=noop',
      token,
      `{"a":"${ITEM}-purged"}\n`.repeat(3_000),
      LINES,
      'purged',
    );
    await ended(id, token);
    const kept = () =>
      [...filesUnder(parts.dataDir)].filter((path) => readFileSync(path, 'latin1').includes(`${ITEM}-purged`));
    expect(kept()).not.toEqual([]);
    const purged = await send('DELETE', `/v1/operations/${id}`, token);
    expect([200, 202, 204], purged.text).toContain(purged.status);
    await eventually('the end of its items', () => kept().length === 0);
    expect((await send('GET', `/v1/operations/${id}/input`, token)).status).toBe(410);
  });

  it('goes through an API that reaches neither its Temporal, its database nor its key set', async () => {
    const dead = await findFreePort(HOST);
    const stranger = await startTrap();
    const port = await findFreePort(HOST);
    const api = startMain('api', {
      ...{ PORT: `${port}`, LOG_LEVEL: 'debug', AUTH: '', DATA_DIR: parts.dataDir, MOCK_VENDOR_PORT: `${dead}` },
      ...{ TEMPORAL_ADDRESS: `${HOST}:${stranger.port}`, TEMPORAL_API_KEY: canaryOf('TEMPORAL_API_KEY') },
      ...{
        DATABASE_URL: `postgres://postgres:${canaryOf('DATABASE_URL')}@${HOST}:${dead}/x`,
        JWT_SECRET: canaryOf('JWT_SECRET'),
      },
      ...{ JWT_JWKS_URL: `http://${HOST}:${dead}/keys`, ADMIN_API_KEY: canaryOf('ADMIN_API_KEY') },
    });
    processes.push(api);
    try {
      await api.ready;
      const ask = async (path: string, token: string) => {
        const answer = await fetch(`http://${HOST}:${port}${path}`, { headers: { authorization: `Bearer ${token}` } });
        refusals.push({ what: path, status: answer.status, text: await answer.text() });
        return answer.status;
      };
      const header = Buffer.from('{"alg":"RS256","kid":"a"}').toString('base64url');
      const unknown = `${header}.${Buffer.from('{"sub":"a"}').toString('base64url')}.${'A'.repeat(340)}`;
      tokens.push(unknown);
      expect(await ask('/v1/operations', unknown)).toBe(503);
      expect(await ask('/health/detailed', canaryOf('ADMIN_API_KEY'))).toBe(503);
      expect(await ask('/v1/operations', await tokenOf('acme', ['viewer']))).toBe(503);
      expect(await ask('/v1/limits', `trk_${'1'.repeat(20)}_${'B'.repeat(43)}`)).toBe(503);
      // The key goes to nobody that has not shown a certificate first: what is sent begins a TLS handshake.
      expect(stranger.received.length).toBeGreaterThan(0);
      for (const piece of stranger.received) expect(piece[0]).toBe(0x16);
    } finally {
      await api.stop();
      stranger.close();
    }
  });
});

describe('afterwards', () => {
  const secretsIn = (text: string) => [...SECRETS.map(canaryOf), ...tokens].filter((secret) => text.includes(secret));

  it('no log line holds a secret, a token or an item', () => {
    const log = processes.map((process) => process.stderr()).join('');
    // It is the log: what is looked for below would be here.
    expect(log).toContain('"level":"debug"');
    expect(log).toContain('"an API key was made"');
    expect(secretsIn(log)).toEqual([]);
    for (const line of log.split('\n')) expect(line).not.toMatch(/itmcnry|metcnry|\/callbacks\/[\w-]{10}/);
  });

  it('no error answer holds a secret, a token or an item', () => {
    for (const { what, status, text } of refusals) {
      expect(secretsIn(text), what).toEqual([]);
      expect(text, what).not.toMatch(ANY_ITEM);
      expect(`${what}: ${status}`).not.toMatch(/: 500$/);
    }
  });

  it('no workflow history, memo or search attribute holds a secret, a token, an item or metadata', async () => {
    const connection = await Connection.connect({ address: parts.temporalAddress });
    try {
      const { workflow } = new TemporalClient({ connection });
      let histories = 0;
      for await (const execution of workflow.list()) {
        const history = await workflow.getHandle(execution.workflowId, execution.runId).fetchHistory();
        const text = readable(history) + readable(execution.memo) + readable(execution.searchAttributes);
        histories++;
        expect(secretsIn(text), execution.workflowId).toEqual([]);
        expect(text.match(/itmcnry|metcnry/)?.[0] ?? null, execution.workflowId).toBeNull();
      }
      expect(histories).toBeGreaterThan(6);
    } finally {
      await connection.close();
    }
  });

  it('no blob holds a secret or a token', () => {
    let files = 0;
    for (const path of filesUnder(join(parts.dataDir, 'blobs'))) {
      files++;
      expect(secretsIn(readFileSync(path, 'latin1')), path).toEqual([]);
    }
    expect(files).toBeGreaterThan(10);
  });

  it.skipIf(process.platform !== 'linux')('no command line holds a secret', () => {
    for (const { pid, isRunning } of processes.filter((each) => each.isRunning())) {
      expect(isRunning()).toBe(true);
      expect(secretsIn(readFileSync(`/proc/${pid}/cmdline`, 'latin1'))).toEqual([]);
    }
  });

  it('no process has connected to an address that a client named', () => {
    const known = [
      parts.url,
      parts.vendor.url,
      `http://${parts.temporalAddress}`,
      ...(postgres === null ? [] : [postgres.url]),
    ];
    const hosts = known.map((url) => new URL(url).host);
    const seen = new Set(
      readFileSync(connectionsFile, 'utf8')
        .split('\n')
        .filter((line) => line !== ''),
    );
    expect([...seen]).toContain(new URL(parts.vendor.url).host);
    expect([...seen].filter((each) => !hosts.includes(each))).toEqual([]);
    expect(trap.connections()).toBe(0);
  });
});

/** Payloads as text: they are bytes in a history. */
function readable(value: unknown): string {
  return JSON.stringify(value, (_, member: unknown) => {
    if (member instanceof Uint8Array) return Buffer.from(member).toString('utf8');
    const bytes =
      typeof member === 'object' && member !== null && 'type' in member && member.type === 'Buffer' && 'data' in member;
    return bytes ? Buffer.from(member.data as number[]).toString('utf8') : member;
  });
}

function* filesUnder(folder: string): Generator<string> {
  for (const name of readdirSync(folder)) {
    const path = join(folder, name);
    if (statSync(path).isDirectory()) yield* filesUnder(path);
    else yield path;
  }
}
