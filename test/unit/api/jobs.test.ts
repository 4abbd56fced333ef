import { expect, test } from 'vitest';
import { readJobRequest } from '../../../src/api/jobs/job-request.ts';
import { uuidOf } from '../../../src/api/jobs/jobs.ts';
import { TrancheError } from '../../../src/model/errors.ts';
import type { JobView } from '../../../src/operations/operations.ts';
import { viewOf } from '../../fixtures/fake-operations.ts';
import { appOver, JSON_HEADERS } from './setup.ts';

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[48][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

test.each([
  ['{"payload":12345678901234567890.10,"vendor":"sync"}', '12345678901234567890.10'],
  ['{"vendor":"sync","payload":{"a":[1,{"b":"}]\\"\\\\"}]} }', '{"a":[1,{"b":"}]\\"\\\\"}]}'],
  ['\ufeff { "payload" :\n\tnull\r\n, "vendor": "sync" }', 'null'],
  ['{"payload":1,"vendor":"sync","payload":"\\u0041 \\" , }"}', '"\\u0041 \\" , }"'],
  ['{"\\u0070ayload":-0,"vendor":"sync","x":{"payload":2}}', '-0'],
  ['{"payload":[],"vendor":"sync"}', '[]'],
  ['{"payload":"","vendor":"sync"}', '""'],
  ['{"payload":7,"vendor":"\\u0073ync"}', '7'],
  ['{"payload":true,"vendor":"sync","more":[1,2,{"vendor":"x"}]}', 'true'],
])('the payload of %s is taken as it came', (body, payload) => {
  expect(readJobRequest(Buffer.from(body))).toEqual({ vendor: 'sync', payload });
});

test('any JSON value survives, whatever stands around it', () => {
  const values = [
    '{}',
    '[[[]]]',
    '"{\\"a\\":1}"',
    '1e400',
    '{"a":{"b":[{"c":"]"}]}}',
    '"\\\\"',
    '"\\\\\\""',
    '[",",":"]',
  ];
  for (const value of values) {
    for (const body of [
      `{"payload":${value},"vendor":"async"}`,
      `{"a":[${value}],"vendor":"async" , "payload" : ${value} }`,
    ]) {
      expect(readJobRequest(Buffer.from(body))).toEqual({ vendor: 'async', payload: value });
    }
  }
});

test.each([
  ['', 400, /line 1, column 1/],
  ['{"payload":1,\n"vendor"}', 400, /line 2, column 9/],
  ['[]', 400, /one JSON object/],
  ['null', 400, /one JSON object/],
  ['"x"', 400, /one JSON object/],
  ['{"vendor":"sync"}', 422, /payload is required/],
  ['{"payload":1}', 422, /vendor must be one of/],
  ['{"payload":1,"vendor":"Sync"}', 422, /vendor must be one of/],
  ['{"payload":1,"vendor":{"sync":1}}', 422, /vendor must be one of/],
  ['{"payload":1,"vendor":["sync"]}', 422, /vendor must be one of/],
])('%s is refused with %i, saying where and what', async (body, status, detail) => {
  const { app, operations } = appOver();
  const answer = await app.request('/jobs', { method: 'POST', headers: JSON_HEADERS, body });
  expect(answer.status).toBe(status);
  expect(await answer.json()).toMatchObject({ detail: expect.stringMatching(detail) });
  expect(operations.submissions).toEqual([]);
});

test('bytes that are no UTF-8, and bodies over a MiB, are refused', async () => {
  const { app } = appOver();
  const post = (body: Uint8Array<ArrayBuffer> | string) =>
    app.request('/jobs', { method: 'POST', headers: JSON_HEADERS, body });
  expect((await post(Uint8Array.from([...Buffer.from('{"payload":"'), 0xff, 0x22, 0x7d]))).status).toBe(400);
  const large = await post(`{"vendor":"sync","payload":"${'x'.repeat(1024 * 1024 + 8_000)}"}`);
  expect(large.status).toBe(413);
  expect(await large.json()).toMatchObject({ unit: 'bytes' });
});

/** What the surface answers to a POST. */
function uuidIn(answer: unknown): string {
  return (answer as { request_id: string }).request_id;
}

test('a job is accepted under a UUID, which its client key always leads to', async () => {
  const { app, operations } = appOver();
  const post = (headers: Record<string, string>) =>
    app.request('/jobs', {
      method: 'POST',
      headers: { ...JSON_HEADERS, ...headers },
      body: '{"payload":{"a":1.0},"vendor":"async"}',
    });
  const plain = await post({});
  expect(plain.status).toBe(202);
  const requestId = uuidIn(await plain.json());
  expect(requestId).toMatch(UUID);
  expect(plain.headers.get('Location')).toMatch(new RegExp(`/jobs/${requestId}$`));
  expect(plain.headers.get('Retry-After')).toBe('1');
  const keyed = await (await post({ 'Idempotency-Key': 'k' })).json();
  expect(keyed).toEqual({ request_id: uuidOf('default', 'k') });
  expect(await (await post({ 'Idempotency-Key': '"k"' })).json()).toEqual(keyed);
  expect(operations.submissions.map(({ surface, target, id }) => ({ surface, target, id }))).toContainEqual({
    surface: 'jobs',
    target: 'async',
    id: uuidIn(keyed),
  });
});

test('a key names another job in another account', () => {
  expect(uuidOf('a', 'k')).toMatch(UUID);
  expect(uuidOf('a', 'k')).not.toBe(uuidOf('b', 'k'));
  expect(uuidOf('a', 'bk')).not.toBe(uuidOf('ab', 'k'));
});

const ID = uuidOf('default', 'k');

test.each<[Partial<JobView>, object]>([
  [{ status: 'pending' }, { request_id: ID, status: 'pending' }],
  [{ status: 'processing' }, { request_id: ID, status: 'processing' }],
  [
    { status: 'complete', result: { ok: 1 } },
    { request_id: ID, status: 'complete', result: { ok: 1 } },
  ],
  [
    { status: 'failed', error: { code: 'vendor_rejected', message: 'no', retryable: false } },
    { request_id: ID, status: 'failed', error: { code: 'vendor_rejected', message: 'no' } },
  ],
])('%o is shown as %o', async (job, shown) => {
  const view = viewOf({ id: ID });
  const whole: JobView = { operation: view, status: 'pending', result: undefined, error: null, ...job };
  const { app } = appOver({ job: async () => whole });
  const answer = await app.request(`/jobs/${ID.toUpperCase()}`);
  expect(answer.status).toBe(200);
  expect(await answer.json()).toEqual(shown);
});

test('what is no UUID of this surface is not found', async () => {
  const { app } = appOver({
    job: () => Promise.reject(new TrancheError('not_found', 'There is no such job.')),
  });
  for (const id of ['x', 'op-1', '..', ID]) expect((await app.request(`/jobs/${id}`)).status).toBe(404);
});

test('a callback asks for no sign-in, gets 204 whether it was the first or not, and 64 KiB at most', async () => {
  const bodies: string[] = [];
  const { app } = appOver({
    async takeCallback(vendor, token, body) {
      bodies.push(`${vendor} ${token} ${body}`);
      return bodies.length === 1 ? 'taken' : 'ignored';
    },
  });
  const post = (body: string) => app.request('/v1/vendors/async/callbacks/claim.mac', { method: 'POST', body });
  const first = await post('{"status":"complete"}');
  expect(first.status).toBe(204);
  expect((await post('{}')).status).toBe(204);
  expect(bodies).toEqual(['async claim.mac {"status":"complete"}', 'async claim.mac {}']);
  expect((await post('x'.repeat(64 * 1024 + 1))).status).toBe(413);
  expect(bodies).toHaveLength(2);
  expect((await app.request('/v1/vendors/async/callbacks/claim.mac')).status).toBe(405);
});
