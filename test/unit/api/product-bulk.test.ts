import { describe, expect, it } from 'vitest';
import { appOver, JSON_HEADERS } from './setup.ts';

const body = '{"operations":[{"type":"delete","id":456}]}';

describe('POST /product/bulk', () => {
  it('answers exactly what its clients know', async () => {
    const { app, operations } = appOver();
    const headers = { 'Content-Type': 'Application/JSON; charset=utf-8', Host: 'localhost:1' };
    const answer = await app.request('/product/bulk', { method: 'POST', headers, body });
    expect(answer.status).toBe(202);
    expect(await answer.text()).toBe(
      '{"bulkRequestId":"op-1","statusUrl":"/product/bulk/status/op-1","message":"Bulk request accepted for processing."}',
    );
    expect(answer.headers.get('Location')).toBe('http://localhost:1/product/bulk/status/op-1');
    expect(answer.headers.get('Retry-After')).toBe('1');
    expect(operations.submissions[0]).toMatchObject({
      surface: 'product-bulk',
      target: 'products',
      key: null,
      keylessReplayWindowMs: 600_000,
    });
  });

  it('honours an idempotency key', async () => {
    const { app } = appOver();
    const post = () =>
      app.request('/product/bulk', { method: 'POST', headers: { ...JSON_HEADERS, 'Idempotency-Key': 'k' }, body });
    expect((await post()).headers.has('Idempotent-Replayed')).toBe(false);
    const again = await post();
    expect(again.headers.get('Idempotent-Replayed')).toBe('true');
    expect(await again.json()).toMatchObject({ bulkRequestId: 'k' });
  });

  it.each(['text/csv', 'application/jsonl', ''])('answers 415 to %j and says what it takes', async (mediaType) => {
    const { app, operations } = appOver();
    const answer = await app.request('/product/bulk', { method: 'POST', headers: { 'Content-Type': mediaType }, body });
    expect(answer.status).toBe(415);
    expect(answer.headers.get('Accept-Post')).toBe('application/json');
    expect(operations.submissions).toHaveLength(0);
  });
});

describe('GET /product/bulk/status', () => {
  it('shows three numbers first, which add up to the total', async () => {
    const { app, operations } = appOver();
    const counts = { total: 28, pending: 1, running: 2, succeeded: 3, failed: 4, skipped: 5, cancelled: 6, unknown: 7 };
    operations.put({ id: 'op', counts });
    const answer = await app.request('/product/bulk/status/op');
    expect(answer.status).toBe(200);
    expect((await answer.text()).startsWith('{"in_progress":3,"completed":8,"failed":17,"total":28,')).toBe(true);
    const tag = answer.headers.get('ETag') ?? '';
    expect((await app.request('/product/bulk/status/op', { headers: { 'If-None-Match': tag } })).status).toBe(304);
  });

  it.each(['nope', 'a%2Fb', 'contacts-operation'])('answers 404 to %s', async (id) => {
    const { app, operations } = appOver();
    operations.put({ id: 'contacts-operation', target: 'contacts' });
    expect((await app.request(`/product/bulk/status/${id}`)).status).toBe(404);
  });
});
