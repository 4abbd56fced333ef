import { describe, expect, it } from 'vitest';
import type { DeadLettersRequest, RetryRequest } from '../../../src/operations/operations.ts';
import { viewOf } from '../../fixtures/fake-operations.ts';
import { appOver, JSON_HEADERS } from './setup.ts';

const ENDED = viewOf({ id: 'op', state: 'ended', outcome: 'failed' });

describe('PATCH /v1/operations/{id}', () => {
  function amending(settled: boolean) {
    const asked: unknown[] = [];
    const amend = async (account: string, id: string, amendment: unknown, actor: unknown) => {
      asked.push([account, id, amendment, actor]);
      return { operation: viewOf({ id }), settled };
    };
    const { app } = appOver({ amend });
    const patch = (body: string, type = 'application/json') =>
      app.request('/v1/operations/op', { method: 'PATCH', headers: { 'Content-Type': type }, body });
    return { asked, patch };
  }

  it.each([
    ['application/json', true, 200],
    ['application/merge-patch+json; charset=utf-8', false, 202],
  ])('hands an amendment as %s on; settled %s is %i', async (type, settled, status) => {
    const { asked, patch } = amending(settled);
    const amendment = { concurrency: 2, callsPerSecond: null, priority: 1, scheduledAt: '2030-01-01T00:00:00Z' };
    const answer = await patch(JSON.stringify(amendment), type);
    expect(answer.status).toBe(status);
    expect(await answer.json()).toMatchObject({ id: 'op', links: { self: '/v1/operations/op' } });
    const actor = { subject: null, traceId: expect.stringMatching(/^[0-9a-f]{32}$/) };
    expect(asked).toEqual([['default', 'op', amendment, actor]]);
  });

  it.each([
    ['{}', 422],
    ['{"target":"noop"}', 422],
    ['{"__proto__":1}', 422],
    ['{"concurrency":"2"}', 422],
    ['{"concurrency":null}', 422],
    ['{"priority":true}', 422],
    ['{"scheduledAt":1}', 422],
    ['[1]', 422],
    ['null', 422],
    ['{', 400],
    ['', 400],
    [`{"scheduledAt":"${'x'.repeat(20_000)}"}`, 413],
  ])('refuses %.40s with %i', async (body, status) => {
    const { asked, patch } = amending(true);
    expect((await patch(body)).status).toBe(status);
    expect(asked).toEqual([]);
  });

  it('refuses other media types, and names the members at fault', async () => {
    const { patch } = amending(true);
    expect((await patch('{}', 'text/plain')).status).toBe(415);
    const answer = await patch('{"concurrency":"2","colour":1}');
    const errors = [
      expect.objectContaining({ parameter: 'concurrency' }),
      expect.objectContaining({ parameter: 'colour' }),
    ];
    expect(await answer.json()).toMatchObject({ code: 'invalid_policy', errors });
  });
});

describe('POST /v1/operations/{id}/retry', () => {
  function retrying(replayed = false) {
    const asked: RetryRequest[] = [];
    let corrections = '';
    const retry = async (request: RetryRequest) => {
      asked.push(request);
      for await (const piece of request.corrections?.body ?? []) corrections += String(piece);
      return { operation: { ...ENDED, run: 2, state: 'queued' as const, outcome: null }, replayed };
    };
    const { app } = appOver({ retry });
    const post = (init: RequestInit = {}, query = '') =>
      app.request(`/v1/operations/op/retry${query}`, { method: 'POST', headers: { Host: 'h' }, ...init });
    return { asked, post, corrections: () => corrections };
  }

  it('takes all that may be tried again where nothing is said', async () => {
    const { asked, post } = retrying();
    const answer = await post();
    expect(answer.status).toBe(202);
    expect(answer.headers.get('Location')).toBe('http://h/v1/operations/op');
    expect(await answer.json()).toMatchObject({ id: 'op', run: 2, state: 'queued' });
    const nothing = { fromRun: null, codes: null, indexes: null, corrections: null };
    expect(asked[0]).toMatchObject({ account: 'default', id: 'op', outcomes: [], ...nothing });
  });

  it('takes what the body chooses, and answers a replay with 200', async () => {
    const { asked, post } = retrying(true);
    const chosen = { fromRun: 1, outcomes: ['failed', 'failed'], codes: ['vendor_rejected'], indexes: [0, 7] };
    const answer = await post({ headers: JSON_HEADERS, body: JSON.stringify(chosen) });
    expect(answer.status).toBe(200);
    expect(answer.headers.get('Idempotent-Replayed')).toBe('true');
    expect(asked[0]).toMatchObject({ ...chosen, outcomes: ['failed'] });
  });

  it.each(['application/x-ndjson', 'text/csv; header=present'])('hands corrections as %s on unread', async (type) => {
    const { asked, post, corrections } = retrying();
    const headers = { 'Content-Type': type, 'Content-Encoding': 'gzip' };
    const answer = await post({ headers, body: 'bytes' }, '?fromRun=2&outcomes=failed,unknown&codes=a,b&indexes=1,2');
    expect(answer.status).toBe(202);
    expect(corrections()).toBe('bytes');
    const chosen = { fromRun: 2, outcomes: ['failed', 'unknown'], codes: ['a', 'b'], indexes: [1, 2] };
    expect(asked[0]).toMatchObject({ ...chosen, corrections: { contentType: type, contentEncoding: 'gzip' } });
  });

  it.each([
    '{"fromRun":0}',
    '{"fromRun":"1"}',
    '{"outcomes":[]}',
    '{"outcomes":["succeeded"]}',
    '{"outcomes":"failed"}',
    '{"codes":[1]}',
    '{"indexes":[-1]}',
    '{"indexes":[1.5]}',
    '{"indexes":[1e20]}',
    '{"index":[1]}',
    '[]',
    'null',
    '{',
  ])('answers 400 to %s', async (body) => {
    const { asked, post } = retrying();
    expect((await post({ headers: JSON_HEADERS, body })).status).toBe(400);
    expect(asked).toEqual([]);
  });

  it.each(['?fromRun=x', '?fromRun=', '?indexes=1,,2', '?outcomes=', '?run=1', '?fromRun=1&fromRun=2'])(
    'answers 400 to %s',
    async (query) => {
      expect((await retrying().post({}, query)).status).toBe(400);
    },
  );

  it('answers 415 to what is neither', async () => {
    const { post } = retrying();
    expect((await post({ headers: { 'Content-Type': 'text/html' }, body: 'x' })).status).toBe(415);
    expect((await post({ body: new Uint8Array([1]) })).status).toBe(415);
  });
});

describe('single items', () => {
  const item = async (_account: string, _id: string, index: number) => ({
    ...{ index, line: index + 1, outcome: 'failed' as const, result: { index }, run: 1 },
    lastAttempts: [{ at: '2026-01-01T00:00:00.000Z', code: 'vendor_unavailable' }],
  });
  const itemInput = async () => ({ mediaType: 'application/json', body: Buffer.from('{"price":1e400}') });

  it('are shown with their last attempts, and as they came', async () => {
    const { app } = appOver({ item, itemInput });
    const answer = await app.request('/v1/operations/op/items/7');
    expect(await answer.json()).toEqual(await item('', '', 7));
    const input = await app.request('/v1/operations/op/items/7/input');
    expect(input.headers.get('Content-Type')).toBe('application/json');
    expect(await input.text()).toBe('{"price":1e400}');
  });

  it.each(['-1', '07', '1.5', 'x', '99999999999', '1e3', '%20'])('are not there by the index %s', async (index) => {
    const { app } = appOver({ item, itemInput });
    expect((await app.request(`/v1/operations/op/items/${index}`)).status).toBe(404);
    expect((await app.request(`/v1/operations/op/items/${index}/input`)).status).toBe(404);
  });
});

describe('dead letters', () => {
  function dead() {
    const asked: DeadLettersRequest[] = [];
    async function* body() {
      yield Buffer.from('rows');
    }
    const deadLetters = async (request: DeadLettersRequest) => {
      asked.push(request);
      const mediaType = request.format === 'csv' ? 'text/csv; charset=utf-8' : 'application/x-ndjson';
      return { operation: ENDED, mediaType, body: body() };
    };
    const { app } = appOver({ deadLetters });
    return { asked, get: (query: string) => app.request(`/v1/operations/op/dead-letters${query}`) };
  }

  it.each([
    ['', 'ndjson', ['failed', 'unknown']],
    ['?format=csv', 'csv', ['failed', 'unknown']],
    ['?outcome=cancelled,failed', 'ndjson', ['cancelled', 'failed']],
  ])('%s are %s of %j', async (query, format, outcomes) => {
    const { asked, get } = dead();
    const answer = await get(query);
    expect(await answer.text()).toBe('rows');
    expect(answer.headers.get('Content-Disposition')).toBe(`attachment; filename="op-dead-letters.${format}"`);
    expect(asked).toEqual([{ account: 'default', id: 'op', format, outcomes }]);
  });

  it.each(['?format=json', '?outcome=succeeded', '?outcome=', '?outcomes=failed'])(
    'answer 400 to %s',
    async (query) => {
      expect((await dead().get(query)).status).toBe(400);
    },
  );
});

describe('what else is told', () => {
  it('is the audit trail, and the targets with their schemas', async () => {
    const entry = { at: '2026-01-01T00:00:00.000Z', action: 'submitted', by: null, traceId: 't', detail: {} } as const;
    const target = { name: 'noop', entity: 'noop', guarantee: 'idempotent', onDoubt: 'resend', vendor: null } as const;
    const view = { ...target, deduplicates: false, schema: { type: 'object' } };
    const { app } = appOver({ audit: async () => [entry], targets: () => [view] });
    expect(await (await app.request('/v1/operations/op/audit')).json()).toEqual({ data: [entry] });
    expect(await (await app.request('/v1/targets')).json()).toEqual({ data: [view] });
  });
});
