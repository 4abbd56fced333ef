import { describe, expect, it } from 'vitest';
import { appOver, JSON_HEADERS } from './setup.ts';

const submission = { method: 'POST', headers: JSON_HEADERS, body: '[1,2,3]' };

describe('submit', () => {
  it('answers 202 with the operation, where it is and when to ask', async () => {
    const { app, operations } = appOver();
    const answer = await app.request('/v1/operations?target=products&concurrency=4&metadata={"a":1}', {
      ...submission,
      headers: { ...JSON_HEADERS, 'Idempotency-Key': '"k1"', Host: 'bulk.example:8080', 'Content-Encoding': 'gzip' },
    });
    expect(answer.status).toBe(202);
    expect(answer.headers.get('Location')).toBe('http://bulk.example:8080/v1/operations/k1');
    expect(answer.headers.get('Retry-After')).toBe('1');
    expect(answer.headers.get('ETag')).toBe('W/"1.1.running.true"');
    expect(answer.headers.has('Idempotent-Replayed')).toBe(false);
    expect(await answer.json()).toMatchObject({ id: 'k1', metadata: { a: 1 }, links: { self: '/v1/operations/k1' } });
    expect(operations.submissions[0]).toMatchObject({
      account: 'default',
      surface: 'v1',
      target: 'products',
      key: 'k1',
      keylessReplayWindowMs: 0,
      contentType: 'application/json',
      contentEncoding: 'gzip',
      policy: { concurrency: 4 },
    });
  });

  it('leaves the target open where the query names none, for a form field may', async () => {
    const { app, operations } = appOver();
    await app.request('/v1/operations', submission);
    expect(operations.submissions[0]).toMatchObject({ target: null, policy: {}, metadata: {} });
  });

  it('says so when the request was there before', async () => {
    const { app } = appOver();
    const headers = { ...JSON_HEADERS, 'Idempotency-Key': 'k1' };
    await app.request('/v1/operations', { ...submission, headers });
    const again = await app.request('/v1/operations', { ...submission, headers });
    expect(again.status).toBe(202);
    expect(again.headers.get('Idempotent-Replayed')).toBe('true');
  });

  it.each(['evil.example/x', 'a@b', 'a b', '', 'a:123456'])(
    'never puts the crafted host %j into Location',
    async (Host) => {
      const { app } = appOver();
      const answer = await app.request('/v1/operations', { ...submission, headers: { ...JSON_HEADERS, Host } });
      expect(answer.headers.get('Location')).toBe('/v1/operations/op-1');
    },
  );

  it('begins Location with the public URL where one is set', async () => {
    const { app } = appOver({}, { publicUrl: 'https://bulk.example/' });
    const answer = await app.request('/v1/operations', { ...submission, headers: { ...JSON_HEADERS, Host: 'inside' } });
    expect(answer.headers.get('Location')).toBe('https://bulk.example/v1/operations/op-1');
  });

  it.each([
    ['an unknown parameter', '?target=products&prio=1', 400, 'malformed_request', 'prio'],
    ['a parameter given twice', '?priority=1&priority=2', 400, 'malformed_request', 'priority'],
    ['a parameter named like a prototype', '?__proto__=1', 400, 'malformed_request', '__proto__'],
    ['a policy out of bounds', '?priority=9', 422, 'invalid_policy', 'priority'],
    ['a time gone by', '?scheduledAt=1999-01-01T00:00:00Z', 422, 'invalid_policy', 'scheduledAt'],
  ])('refuses %s and names it', async (_what, query, status, code, parameter) => {
    const { app, operations } = appOver();
    const answer = await app.request(`/v1/operations${query}`, submission);
    expect(answer.status).toBe(status);
    expect(await answer.json()).toMatchObject({ code, errors: [{ parameter }] });
    expect(operations.submissions).toHaveLength(0);
  });

  it('refuses a bad idempotency key with 400', async () => {
    const { app, operations } = appOver();
    const headers = { ...JSON_HEADERS, 'Idempotency-Key': 'a, b' };
    const answer = await app.request('/v1/operations', { ...submission, headers });
    expect(answer.status).toBe(400);
    expect(await answer.json()).toMatchObject({ code: 'idempotency_key_invalid' });
    expect(operations.submissions).toHaveLength(0);
  });
});

describe('accounts and traces', () => {
  it('maps the named account, and shows nothing of one to another', async () => {
    const { app, operations } = appOver();
    const named = { 'Tranche-Account': 'Team One' };
    await app.request('/v1/operations', { ...submission, headers: { ...JSON_HEADERS, ...named } });
    expect(operations.submissions[0]?.account).toMatch(/^h-[0-9a-f]{32}$/);
    expect((await app.request('/v1/operations/op-1', { headers: named })).status).toBe(200);
    expect((await app.request('/v1/operations/op-1')).status).toBe(404);
  });

  it('refuses an account name that is too long', async () => {
    const answer = await appOver().app.request('/v1/operations', { headers: { 'Tranche-Account': 'a'.repeat(256) } });
    expect(answer.status).toBe(400);
    expect(answer.headers.get('X-Request-Id')).not.toBeNull();
  });

  it('goes on with the trace of the caller, and begins one where there is none or an invalid one', async () => {
    const { app, operations } = appOver();
    const trace = '4bf92f3577b34da6a3ce929d0e0e4736';
    const parents = [`00-${trace}-00f067aa0ba902b7-01`, `00-${'0'.repeat(32)}-00f067aa0ba902b7-01`, 'nonsense'];
    for (const traceparent of parents) {
      await app.request('/v1/operations', { ...submission, headers: { ...JSON_HEADERS, traceparent } });
    }
    const [first, second, third] = operations.submissions.map(({ traceId }) => traceId);
    expect(first).toBe(trace);
    for (const begun of [second, third]) expect(begun).toMatch(/^(?!0+$)[0-9a-f]{32}$/);
  });

  it('keeps a well-formed request id and replaces any other', async () => {
    const { app } = appOver();
    const idFor = async (id: string) =>
      (await app.request('/health/live', { headers: { 'X-Request-Id': id } })).headers.get('X-Request-Id');
    expect(await idFor('proxy-1')).toBe('proxy-1');
    expect(await idFor('<script>')).toMatch(/^[0-9a-f-]{36}$/);
  });
});

describe('get', () => {
  it('answers 304 to the tag it gave, with Retry-After, and 200 after a change', async () => {
    const { app, operations } = appOver();
    operations.put({ id: 'op' });
    const first = await app.request('/v1/operations/op');
    const tag = first.headers.get('ETag') ?? '';
    const ask = () => app.request('/v1/operations/op', { headers: { 'If-None-Match': `"other", ${tag}` } });
    const unchanged = await ask();
    expect(unchanged.status).toBe(304);
    expect(unchanged.headers.get('ETag')).toBe(tag);
    expect(unchanged.headers.get('Retry-After')).toBe('1');
    expect(await unchanged.text()).toBe('');
    operations.put({ id: 'op', revision: 2 });
    expect((await ask()).status).toBe(200);
    operations.put({ id: 'op', live: false });
    expect((await ask()).status).toBe(200);
  });

  it.each([
    [5, '1'],
    [100, '5'],
    [10_000, '60'],
  ])('says after %i s to ask again in %s s', async (ageSeconds, retryAfter) => {
    const { app, operations } = appOver();
    // One second less: the age is measured after this line.
    operations.put({ id: 'op', createdAt: new Date(Date.now() - (ageSeconds - 1) * 1_000).toISOString() });
    expect((await app.request('/v1/operations/op')).headers.get('Retry-After')).toBe(retryAfter);
  });

  it('has no Retry-After once it has ended', async () => {
    const { app, operations } = appOver();
    operations.put({ id: 'op', state: 'ended', outcome: 'succeeded' });
    expect((await app.request('/v1/operations/op')).headers.has('Retry-After')).toBe(false);
  });

  it('waits for the end where the client has no tag', async () => {
    let reads = 0;
    const source = appOver().operations;
    const get = async () => {
      reads += 1;
      return source.put({ id: 'op', revision: reads, state: reads < 3 ? 'running' : 'ended' });
    };
    const answer = await appOver({ get }).app.request('/v1/operations/op', {
      headers: { Prefer: 'respond-async, wait=30' },
    });
    expect(reads).toBe(3);
    expect(answer.headers.get('Preference-Applied')).toBe('wait=30');
    expect(await answer.json()).toMatchObject({ state: 'ended' });
  });

  it('waits for a change where the client has the tag', async () => {
    let reads = 0;
    const source = appOver().operations;
    const get = async () => source.put({ id: 'op', revision: ++reads < 3 ? 1 : 2 });
    const headers = { Prefer: 'wait=30', 'If-None-Match': 'W/"1.1.running.true"' };
    const answer = await appOver({ get }).app.request('/v1/operations/op', { headers });
    expect(answer.status).toBe(200);
    expect(reads).toBe(3);
  });

  it('answers 304 when the wait is over without news, and cuts a long wait', async () => {
    const { app, operations } = appOver({}, { limits: { waitSecondsMax: 0 } });
    operations.put({ id: 'op' });
    const headers = { Prefer: 'wait=999', 'If-None-Match': 'W/"1.1.running.true"' };
    const answer = await app.request('/v1/operations/op', { headers });
    expect(answer.status).toBe(304);
    expect(answer.headers.get('Preference-Applied')).toBe('wait=0');
  });

  it('answers at once when too many wait, or the server closes', async () => {
    const crowded = appOver({}, { limits: { waitersMax: 0 } });
    const closing = appOver({}, { closing: AbortSignal.abort() });
    for (const { app, operations } of [crowded, closing]) {
      operations.put({ id: 'op' });
      expect((await app.request('/v1/operations/op', { headers: { Prefer: 'wait=60' } })).status).toBe(200);
    }
  });

  it.each(['nope', 'a%2Fb', '-begins-wrong', 'x'.repeat(129), '..%2f..%2fetc', 'a%00'])(
    'answers 404 to the id %s',
    async (id) => {
      const answer = await appOver().app.request(`/v1/operations/${id}`);
      expect(answer.status).toBe(404);
      expect(answer.headers.get('Content-Type')).toBe('application/problem+json');
      expect(await answer.json()).toMatchObject({ code: 'not_found', status: 404, requestId: expect.any(String) });
    },
  );

  it('answers HEAD without a body', async () => {
    const { app, operations } = appOver();
    operations.put({ id: 'op' });
    const answer = await app.request('/v1/operations/op', { method: 'HEAD' });
    expect(answer.status).toBe(200);
    expect(answer.headers.get('ETag')).not.toBeNull();
    expect(await answer.text()).toBe('');
  });
});

describe('list', () => {
  it('gives a page and the way to the next', async () => {
    const { app, operations } = appOver();
    for (const id of ['a', 'b', 'c']) operations.put({ id });
    const answer = await app.request('/v1/operations?limit=2&state=running');
    expect(answer.status).toBe(200);
    expect(await answer.json()).toMatchObject({
      data: [{ id: 'a', links: { self: '/v1/operations/a' } }, { id: 'b' }],
      nextCursor: 'next+page',
    });
    expect(answer.headers.get('Link')).toBe('</v1/operations?limit=2&state=running&cursor=next%2Bpage>; rel="next"');
    expect((await app.request('/v1/operations?limit=3')).headers.has('Link')).toBe(false);
  });

  it('hands every filter to the verb', async () => {
    let asked: unknown;
    const list = async (request: unknown) => {
      asked = request;
      return { data: [], nextCursor: null };
    };
    const query = 'state=ended&outcome=failed&target=products&createdAfter=2026-01-01T00:00:00Z&cursor=c';
    await appOver({ list }).app.request(`/v1/operations?${query}`);
    expect(asked).toEqual({
      account: 'default',
      limit: 50,
      state: 'ended',
      outcome: 'failed',
      target: 'products',
      createdAfter: '2026-01-01T00:00:00Z',
      cursor: 'c',
    });
  });

  it.each(['limit=0', 'limit=1001', 'limit=x', 'limit=', 'state=done', 'outcome=ok', 'createdAfter=today', 'sort=id'])(
    'answers 400 to %s',
    async (query) => {
      const answer = await appOver().app.request(`/v1/operations?${query}`);
      expect(answer.status).toBe(400);
      expect(await answer.json()).toMatchObject({ errors: [{ parameter: query.split('=')[0] }] });
    },
  );
});

describe('control', () => {
  it.each([
    ['pause', 202, 'pausing'],
    ['resume', 200, 'running'],
    ['cancel', 202, 'cancelling'],
  ])('%s answers %i with the operation', async (verb, status, state) => {
    const { app, operations } = appOver();
    operations.put({ id: 'op', state: 'paused' });
    const answer = await app.request(`/v1/operations/op/${verb}`, { method: 'POST' });
    expect(answer.status).toBe(status);
    expect(await answer.json()).toMatchObject({ id: 'op', state });
  });

  it('answers 409 with the current state where it makes no sense', async () => {
    const { app, operations } = appOver();
    operations.put({ id: 'op', state: 'ended', outcome: 'succeeded' });
    const answer = await app.request('/v1/operations/op/pause', { method: 'POST' });
    expect(answer.status).toBe(409);
    expect(await answer.json()).toMatchObject({ code: 'illegal_transition', currentState: 'ended' });
  });

  it('answers 404 to an operation that is not there', async () => {
    expect((await appOver().app.request('/v1/operations/op/cancel', { method: 'POST' })).status).toBe(404);
  });
});

describe('downloads', () => {
  it.each([
    ['ndjson', 'application/x-ndjson', '{"index":0,'],
    ['csv', 'text/csv; charset=utf-8; header=present', 'index,line,type,'],
    ['json', 'application/json', '[{"index":0,'],
  ])('gives results as %s', async (format, mediaType, beginning) => {
    const { app, operations } = appOver();
    operations.put({ id: 'a:b' });
    const answer = await app.request(`/v1/operations/a:b/results?format=${format}`);
    expect(answer.headers.get('Content-Type')).toBe(mediaType);
    expect(answer.headers.get('X-Content-Type-Options')).toBe('nosniff');
    expect(answer.headers.get('Results-Complete')).toBe('?0');
    expect((await answer.text()).startsWith(beginning)).toBe(true);
    const disposition = format === 'csv' ? 'attachment; filename="a_b-results.csv"' : null;
    expect(answer.headers.get('Content-Disposition')).toBe(disposition);
  });

  it('says when the results are complete', async () => {
    const { app, operations } = appOver();
    operations.put({ id: 'op', state: 'ended', outcome: 'succeeded' });
    expect((await app.request('/v1/operations/op/results')).headers.get('Results-Complete')).toBe('?1');
  });

  it('asks the verb for one outcome', async () => {
    const outcomes: unknown[] = [];
    const { operations } = appOver();
    const view = operations.put({ id: 'op' });
    const results = async (request: { outcome?: unknown }) => {
      outcomes.push(request.outcome);
      return { operation: view, complete: true, lines: (async function* () {})() };
    };
    const { app } = appOver({ results });
    expect(await (await app.request('/v1/operations/op/results?outcome=failed')).text()).toBe('');
    await app.request('/v1/operations/op/results');
    expect(outcomes).toEqual(['failed', undefined]);
  });

  it.each(['outcome=pending', 'format=xml', 'escape=spreadsheet', 'escape=none&format=csv', 'page=2'])(
    'answers 400 to results?%s',
    async (query) => {
      const { app, operations } = appOver();
      operations.put({ id: 'op' });
      expect((await app.request(`/v1/operations/op/results?${query}`)).status).toBe(400);
    },
  );

  it('answers a proper problem where the results cannot even begin', async () => {
    const { operations } = appOver();
    const view = operations.put({ id: 'op' });
    const lines: AsyncIterable<Buffer> = {
      [Symbol.asyncIterator]: () => ({ next: () => Promise.reject(new Error('disk gone')) }),
    };
    const { app } = appOver({ results: async () => ({ operation: view, complete: true, lines }) });
    const answer = await app.request('/v1/operations/op/results');
    expect(answer.status).toBe(500);
    expect(await answer.text()).not.toContain('disk gone');
  });

  it('gives failures by code, and the input as it came', async () => {
    const { app, operations } = appOver();
    operations.put({ id: 'op' });
    expect(await (await app.request('/v1/operations/op/errors')).json()).toMatchObject({
      data: [{ code: 'vendor_rejected', count: 2, firstIndex: 1 }],
    });
    const input = await app.request('/v1/operations/op/input');
    expect(input.headers.get('Content-Type')).toBe('application/x-ndjson');
    expect(input.headers.get('Content-Disposition')).toBe('attachment; filename="op-input.ndjson"');
    expect(await input.text()).toContain('"index":0');
  });
});
