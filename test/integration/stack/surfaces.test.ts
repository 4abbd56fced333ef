/** Every surface on the running server, field by field: requests as clients send them, answers as they are promised. */
import { randomUUID } from 'node:crypto';
import { createInterface } from 'node:readline';
import { Readable } from 'node:stream';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { OperationView } from '../../../src/operations/operations.ts';
import { blobsBeyond, blobsOf } from '../../fixtures/stack/blobs.ts';
import { eventually } from '../../fixtures/stack/eventually.ts';
import { type Fields, FORM_TYPE, type Form, formBody } from '../../fixtures/stack/form.ts';
import { productLines } from '../../fixtures/stack/items.ts';
import { type Stack, startStack } from '../../fixtures/stack/stack.ts';

const JSON_TYPE = 'application/json';
const TIME = expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
const ULID = expect.stringMatching(/^[0-9A-Z]{26}$/);
const UUID = expect.stringMatching(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/);
const TRACE = '0af7651916cd43dd8448eb211c80319c';

let stack: Stack;

beforeAll(async () => {
  stack = await startStack({ MAX_CSV_ROWS: '5000', MAX_FILE_SIZE_MB: '1', CHUNK_SIZE: '1000' });
});
afterAll(() => stack?.stop());
beforeEach(() => stack.vendor.reset());

interface Answered {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  /** Parsed where it is JSON. */
  readonly body: unknown;
}

async function call(method: string, path: string, init: RequestInit = {}): Promise<Answered> {
  const answer = await fetch(`${stack.url}${path}`, { method, ...init });
  const text = await answer.text();
  const json = /\bjson\b/.test(answer.headers.get('content-type') ?? '') && text !== '' && !text.includes('}\n{');
  return { status: answer.status, headers: answer.headers, text, body: json ? JSON.parse(text) : null };
}

const get = (path: string, headers: Record<string, string> = {}) => call('GET', path, { headers });
const post = (path: string, body: string | Buffer, headers: Record<string, string>) =>
  call('POST', path, { body: typeof body === 'string' ? body : new Uint8Array(body), headers });

describe('§1 the native surface', () => {
  const items = [
    { type: 'update', id: 123, product: { name: 'bad' } },
    { type: 'create', product: { name: 'A', price: 10 } },
    { type: 'delete', id: 456 },
  ];
  const submit = (over: { key?: string; query?: string; body?: string; headers?: Record<string, string> } = {}) =>
    post(`/v1/operations?target=products${over.query ?? ''}`, over.body ?? JSON.stringify(items), {
      'content-type': JSON_TYPE,
      ...(over.key === undefined ? {} : { 'idempotency-key': over.key }),
      ...over.headers,
    });
  const zero = { pending: 0, running: 0, succeeded: 0, failed: 0, skipped: 0, cancelled: 0, unknown: 0 };

  it('answers 202 with the operation, whole, and the same operation to the same request', async () => {
    const key = randomUUID();
    const query = `&metadata=${encodeURIComponent('{"campaign":"x"}')}&priority=2`;
    const traceparent = `00-${TRACE}-00f067aa0ba902b7-01`;
    const accepted = await submit({ key, query, headers: { traceparent } });
    expect(accepted.status).toBe(202);
    expect(accepted.headers.get('location')).toBe(`${stack.url}/v1/operations/${key}`);
    expect(accepted.headers.get('retry-after')).toBe('1');
    expect(accepted.body).toEqual({
      ...{ id: key, target: 'products', account: 'default', state: 'queued', outcome: null, run: 1, revision: 0 },
      counts: { ...zero, total: 3, pending: 3 },
      progress: { percent: 0, itemsPerSecond: null, etaSeconds: null },
      ...{ throttle: null, policy: null, deadline: null, halt: null },
      input: {
        mediaType: JSON_TYPE,
        bytes: JSON.stringify(items).length,
        sha256: expect.stringMatching(/^[0-9a-f]{64}$/),
      },
      metadata: { campaign: 'x' },
      priority: 2,
      ...{ createdAt: TIME, scheduledAt: null, startedAt: null, endedAt: null, expiresAt: TIME, asOf: TIME },
      live: expect.any(Boolean),
      traceId: TRACE,
      links: {
        self: `/v1/operations/${key}`,
        results: `/v1/operations/${key}/results`,
        events: `/v1/operations/${key}/events`,
        errors: `/v1/operations/${key}/errors`,
        input: `/v1/operations/${key}/input`,
      },
    });
    const again = await submit({ key, query });
    expect(again).toMatchObject({ status: 202, body: { id: key } });
    expect(again.headers.get('idempotent-replayed')).toBe('true');
    expect(await submit({ key })).toMatchObject({ status: 422, body: { code: 'idempotency_key_reused' } });
  });

  it('gives results as NDJSON, JSON and CSV, failures by code, single items, and the input', async () => {
    await stack.vendor.configure({ rejectNames: ['bad'] });
    const id = randomUUID();
    await submit({ key: id });
    const ended = await stack.client.ended(id);
    expect(ended).toMatchObject({
      outcome: 'partially_succeeded',
      counts: { ...zero, total: 3, succeeded: 2, failed: 1 },
    });
    expect(ended).toMatchObject({ startedAt: TIME, endedAt: TIME, progress: { percent: 100, etaSeconds: 0 } });

    const results = await get(`/v1/operations/${id}/results`);
    expect(results.headers.get('content-type')).toBe('application/x-ndjson');
    expect(results.headers.get('results-complete')).toBe('?1');
    const lines = results.text.trimEnd().split('\n');
    expect(lines[0]).toMatch(
      /^\{"index":0,"line":1,"type":"update","id":123,"outcome":"failed","attempts":1,"error":\{/,
    );
    const error = { code: 'vendor_rejected', message: expect.any(String), retryable: false };
    expect(JSON.parse(lines[0] ?? '')).toEqual({
      ...{ index: 0, line: 1, type: 'update', id: 123, outcome: 'failed', attempts: 1 },
      error,
    });
    const parsed = lines.map((line) => JSON.parse(line));
    expect((await get(`/v1/operations/${id}/results?format=json`)).body).toEqual(parsed);
    expect((await get(`/v1/operations/${id}/results?outcome=failed`)).text).toBe(`${lines[0]}\n`);
    const csv = (await get(`/v1/operations/${id}/results?format=csv`)).text.split('\r\n');
    expect(csv[0]).toBe('index,line,type,id,outcome,attempts,code,message,result,details');
    expect(csv[1]).toMatch(/^0,1,update,123,failed,1,vendor_rejected,/);

    const group = { code: 'vendor_rejected', count: 1, sample: expect.any(String), firstIndex: 0, retryable: false };
    expect((await get(`/v1/operations/${id}/errors`)).body).toEqual({ data: [group] });
    expect((await get(`/v1/operations/${id}/items/0`)).body).toEqual({
      ...{ index: 0, line: 1, outcome: 'failed', result: parsed[0], run: 1 },
      lastAttempts: [],
    });
    expect((await get(`/v1/operations/${id}/items/1/input`)).text).toBe(JSON.stringify(items[1]));
    expect((await get(`/v1/operations/${id}/items/3`)).status).toBe(404);
    expect((await get(`/v1/operations/${id}/input`)).text).toBe(
      `${items.map((item) => JSON.stringify(item)).join('\n')}\n`,
    );
    const [dead] = (await get(`/v1/operations/${id}/dead-letters`)).text.split('\n');
    expect(JSON.parse(dead ?? '')).toEqual({ index: 0, line: 1, outcome: 'failed', error, item: items[0] });
  });

  it('answers 304 to who has seen it, waits for news where asked, and lists by cursor', async () => {
    const id = randomUUID();
    await submit({ key: id });
    const waited = await get(`/v1/operations/${id}`, { prefer: 'wait=20' });
    expect(waited.headers.get('preference-applied')).toBe('wait=20');
    expect(waited.body).toMatchObject({ state: 'ended' });
    const etag = waited.headers.get('etag') ?? '';
    expect(etag).toMatch(/^W\/"/);
    expect((await get(`/v1/operations/${id}`, { 'if-none-match': etag })).status).toBe(304);
    const first = await get('/v1/operations?limit=1&target=products');
    const { nextCursor } = first.body as { readonly nextCursor: string };
    expect(first.headers.get('link')).toBe(
      `</v1/operations?limit=1&target=products&cursor=${encodeURIComponent(nextCursor)}>; rel="next"`,
    );
    const second = await get(`/v1/operations?limit=1&target=products&cursor=${nextCursor}`);
    expect((second.body as { readonly data: unknown[] }).data).toHaveLength(1);
  });

  it('pauses, amends, resumes and cancels, and says who did what; calls belong to the request’s trace', async () => {
    await stack.vendor.configure({ latencyMs: 200 });
    const id = randomUUID();
    const traceparent = `00-${TRACE}-00f067aa0ba902b7-01`;
    const body = `[${productLines(500).trimEnd().split('\n').join(',')}]`;
    await submit({ key: id, body, query: '&concurrency=2', headers: { traceparent } });
    await eventually('calls', async () => (await stack.vendor.calls()) > 2);
    const control = (verb: string) => call('POST', `/v1/operations/${id}/${verb}`);
    expect([200, 202]).toContain((await control('pause')).status);
    await eventually('paused', async () => (await stack.client.get(id)).state === 'paused');
    expect(await control('pause')).toMatchObject({ status: 200, body: { state: 'paused' } });
    const amendment = { concurrency: 1, priority: 1, callsPerSecond: 50 };
    const headers = { 'content-type': 'application/merge-patch+json' };
    const amended = await call('PATCH', `/v1/operations/${id}`, { headers, body: JSON.stringify(amendment) });
    expect([200, 202]).toContain(amended.status);
    await eventually('the priority', async () => (await stack.client.get(id)).priority === 1);
    expect([200, 202]).toContain((await control('resume')).status);
    expect([200, 202]).toContain((await control('cancel')).status);
    const ended = await stack.client.ended(id);
    expect(ended.outcome).toBe('cancelled');
    expect(await control('cancel')).toMatchObject({ status: 200 });
    const refused = await control('pause');
    expect(refused).toMatchObject({ status: 409, body: { code: 'illegal_transition', currentState: 'ended' } });

    const { data } = (await get(`/v1/operations/${id}/audit`)).body as { readonly data: { readonly action: string }[] };
    expect(data.map(({ action }) => action)).toEqual(['submitted', 'paused', 'amended', 'resumed', 'cancelled']);
    expect(data[0]).toEqual({
      ...{ at: ended.createdAt, action: 'submitted', by: null, traceId: TRACE },
      detail: { surface: 'v1', target: 'products', items: 500 },
    });
    expect(data[2]).toMatchObject({
      action: 'amended',
      detail: amendment,
      traceId: expect.stringMatching(/^[0-9a-f]{32}$/),
    });
    expect(new Set((await stack.vendor.ledger()).map(({ traceId }) => traceId))).toEqual(new Set([TRACE]));
  });

  it('tells events as they come: history, progress, one end; and nothing more afterwards', async () => {
    await stack.vendor.configure({ latencyMs: 100 });
    const id = randomUUID();
    await submit({ key: id, body: `[${productLines(300).trimEnd().split('\n').join(',')}]`, query: '&concurrency=10' });
    const answer = await fetch(`${stack.url}/v1/operations/${id}/events`, { headers: { accept: 'text/event-stream' } });
    expect(answer.headers.get('content-type')).toBe('text/event-stream; charset=utf-8');
    const seen: { id: string; event: string; data: OperationView }[] = [];
    let text = '';
    const following = (async () => {
      for await (const piece of answer.body ?? []) text += Buffer.from(piece).toString('utf8');
    })();
    await eventually('calls', async () => (await stack.vendor.calls()) > 2);
    await call('POST', `/v1/operations/${id}/pause`);
    // By the stream itself: it tells of four moments a second, and a shorter one may fall between them.
    await eventually('paused', async () => text.includes('"state":"paused"'));
    await call('POST', `/v1/operations/${id}/resume`);
    await following;
    for (const block of text.split('\n\n')) {
      const fields = new Map(
        block.split('\n').map((line) => [line.split(': ', 1)[0] ?? '', line.slice(line.indexOf(': ') + 2)]),
      );
      const data = fields.get('data');
      if (data !== undefined)
        seen.push({ id: fields.get('id') ?? '', event: fields.get('event') ?? '', data: JSON.parse(data) });
    }
    expect(seen[0]).toMatchObject({ id: '0.1', event: 'operation.submitted', data: { action: 'submitted' } });
    expect(seen.slice(1, -1).every(({ event }) => event === 'operation.progress')).toBe(true);
    expect(seen.map(({ data }) => data.state)).toEqual(expect.arrayContaining(['running', 'paused']));
    expect(seen.at(-1)).toMatchObject({ event: 'operation.ended', data: { id, state: 'ended', outcome: 'succeeded' } });
    const order = seen
      .map((event) => event.id.split('.').map(Number))
      .map(([run = 0, revision = 0]) => run * 1e9 + revision);
    expect(order).toEqual([...new Set(order)].sort((a, b) => a - b));
    const last = seen.at(-1)?.id ?? '';
    expect((await get(`/v1/operations/${id}/events`, { 'last-event-id': last })).status).toBe(204);
    const late = await get(`/v1/operations/${id}/events`, { accept: 'application/x-ndjson', 'last-event-id': '1.0' });
    expect(JSON.parse(late.text.trim())).toMatchObject({ id: last, event: 'operation.ended' });
  });

  it('runs only what is chosen again, and once for one fromRun', async () => {
    await stack.vendor.configure({ rejectNames: ['bad'] });
    const id = randomUUID();
    await submit({ key: id });
    await stack.client.ended(id);
    await stack.vendor.configure({ rejectNames: [] });
    const before = await stack.vendor.calls();
    const retry = () =>
      post(`/v1/operations/${id}/retry`, '{"fromRun":1,"outcomes":["failed"]}', { 'content-type': JSON_TYPE });
    const accepted = await retry();
    expect(accepted).toMatchObject({ status: 202, body: { id, run: 2 } });
    expect(accepted.headers.get('location')).toBe(`${stack.url}/v1/operations/${id}`);
    const replayed = await retry();
    expect(replayed).toMatchObject({ status: 200, body: { id, run: 2 } });
    expect(replayed.headers.get('idempotent-replayed')).toBe('true');
    const ended = await eventually('the end of run 2', async () => {
      const view = await stack.client.get(id);
      return view.run === 2 && view.state === 'ended' && view;
    });
    expect(ended).toMatchObject({ outcome: 'succeeded', counts: { ...zero, total: 3, succeeded: 3 } });
    expect(await stack.vendor.calls()).toBe(before + 1);
    const { data } = (await get(`/v1/operations/${id}/audit`)).body as { readonly data: unknown[] };
    expect(data[1]).toMatchObject({ action: 'retried', detail: { run: 2, items: 1 } });
  });

  it('shows what operations can be on', async () => {
    const { data } = (await get('/v1/targets')).body as { readonly data: { readonly name: string }[] };
    expect(data.map(({ name }) => name)).toEqual(expect.arrayContaining(['products', 'contacts', 'sync', 'async']));
    expect(data.find(({ name }) => name === 'contacts')).toEqual({
      ...{ name: 'contacts', entity: 'Contact', guarantee: 'exactly_once', onDoubt: 'resend', vendor: null },
      deduplicates: true,
      schema: expect.objectContaining({ type: 'object' }),
    });
  });

  it.each([
    ['GET', '/v1/operations/nope', 404, 'not_found'],
    ['PUT', '/v1/operations', 405, 'method_not_allowed'],
    ['GET', '/v1/operations?limit=0', 400, 'malformed_request'],
    ['POST', '/v1/operations?target=nope', 422, 'unknown_target'],
    ['POST', '/v1/operations?target=noop&scheduledAt=2001-01-01T00:00:00Z', 422, 'invalid_policy'],
    ['POST', '/v1/operations?target=noop', 415, 'unsupported_media_type'],
    ['GET', '/nowhere', 404, 'not_found'],
  ])('answers %s %s with the problem %i %s', async (method, path, status, code) => {
    const answer = await call(method, path);
    expect(answer.headers.get('content-type')).toBe('application/problem+json');
    expect(answer.body).toMatchObject({ type: expect.any(String), title: expect.any(String), status, code });
    expect(answer.body).toMatchObject({ detail: expect.any(String), requestId: answer.headers.get('x-request-id') });
    if (status === 405) expect(answer.headers.get('allow')).toBe('GET, HEAD, POST');
  });

  it.each(['', 'a b', '"a","b"', 'x'.repeat(256)])('refuses the idempotency key %j with 400', async (key) => {
    const answer = await submit({ key });
    expect(answer).toMatchObject({ status: 400, body: { code: 'idempotency_key_invalid' } });
  });

  it('knows nothing of another account’s operation, by any path', async () => {
    const id = randomUUID();
    await submit({ key: id });
    const headers = { 'tranche-account': 'stranger', 'content-type': JSON_TYPE };
    for (const path of [
      '',
      '/results',
      '/errors',
      '/items/0',
      '/items/0/input',
      '/input',
      '/dead-letters',
      '/audit',
      '/events',
    ]) {
      expect([path, (await get(`/v1/operations/${id}${path}`, headers)).status]).toEqual([path, 404]);
    }
    for (const verb of ['pause', 'resume', 'cancel', 'retry']) {
      expect((await post(`/v1/operations/${id}/${verb}`, '{}', headers)).status).toBe(404);
    }
  });
});

describe('§2 /product/bulk', () => {
  it('answers as its clients know it', async () => {
    const body =
      '{"operations":[{"type":"create","product":{"name":"A","price":10}},{"type":"update","id":123,"product":{"price":12}},{"type":"delete","id":456}]}';
    const { status, text } = await post('/product/bulk', body, { 'content-type': JSON_TYPE });
    expect(status).toBe(202);
    const { bulkRequestId } = JSON.parse(text) as { readonly bulkRequestId: string };
    expect(text).toBe(
      `{"bulkRequestId":"${bulkRequestId}","statusUrl":"/product/bulk/status/${bulkRequestId}","message":"Bulk request accepted for processing."}`,
    );
    await stack.client.ended(bulkRequestId);
    const answer = await get(`/product/bulk/status/${bulkRequestId}`);
    expect(answer.body).toMatchObject({ in_progress: 0, completed: 3, failed: 0 });
  });
});

const ROWS = [
  'a@example.com,Ann,30,Oslo',
  'b@example.com,Bob,31,Rome',
  'not-an-address,Cid,32,Bonn',
  ' A@Example.com ,Ann again,33,Oslo',
  'c@example.com,Cid',
  '"d@example.com","Dee\r\nTwo",34,"Par,is"',
  'b@example.com,Bob again,35,Rome',
  'e@example.com,Eve,200,Oslo',
];
const CSV = `\ufeffemail,name,age,city\r\n${ROWS.join('\r\n')}\r\n`;

describe('§3 /bulk-actions', () => {
  const CONTACTS: Fields = [
    ['actionType', 'BULK_UPDATE'],
    ['entityType', 'Contact'],
  ];
  const send = (form: Partial<Form>, headers: Record<string, string> = {}) =>
    post('/bulk-actions', formBody({ fields: CONTACTS, file: { content: CSV }, ...form }), {
      'content-type': FORM_TYPE,
      ...headers,
    });
  const asAction = (answer: Answered) => answer.body as { readonly actionId: string };
  const isAt = async (path: string, status: string) =>
    ((await get(path)).body as { readonly status: string }).status === status;

  async function completed(form: Partial<Form> = {}, status = 'COMPLETED'): Promise<string> {
    const answer = await send(form);
    expect(answer.status).toBe(202);
    const { actionId } = asAction(answer);
    await eventually('the end', () => isAt(`/bulk-actions/${actionId}`, status));
    return actionId;
  }

  const COUNTS = { totalCount: 8, processedCount: 8, successCount: 3, failureCount: 3, skippedCount: 2 };

  it.each([
    ['before the file', { fields: CONTACTS }],
    ['after the file', { fields: [], fieldsAfter: CONTACTS }],
    ['around the file', { fields: CONTACTS.slice(0, 1), fieldsAfter: CONTACTS.slice(1) }],
  ])('takes the fields %s, and answers as its clients know it', async (_name, form) => {
    const answer = await send(form);
    expect(answer.status).toBe(202);
    expect(answer.body).toEqual({
      actionId: ULID,
      status: 'QUEUED',
      message: 'Success! Your bulk action has been queued for processing.',
    });
    const { actionId } = asAction(answer);
    expect(answer.headers.get('location')).toBe(`${stack.url}/bulk-actions/${actionId}`);
    await eventually('the end', () => isAt(`/bulk-actions/${actionId}`, 'COMPLETED'));
    expect((await get(`/bulk-actions/${actionId}`)).body).toEqual({
      ...{ actionId, actionType: 'BULK_UPDATE', entityType: 'Contact', status: 'COMPLETED', ...COUNTS },
      createdAt: TIME,
    });
  });

  it('tells exact stats, in both dialects', async () => {
    const actionId = await completed();
    const stats = { actionId, ...COUNTS, skippedByReason: { DUPLICATE: 2 } };
    expect((await get(`/bulk-actions/${actionId}/stats`)).body).toEqual(stats);
    expect((await get(`/bulk-actions/${actionId}/stat`)).body).toEqual({ ...stats, total: 8, success: 3, failed: 3 });
  });

  it('logs every row with its line, as pages and as CSV', async () => {
    const actionId = await completed();
    const logs = async (query: string) => (await get(`/bulk-actions/${actionId}/logs${query}`)).body;
    const all = (await logs('')) as { readonly data: { readonly line: number; readonly status: string }[] };
    expect(all).toEqual({
      data: [
        { line: 2, entityKey: 'a@example.com', status: 'SUCCESS', reason: null },
        { line: 3, entityKey: 'b@example.com', status: 'SUCCESS', reason: null },
        { line: 4, entityKey: expect.anything(), status: 'FAILED', reason: expect.stringMatching(/email/) },
        { line: 5, entityKey: 'a@example.com', status: 'SKIPPED', reason: 'DUPLICATE' },
        { line: 6, entityKey: null, status: 'FAILED', reason: 'the row has 2 cells, the header 4' },
        { line: 7, entityKey: 'd@example.com', status: 'SUCCESS', reason: null },
        { line: 9, entityKey: 'b@example.com', status: 'SKIPPED', reason: 'DUPLICATE' },
        { line: 10, entityKey: 'e@example.com', status: 'FAILED', reason: expect.stringMatching(/age/) },
      ],
      ...{ total: 8, page: 1, limit: 100, totalPages: 1, complete: true },
    });
    expect(await logs('?status=failed&page=2&limit=2')).toMatchObject({ data: [all.data[7]], total: 3, totalPages: 2 });
    expect(await logs('?entityKey=B@example.com')).toMatchObject({ data: [all.data[1], all.data[6]], total: 2 });
    const csv = await get(`/bulk-actions/${actionId}/logs?format=csv&status=SKIPPED`);
    expect(csv.headers.get('content-disposition')).toBe(`attachment; filename="${actionId}-logs.csv"`);
    expect(csv.text).toBe(
      'line,entityKey,status,reason\r\n5,a@example.com,SKIPPED,DUPLICATE\r\n9,b@example.com,SKIPPED,DUPLICATE\r\n',
    );
    const [, duplicate] = (await get(`/v1/operations/${actionId}/results?outcome=skipped`)).text.split('\n');
    expect(JSON.parse(duplicate ?? '')).toMatchObject({ index: 6, line: 9, reason: 'duplicate', duplicateOf: 1 });
  });

  it('gives the failed rows to be corrected, and takes them back', async () => {
    const actionId = await completed();
    const dead = await get(`/v1/operations/${actionId}/dead-letters?format=csv`);
    const [head = '', ...rows] = dead.text.trimEnd().split('\r\n');
    expect(head).toBe('_index,_line,_outcome,_code,_message,email,name,age,city');
    expect(rows.map((row) => row.split(',').slice(0, 3).join())).toEqual(['2,4,failed', '4,6,failed', '7,10,failed']);
    const corrected = [head, rows[0]?.replace('not-an-address', 'cid@example.com'), rows[2]?.replace(',200,', ',20,')];
    const headers = { 'content-type': 'text/csv' };
    const retried = await post(`/v1/operations/${actionId}/retry?fromRun=1`, corrected.join('\r\n'), headers);
    expect(retried).toMatchObject({ status: 202, body: { run: 2 } });
    const counts = { totalCount: 8, processedCount: 8, successCount: 5, failureCount: 1, skippedCount: 2 };
    await eventually('the end of run 2', async () => {
      expect((await get(`/bulk-actions/${actionId}`)).body).toMatchObject({ status: 'COMPLETED', ...counts });
      return true;
    });
    const [one] = ((await get(`/bulk-actions/${actionId}/logs?entityKey=cid@example.com`)).body as { data: object[] })
      .data;
    expect(one).toEqual({ line: 4, entityKey: 'cid@example.com', status: 'SUCCESS', reason: null });
    expect(
      ((await get('/bulk-actions')).body as { actionId: string }[]).filter((it) => it.actionId === actionId),
    ).toHaveLength(1);
  });

  it('lists the newest first, by page and status, with totals in headers', async () => {
    const account = `list-${randomUUID().slice(0, 8)}`;
    const fields: Fields = [...CONTACTS, ['accountId', account]];
    const ids: string[] = [];
    for (let n = 0; n < 3; n++) ids.unshift(await completed({ fields }));
    const scheduledAt = new Date(Date.now() + 3_600_000).toISOString();
    const later = await send({ fields: [...fields, ['scheduledAt', scheduledAt]] });
    expect(later.body).toEqual({
      actionId: expect.stringMatching(`^${account}~`),
      status: 'SCHEDULED',
      message: `Success! Your bulk action has been scheduled for ${scheduledAt}.`,
    });
    const list = async (query: string) => {
      const answer = await get(`/bulk-actions?accountId=${account}${query}`);
      const actions = answer.body as { readonly actionId: string; readonly status: string }[];
      return { ids: actions.map(({ actionId }) => actionId), headers: answer.headers, actions };
    };
    const scheduled = asAction(later).actionId;
    const whole = await eventually('all four', async () => {
      const found = await list('');
      return found.ids.length === 4 && found.actions[0]?.status === 'SCHEDULED' && found;
    });
    expect(whole.ids).toEqual([scheduled, ...ids]);
    expect(whole.actions[1]).toEqual({
      ...{ actionId: ids[0], actionType: 'BULK_UPDATE', entityType: 'Contact', status: 'COMPLETED', ...COUNTS },
      createdAt: TIME,
    });
    const second = await list('&page=2&limit=3');
    expect(second.ids).toEqual(ids.slice(2));
    expect(second.headers.get('x-total-count')).toBe('4');
    expect(second.headers.get('link')).toContain(`page=1&limit=3>; rel="prev"`);
    expect((await list('&status=scheduled')).ids).toEqual([scheduled]);
    expect((await list('&status=completed&limit=1')).ids).toEqual([ids[0]]);
    expect((await list('&status=FAILED')).ids).toEqual([]);
    const everybody = ((await get('/bulk-actions')).body as { actionId: string }[]).map(({ actionId }) => actionId);
    expect(everybody).toEqual(expect.arrayContaining([scheduled, ...ids]));
    expect(everybody[0]).toBe(scheduled);

    expect(
      await call('POST', `/v1/operations/${scheduled.split('~')[1]}/cancel`, {
        headers: { 'tranche-account': account },
      }),
    ).toMatchObject({ status: expect.any(Number) });
    await eventually('cancelled', () => isAt(`/bulk-actions/${scheduled}`, 'CANCELLED'));
    const stats = { totalCount: 8, processedCount: 8, successCount: 0, failureCount: 0, skippedCount: 8 };
    const cancelled = { actionId: scheduled, ...stats, skippedByReason: { CANCELLED: 8 } };
    expect((await get(`/bulk-actions/${scheduled}/stats`)).body).toEqual(cancelled);
  });

  it('runs at once what was scheduled for the past, and is the same action for the same key', async () => {
    const fields: Fields = [...CONTACTS, ['scheduledAt', '2001-01-01'], ['metadata', 'spring sale']];
    const key = { 'idempotency-key': randomUUID() };
    const first = await send({ fields }, key);
    expect(first.body).toMatchObject({ actionId: key['idempotency-key'], status: 'QUEUED' });
    await eventually('the end', () => isAt(`/bulk-actions/${key['idempotency-key']}`, 'COMPLETED'));
    const again = await send({ fields }, key);
    expect(again).toMatchObject({ status: 202, body: { actionId: key['idempotency-key'], status: 'COMPLETED' } });
    expect(again.headers.get('idempotent-replayed')).toBe('true');
    expect((await get(`/v1/operations/${key['idempotency-key']}`)).body).toMatchObject({
      metadata: { value: 'spring sale' },
    });
    expect((await send({ fields: CONTACTS }, key)).status).toBe(422);
  });

  it.each([
    ['; and quotes', { content: 'email;name\r\n"x;y@example.com";"a"\r\nz@example.com;"b;c"\r\n' }],
    ['tabs', { content: 'email\tname\nx@example.com\ta,b\n' }],
    [
      'CR alone, named as Excel names it',
      { content: 'E-Mail,Name\rx@example.com,a\r', type: 'application/vnd.ms-excel', filename: 'contacts' },
    ],
    ['no type at all', { content: 'email\nx@example.com', type: 'application/octet-stream', filename: 'export' }],
  ])('takes a CSV with %s', async (_name, file) => {
    const actionId = await completed({ file });
    const { data } = (await get(`/bulk-actions/${actionId}/logs?status=SUCCESS`)).body as { readonly data: unknown[] };
    expect(data.length).toBeGreaterThan(0);
  });

  it.each([
    ['no action type', { fields: CONTACTS.slice(1) }, 422, 'invalid_field'],
    [
      'another action type',
      {
        fields: [
          ['actionType', 'BULK_DELETE'],
          ['entityType', 'Contact'],
        ],
      },
      422,
      'invalid_field',
    ],
    [
      'an unknown entity behind the file',
      { fields: CONTACTS.slice(0, 1), fieldsAfter: [['entityType', 'Invoice']] },
      422,
      'unknown_target',
    ],
    ['a time that is none', { fieldsAfter: [['scheduledAt', 'tomorrow']] }, 422, 'invalid_field'],
    ['no file', { file: null }, 400, 'malformed_body'],
    ['an empty file', { file: { content: '' } }, 422, 'no_items'],
    ['only a header', { file: { content: 'email,name\r\n' } }, 422, 'no_items'],
    ['doubled header names', { file: { content: 'email,email\r\na,b\r\n' } }, 422, 'invalid_header'],
    ['UTF-16', { file: { content: Buffer.from('\ufeffemail\r\na@b.cd\r\n', 'utf16le') } }, 422, 'unsupported_charset'],
    ['a picture', { file: { content: 'x', type: 'image/png', filename: 'a.png' } }, 415, 'unsupported_media_type'],
    ['one row too many', { file: { content: `email\n${'a@example.com\n'.repeat(5_001)}` } }, 413, 'content_too_large'],
    ['a file too large', { file: { content: `email\n${'x'.repeat(1024 * 1024)}` } }, 413, 'content_too_large'],
  ] as const)('refuses %s and keeps nothing', async (_name, form, status, code) => {
    const before = await blobsOf(stack.dataDir);
    const answer = await send(form as Partial<Form>);
    expect(answer).toMatchObject({ status, body: { status, code, detail: expect.any(String) } });
    if (status === 413)
      expect(answer.body).toMatchObject({ limit: expect.any(Number), unit: expect.stringMatching(/^(items|bytes)$/) });
    await eventually('nothing kept', async () => (await blobsBeyond(stack.dataDir, before)).length === 0);
  });

  it('refuses a form that is cut off, and one without its boundary', async () => {
    const whole = formBody({ fields: CONTACTS, file: { content: CSV } });
    const cut = await post('/bulk-actions', whole.subarray(0, -40), { 'content-type': FORM_TYPE });
    expect(cut).toMatchObject({ status: 400, body: { code: 'malformed_body', offset: expect.any(Number) } });
    expect((await post('/bulk-actions', whole, { 'content-type': 'multipart/form-data' })).status).toBe(400);
    expect((await post('/bulk-actions', '{}', { 'content-type': JSON_TYPE })).status).toBe(415);
  });

  it('takes as many rows as it may, in chunks of the size that is set', async () => {
    const rows = Array.from({ length: 5_000 }, (_, n) => `user${n}@example.com`).join('\n');
    const actionId = await completed({ file: { content: `email\n${rows}` } });
    expect((await get(`/bulk-actions/${actionId}`)).body).toMatchObject({ totalCount: 5_000, successCount: 5_000 });
    const answer = await fetch(`${stack.url}/bulk-actions/${actionId}/logs?format=csv`);
    let lines = 0;
    for await (const _line of createInterface({ input: Readable.fromWeb(answer.body as never) })) lines++;
    expect(lines).toBe(5_001);
    const last = await get(`/bulk-actions/${actionId}/logs?page=500&limit=10`);
    expect((last.body as { data: { line: number }[] }).data.at(-1)?.line).toBe(5_001);
  });
});

describe('§4 /jobs', () => {
  it.each(['sync', 'async'])('gives a job to the %s vendor, and its result to who asks', async (vendor) => {
    const body = JSON.stringify({ payload: { any: ['JSON', 1] }, vendor });
    const accepted = await post('/jobs', body, { 'content-type': JSON_TYPE });
    expect(accepted.status).toBe(202);
    expect(accepted.body).toEqual({ request_id: UUID });
    const { request_id: id } = accepted.body as { readonly request_id: string };
    const done = await eventually('the result', async () => {
      const { body: job } = await get(`/jobs/${id}`);
      expect(job).toMatchObject({ request_id: id, status: expect.stringMatching(/^(pending|processing|complete)$/) });
      return (job as { readonly status: string }).status === 'complete' && job;
    });
    expect(done).toEqual({ request_id: id, status: 'complete', result: expect.anything() });
  });

  it('maps a client’s key to one job, and knows no other', async () => {
    const headers = { 'content-type': JSON_TYPE, 'idempotency-key': 'not a uuid'.replaceAll(' ', '-') };
    const submit = () => post('/jobs', '{"payload":1,"vendor":"sync"}', headers);
    const [first, second] = [await submit(), await submit()];
    expect(first.body).toEqual({ request_id: UUID });
    expect(second.body).toEqual(first.body);
    expect((await get(`/jobs/${randomUUID()}`)).status).toBe(404);
    expect((await post('/jobs', '{"payload":1,"vendor":"other"}', { 'content-type': JSON_TYPE })).status).toBe(422);
  });
});
