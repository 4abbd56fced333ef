/** One request from end to end: its answers field by field, its key for ever, its account's alone, and still there after a restart. */
import { randomUUID } from 'node:crypto';
import { Connection, Client as TemporalClient } from '@temporalio/client';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { asOperation } from '../../fixtures/stack/client.ts';
import { eventually } from '../../fixtures/stack/eventually.ts';
import { productLines } from '../../fixtures/stack/items.ts';
import { type Started, startMain } from '../../fixtures/stack/processes.ts';
import { type Stack, startStack } from '../../fixtures/stack/stack.ts';
import { effectsOf } from '../../fixtures/stack/vendor.ts';

const BULK = JSON.stringify({
  operations: [
    { type: 'create', product: { name: 'A', price: 10 } },
    { type: 'update', id: 123, product: { price: 12 } },
    { type: 'delete', id: 456 },
  ],
});

/** Its workflow is deleted at the beginning and looked for at the end: the server takes half a minute. */
const forgotten = randomUUID();
const FORGOTTEN_BODY = productLines(20);
let vendorProcess: Started;
let stack: Stack;

beforeAll(async () => {
  // A process of its own: its ledger outlives the restarts of the stack.
  vendorProcess = startMain('mock-vendor', { MOCK_VENDOR_PORT: '0' });
  stack = await startStack({ MOCK_VENDOR: 'off', PRODUCTS_VENDOR_URL: await vendorProcess.ready });
  await stack.client.accept({ body: FORGOTTEN_BODY, key: forgotten });
  await stack.client.ended(forgotten);
  await deleteWorkflow(`default/${forgotten}`);
});
afterAll(async () => {
  await stack?.stop();
  await vendorProcess?.stop();
});
beforeEach(() => stack.vendor.reset());

function submitBulk(key: string | null): Promise<Response> {
  const headers = { 'content-type': 'application/json', ...(key === null ? {} : { 'idempotency-key': key }) };
  return fetch(`${stack.url}/product/bulk`, { method: 'POST', headers, body: BULK });
}

async function bulkStatus(id: string): Promise<unknown> {
  return (await fetch(`${stack.url}/product/bulk/status/${id}`)).json();
}

describe('a request of three items', () => {
  it('is answered, applied and accounted for, field by field', async () => {
    const answer = await submitBulk(null);
    const accepted = asBulk(await answer.json());
    expect(answer.status).toBe(202);
    expect(accepted).toEqual({
      bulkRequestId: expect.stringMatching(/^[0-9A-Z]{26}$/),
      statusUrl: `/product/bulk/status/${accepted.bulkRequestId}`,
      message: 'Bulk request accepted for processing.',
    });
    expect(answer.headers.get('location')).toBe(`${stack.url}${accepted.statusUrl}`);
    expect(Number(answer.headers.get('retry-after'))).toBeGreaterThan(0);
    const id = accepted.bulkRequestId;
    const ended = await stack.client.ended(id);
    expect(await bulkStatus(id)).toMatchObject({ in_progress: 0, completed: 3, failed: 0 });

    expect(ended).toMatchObject({
      ...{ id, target: 'products', account: 'default', state: 'ended', outcome: 'succeeded', run: 1, live: true },
      counts: { total: 3, pending: 0, running: 0, succeeded: 3, failed: 0, skipped: 0, cancelled: 0, unknown: 0 },
      progress: { percent: 100, etaSeconds: 0 },
      input: { mediaType: 'application/json', bytes: BULK.length, sha256: expect.stringMatching(/^[0-9a-f]{64}$/) },
    });
    const results = await stack.client.results(id);
    expect(results.complete).toBe(true);
    expect(results.sample).toMatchObject([
      { index: 0, type: 'create', outcome: 'succeeded', attempts: 1, result: { status: 201 } },
      { index: 1, type: 'update', id: 123, outcome: 'succeeded', attempts: 1, result: { status: 200 } },
      { index: 2, type: 'delete', id: 456, outcome: 'succeeded', attempts: 1, result: { status: 204 } },
    ]);
    expect(results.indexes).toEqual([0, 1, 2]);

    const calls = await stack.vendor.ledger();
    const uid = calls[0]?.key?.split(':')[0];
    expect(uid).toMatch(/^[0-9A-Z]{26}$/);
    const seen = calls.map(({ key, method, path, applied }) => `${key} ${method} ${path} ${applied}`).sort();
    expect(seen).toEqual([
      `${uid}:0 POST /products true`,
      `${uid}:1 PATCH /products/123 true`,
      `${uid}:2 DELETE /products/456 true`,
    ]);
  });

  it('is the same request where it comes again without a key, on /product/bulk', async () => {
    const [first, second] = [await submitBulk(null), await submitBulk(null)];
    expect(asBulk(await second.json()).bulkRequestId).toBe(asBulk(await first.json()).bulkRequestId);
    expect(second.headers.get('idempotent-replayed')).toBe('true');
  });
});

describe('an idempotency key', () => {
  it('makes one operation of 100 submits at once', async () => {
    const key = randomUUID();
    const body = productLines(200);
    const answers = await Promise.all(Array.from({ length: 100 }, () => stack.client.submit({ body, key })));
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([202]));
    expect(new Set(answers.map((answer) => asOperation(answer.body).id))).toEqual(new Set([key]));
    const replayed = answers.filter(({ headers }) => headers['idempotent-replayed'] === 'true');
    expect(replayed).toHaveLength(99);
    await stack.client.ended(key);
    const effects = effectsOf(await stack.vendor.ledger());
    expect(effects).toMatchObject({ keys: 200, applied: 200, doubled: [], repeated: 0 });
    expect(effects.uids).toHaveLength(1);
  });

  it('refuses other bytes with 422, while it runs and after', async () => {
    const key = randomUUID();
    await stack.client.accept({ body: productLines(3), key });
    const refused = await stack.client.submit({ body: productLines(4), key });
    expect(refused).toMatchObject({ status: 422, body: { code: 'idempotency_key_reused' } });
    await stack.client.ended(key);
    expect(await stack.client.submit({ body: productLines(2), key })).toMatchObject({ status: 422 });
    expect(effectsOf(await stack.vendor.ledger())).toMatchObject({ keys: 3 });
  });

  it('belongs to its account: two accounts with one key have two operations, and neither sees the other', async () => {
    const key = randomUUID();
    const [a, b] = ['account-a', 'account-b'];
    await stack.client.accept({ body: productLines(5), key, account: a });
    await stack.client.ended(key, 30_000, a);
    expect((await stack.client.send('GET', `/v1/operations/${key}`, b)).status).toBe(404);
    expect((await stack.client.send('GET', `/v1/operations/${key}/results`, b)).status).toBe(404);
    expect((await stack.client.send('POST', `/v1/operations/${key}/cancel`, b)).status).toBe(404);

    const second = await stack.client.submit({ body: productLines(5), key, account: b });
    expect(second.status).toBe(202);
    expect(second.headers['idempotent-replayed']).toBeUndefined();
    expect((await stack.client.ended(key, 30_000, b)).account).toBe(b);
    const calls = await stack.vendor.ledger();
    expect(effectsOf(calls)).toMatchObject({ keys: 10, applied: 10, repeated: 0 });
    expect(effectsOf(calls).uids).toHaveLength(2);
    expect(calls.filter(({ replayed }) => replayed)).toEqual([]);
  });
});

describe('a restart of the whole stack on its folder', () => {
  it('keeps status, results and keys, and a running operation goes on', async () => {
    const [done, running] = [randomUUID(), randomUUID()];
    await stack.client.accept({ body: productLines(30), key: done });
    const before = await stack.client.ended(done);
    const resultsBefore = await stack.client.results(done);
    await stack.vendor.reset();
    await stack.vendor.configure({ latencyMs: 100 });
    await stack.client.accept({ body: productLines(5_000), key: running });
    await eventually('the first calls', async () => (await stack.vendor.calls()) > 0);

    await stack.restart();
    const { asOf: _before, ...lasting } = before;
    expect(await stack.client.get(done)).toMatchObject(lasting);
    expect(await stack.client.results(done)).toEqual(resultsBefore);
    const replay = await stack.client.submit({ body: productLines(30), key: done });
    expect(replay).toMatchObject({ status: 202, body: { id: done, state: 'ended' } });
    expect(replay.headers['idempotent-replayed']).toBe('true');
    expect(await stack.client.submit({ body: productLines(31), key: done })).toMatchObject({ status: 422 });

    expect(await stack.client.ended(running)).toMatchObject({ outcome: 'succeeded', counts: { succeeded: 5_000 } });
    const results = await stack.client.results(running);
    expect(results.indexes).toEqual(Array.from({ length: 5_000 }, (_, index) => index));
    expect(effectsOf(await stack.vendor.ledger())).toMatchObject({ keys: 5_000, applied: 5_000, doubled: [] });
  });
});

describe('a workflow that Temporal has forgotten', () => {
  it('leaves its key naming the same operation', async () => {
    await eventually('the server forgetting', () => isForgotten(`default/${forgotten}`), { withinMs: 90_000 });
    const again = await stack.client.submit({ body: FORGOTTEN_BODY, key: forgotten });
    expect(again).toMatchObject({ status: 202, body: { id: forgotten, state: 'ended', outcome: 'succeeded' } });
    expect(again.headers['idempotent-replayed']).toBe('true');
    expect(await stack.client.submit({ body: productLines(21), key: forgotten })).toMatchObject({ status: 422 });
    expect((await stack.client.results(forgotten)).indexes).toEqual(Array.from({ length: 20 }, (_, index) => index));
    expect(await stack.vendor.ledger()).toEqual([]);
  });
});

interface Bulk {
  readonly bulkRequestId: string;
  readonly statusUrl: string;
  readonly message: string;
}

/** Holds for a 202 of `/product/bulk`; the first test checks every field. */
function asBulk(body: unknown): Bulk {
  return body as Bulk;
}

async function withTemporal<Result>(use: (client: TemporalClient) => Promise<Result>): Promise<Result> {
  const connection = await Connection.connect({ address: stack.temporalAddress() });
  return await use(new TemporalClient({ connection })).finally(() => connection.close());
}

async function deleteWorkflow(workflowId: string): Promise<void> {
  const request = { namespace: 'default', workflowExecution: { workflowId } };
  await withTemporal((client) => client.workflowService.deleteWorkflowExecution(request));
}

function isForgotten(workflowId: string): Promise<boolean> {
  return withTemporal(({ workflow }) =>
    workflow
      .getHandle(workflowId)
      .describe()
      .then(
        () => false,
        (error: Error) => error.name === 'WorkflowNotFoundError',
      ),
  );
}
