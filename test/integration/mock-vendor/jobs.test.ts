/** The mock vendor's jobs: answered, called back in every bad way, asked for; each vendor with a world of its own. */
import { createServer, type Server } from 'node:http';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { CallbackCounts } from '../../../src/mock-vendor/callback-sender.ts';
import { type MockVendor, startMockVendor } from '../../../src/mock-vendor/server.ts';

interface Received {
  readonly token: string;
  readonly body: string;
}

let vendor: MockVendor;
let client: Server;
let clientUrl: string;
let received: Received[];
let statuses: number[];

beforeEach(async () => {
  received = [];
  statuses = [];
  client = createServer((request, response) => {
    let body = '';
    request.on('data', (part) => {
      body += part;
    });
    request.on('end', () => {
      received.push({ token: request.url?.split('/').at(-1) ?? '', body });
      response.writeHead(statuses.shift() ?? 204).end();
    });
  });
  await new Promise<void>((resolve) => client.listen(0, '127.0.0.1', resolve));
  const address = client.address();
  clientUrl = `http://127.0.0.1:${typeof address === 'object' ? address?.port : 0}/callbacks`;
  vendor = await startMockVendor({ host: '127.0.0.1', port: 0 });
});
afterEach(async () => {
  await vendor.close();
  await new Promise((resolve) => client.close(resolve));
});

async function post(path: string, body: unknown, key: string | null = null) {
  const answer = await fetch(`${vendor.url}${path}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...(key === null ? {} : { 'idempotency-key': key }) },
    body: typeof body === 'string' ? body : JSON.stringify(body),
  });
  return { status: answer.status, body: await answer.text() };
}

const configure = (name: 'sync' | 'async', change: object) => post(`/${name}/control`, change);
const submit = (name: string, key = name, payload: unknown = { name }) =>
  post('/async/jobs', { payload, callbackUrl: `${clientUrl}/claim${name}.mac${name}` }, key);

async function callbacks(): Promise<CallbackCounts> {
  const answer = await (await fetch(`${vendor.url}/async/callbacks`)).text();
  return JSON.parse(answer) as CallbackCounts;
}

async function jobOf(id: string): Promise<unknown> {
  return await (await fetch(`${vendor.url}/async/jobs/${id}`)).json();
}

test('sync: a job is answered with its result, digit for digit, and repeated under its key', async () => {
  const first = await post('/sync/jobs', '{"payload":12345678901234567890.10}', 'k');
  expect(first).toEqual({ status: 200, body: '{"result":{"jobId":"sync_1","payload":12345678901234567890.10}}' });
  expect(await post('/sync/jobs', '{"payload":12345678901234567890.10}', 'k')).toEqual(first);
  expect((await post('/sync/jobs', '{"payload":2}', 'k')).status).toBe(422);
  expect((await post('/sync/jobs', '{"payload":{"fail":"no_stock"}}', 'f')).body).toContain('no_stock');
  for (const bad of ['', '[]', '{}', '{']) expect((await post('/sync/jobs', bad)).status).toBe(400);
});

test('async: a callback without delay comes before the answer', async () => {
  await configure('async', { callbackDelayMs: 0 });
  const answer = await submit('1');
  expect(answer).toEqual({ status: 202, body: '{"id":"job_1","status":"processing"}' });
  expect(received).toEqual([
    {
      token: 'claim1.mac1',
      body: '{"id":"job_1","status":"complete","result":{"jobId":"job_1","payload":{"name":"1"}}}',
    },
  ]);
  expect(await jobOf('job_1')).toMatchObject({ status: 'complete' });
});

test('async: a repeated submission is the same job, called back once', async () => {
  await configure('async', { callbackDelayMs: 1_000 });
  expect(await submit('1')).toEqual(await submit('1'));
  expect(await jobOf('job_1')).toEqual({ id: 'job_1', status: 'processing' });
  await expect.poll(callbacks, { timeout: 5_000 }).toMatchObject({ pending: 0, sent: 1, taken: 1 });
});

test('async: a callback that is not taken is sent again, one that is refused is not', async () => {
  statuses = [500, 503, 204, 404];
  await configure('async', { callbackDelayMs: 1 });
  await submit('1');
  await expect.poll(callbacks).toMatchObject({ pending: 0, sent: 3, taken: 1 });
  await submit('2');
  await expect.poll(callbacks).toMatchObject({ pending: 0, sent: 4, taken: 1, refused: 1 });
});

test('async: callbacks are doubled, forged, failed, lost and left out at the rates asked for', async () => {
  await configure('async', { callbackDelayMs: 1, callbackDoubledRate: 1, callbackForgedRate: 1, jobFailRate: 1 });
  await submit('1');
  await expect.poll(callbacks, { timeout: 5_000 }).toMatchObject({ pending: 0, sent: 3, taken: 2 });
  expect(received.filter(({ token }) => token === 'claim1.mac1')).toHaveLength(2);
  expect(received.filter(({ body }) => body.includes('forged')).map(({ token }) => token)).not.toContain('claim1.mac1');
  expect(await jobOf('job_1')).toMatchObject({ status: 'failed', error: { code: 'unlucky' } });
  await configure('async', { callbackDoubledRate: 0, callbackForgedRate: 0, jobFailRate: 0, callbackMissingRate: 1 });
  await submit('2');
  await expect.poll(() => jobOf('job_2')).toMatchObject({ status: 'complete' });
  await configure('async', { callbackMissingRate: 0, jobLostRate: 1 });
  await submit('3');
  expect(await jobOf('job_3')).toEqual({ id: 'job_3', status: 'processing' });
  expect(await callbacks()).toMatchObject({ pending: 0, sent: 3 });
});

test('async: shuffled callbacks all come, in another order', async () => {
  await configure('async', { callbackDelayMs: 50, callbackJitterMs: 1, callbacksShuffled: true });
  const names = Array.from({ length: 300 }, (_, i) => `${i}`);
  await Promise.all(names.map((name) => submit(name)));
  await expect.poll(() => received.length, { timeout: 10_000 }).toBe(300);
  const order = received.map(({ token }) => Number(token.split('.mac')[1]));
  expect([...order].sort((a, b) => a - b)).toEqual(names.map(Number));
  expect(order).not.toEqual(names.map(Number));
});

test('each vendor has its own limit, settings and ledger', async () => {
  await configure('async', { callsPerSecond: 1, callbackDelayMs: 1 });
  await configure('sync', { down: true });
  expect((await submit('1')).status).toBe(202);
  expect((await submit('2')).status).toBe(429);
  expect((await post('/sync/jobs', { payload: 1 })).status).toBe(503);
  expect((await post('/products', { name: 'x' })).status).toBe(201);
  const rows = async (prefix: string) => {
    const text = await (await fetch(`${vendor.url}${prefix}/ledger`)).text();
    return text
      .split('\n')
      .filter(Boolean)
      .map((row): { path: string; status: number; applied: boolean } => JSON.parse(row));
  };
  expect(await rows('/async')).toMatchObject([
    { path: '/async/jobs', status: 202, applied: true },
    { path: '/async/jobs', status: 429, applied: false },
  ]);
  expect(await rows('/sync')).toMatchObject([{ status: 503 }]);
  expect(await rows('')).toMatchObject([{ path: '/products', status: 201 }]);
});
