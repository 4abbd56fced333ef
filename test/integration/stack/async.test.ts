/** A vendor that calls back, in every bad way at once: operations end by themselves, each item decided once and truthfully. */
import { Connection, Client as TemporalClient } from '@temporalio/client';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { CallbackCounts } from '../../../src/mock-vendor/callback-sender.ts';
import { eventually } from '../../fixtures/stack/eventually.ts';
import { type Stack, startStack } from '../../fixtures/stack/stack.ts';
import { createVendor, effectsOf, type Vendor } from '../../fixtures/stack/vendor.ts';

const ITEMS = 10_000;
/** Short, so that those never answered are given up within the test. */
const CALLBACK_TIMEOUT_MS = 12_000;
const EVENTS_PER_ITEM_MAX = 0.1;
const BODY = Array.from({ length: ITEMS }, (_, i) => `{"i":${i}}\n`).join('');

let stack: Stack;
let vendor: Vendor;

beforeAll(async () => {
  stack = await startStack({ CALLBACK_TIMEOUT_MS: `${CALLBACK_TIMEOUT_MS}` });
  vendor = createVendor(`${stack.vendor.url}/async`);
});
afterAll(() => stack?.stop());
beforeEach(() => vendor.reset());

const HOSTILE = {
  ...{ callbackDelayMs: 50, callbackJitterMs: 4_000, callbackEarlyRate: 0.2, callbacksShuffled: true },
  ...{ callbackDoubledRate: 0.1, callbackForgedRate: 0.05, callbackMissingRate: 0.02 },
  ...{ jobLostRate: 0.05, jobFailRate: 0.02 },
} as const;

async function callbacks(): Promise<CallbackCounts & { readonly lost: number }> {
  return JSON.parse(await (await fetch(`${vendor.url}/callbacks`)).text());
}

/** Of the workflow and its children, all their runs. */
async function historyEvents(id: string): Promise<number> {
  const connection = await Connection.connect({ address: stack.temporalAddress() });
  try {
    const { workflow } = new TemporalClient({ connection });
    let events = 0;
    for await (const { historyLength } of workflow.list({ query: `WorkflowId STARTS_WITH "default/${id}"` })) {
      events += historyLength;
    }
    return events;
  } finally {
    await connection.close();
  }
}

async function resultsText(id: string): Promise<string> {
  return await (await fetch(`${stack.url}/v1/operations/${id}/results`)).text();
}

/** What must hold whatever happened on the way. */
async function expectTruth(id: string): Promise<void> {
  const ended = await stack.client.ended(id, 150_000);
  const results = await stack.client.results(id);
  expect(results.complete).toBe(true);
  expect(results.indexes).toEqual(Array.from({ length: ITEMS }, (_, i) => i));
  const { lost } = await callbacks();
  // The vendor is asked for what is overdue, so only what it never says anything of is unknown.
  expect(results.tally).toEqual({
    succeeded: ended.counts.succeeded,
    failed: ended.counts.failed,
    unknown: lost,
  });
  expect(lost).toBeGreaterThan(ITEMS * 0.03);
  expect(ended.counts.failed).toBeGreaterThan(ITEMS * 0.01);
  const effects = effectsOf((await vendor.ledger()).filter(({ method }) => method === 'POST'));
  expect(effects.applied).toBe(ITEMS);
  expect(effects.doubled).toEqual([]);
  // No forged one is ever taken; while the API is away nobody answers (0).
  const { '404': refused = 0, '0': unheard = 0, ...others } = (await callbacks()).forged;
  expect(others).toEqual({});
  expect(refused).toBeGreaterThan(unheard);
}

describe('10,000 items whose vendor calls back early, late, twice, out of order, forged or never', () => {
  it('end by themselves, each once, the silent ones unknown, at few history events', async () => {
    await vendor.configure(HOSTILE);
    const { id } = await stack.client.accept({ body: BODY, target: 'async', key: 'hostile' });
    await expectTruth(id);
    const text = await resultsText(id);
    expect(text).not.toContain('forged');
    // Each has the answer to its own payload.
    const rows = text
      .trimEnd()
      .split('\n')
      .map((line): { index: number; attempts: number; result?: { payload: { i: number } } } => JSON.parse(line));
    const answered = rows.filter((row) => row.result !== undefined);
    expect(answered.filter(({ index, result }) => result?.payload.i !== index)).toEqual([]);
    // Most came by callback: those that were asked for have a second call.
    expect(answered.filter(({ attempts }) => attempts === 1).length).toBeGreaterThan(answered.length / 2);
    expect(await historyEvents(id)).toBeLessThanOrEqual(ITEMS * EVENTS_PER_ITEM_MAX);
  });

  it('lose nothing and double nothing while worker and API are killed', async () => {
    await vendor.configure({ ...HOSTILE, latencyMs: 20 });
    const { id } = await stack.client.accept({ body: BODY, target: 'async', key: 'killed' });
    await eventually('calls', async () => (await vendor.calls()) > ITEMS * 0.1);
    process.kill(stack.pidOf('worker'), 'SIGKILL');
    await eventually('callbacks', async () => (await callbacks()).taken > ITEMS * 0.05);
    process.kill(stack.pidOf('api'), 'SIGKILL');
    await eventually('calls again', async () => (await vendor.calls()) > ITEMS * 0.5, { withinMs: 60_000 });
    process.kill(stack.pidOf('worker'), 'SIGKILL');
    await expectTruth(id);
  });

  it('a cancel ends without waiting: what was answered stands, what was taken is in doubt', async () => {
    await vendor.configure({ ...HOSTILE, jobLostRate: 0.5, callbackJitterMs: 500, latencyMs: 20 });
    const { id } = await stack.client.accept({ body: BODY, target: 'async', key: 'cancelled' });
    await eventually('answers', async () => (await callbacks()).taken > ITEMS * 0.1, { withinMs: 60_000 });
    await stack.client.send('POST', `/v1/operations/${id}/cancel`);
    const ended = await stack.client.ended(id, 60_000);
    expect(ended.outcome).toBe('cancelled');
    const results = await stack.client.results(id);
    expect(results.indexes).toEqual(Array.from({ length: ITEMS }, (_, i) => i));
    const applied = effectsOf((await vendor.ledger()).filter(({ method }) => method === 'POST'));
    const cancelled = results.indexes.filter((_, i) => results.outcomes[i] === 'cancelled');
    // Nothing that the vendor has taken is called cancelled.
    expect(cancelled.filter((index) => applied.appliedIndexes.has(index))).toEqual([]);
    expect(ended.counts.unknown).toBeGreaterThan(0);
    expect(ended.counts.succeeded).toBeGreaterThan(0);
  });
});

describe('200 items that their vendor has taken', () => {
  const SOME = 200;
  const some = Array.from({ length: SOME }, (_, i) => `{"i":${i}}\n`).join('');
  const accept = (key: string) => stack.client.accept({ body: some, target: 'async', key });
  const allTaken = () => eventually('the calls', async () => (await vendor.calls()) >= SOME);

  it('are answered while their operation is paused, and nothing is called again after it', async () => {
    // Not before the pause, however busy the machine.
    await vendor.configure({ callbackDelayMs: 8_000 });
    const { id } = await accept('paused');
    await allTaken();
    await stack.client.send('POST', `/v1/operations/${id}/pause`);
    await eventually('the pause', async () => (await stack.client.get(id)).state === 'paused');
    await eventually('the callbacks', async () => (await callbacks()).taken === SOME);
    await stack.client.send('POST', `/v1/operations/${id}/resume`);
    expect((await stack.client.ended(id)).counts).toMatchObject({ succeeded: SOME });
    expect(await vendor.calls()).toBe(SOME);
  });

  it('are unknown, not cancelled, where an operator terminates the workflow', async () => {
    await vendor.configure({ jobLostRate: 1 });
    const { id } = await accept('terminated');
    await allTaken();
    const connection = await Connection.connect({ address: stack.temporalAddress() });
    await new TemporalClient({ connection }).workflow.getHandle(`default/${id}`).terminate('by the test');
    await connection.close();
    const { counts } = await stack.client.ended(id, 60_000);
    expect(counts).toMatchObject({ cancelled: 0, succeeded: 0 });
    expect(counts.unknown).toBe(SOME);
  });

  it('and were given up find their late answers when they are retried, without a call', async () => {
    await vendor.configure({ callbackDelayMs: CALLBACK_TIMEOUT_MS + 15_000 });
    const { id } = await accept('late');
    expect((await stack.client.ended(id, 60_000)).counts.unknown).toBe(SOME);
    await eventually('the late callbacks', async () => (await callbacks()).taken === SOME, { withinMs: 60_000 });
    const calls = await vendor.calls();
    const answer = await stack.client.send('POST', `/v1/operations/${id}/retry`);
    expect(answer.status).toBe(202);
    await eventually('the second run', async () => (await stack.client.get(id)).run === 2);
    expect((await stack.client.ended(id)).counts).toMatchObject({ succeeded: SOME, unknown: 0 });
    expect(await vendor.calls()).toBe(calls);
  });
});

describe('single jobs', () => {
  const post = async (body: string) => {
    const headers = { 'content-type': 'application/json' };
    const answer = await fetch(`${stack.url}/jobs`, { method: 'POST', headers, body });
    const { request_id: requestId }: { request_id: string } = JSON.parse(await answer.text());
    return { status: answer.status, requestId };
  };
  const read = async (requestId: string) => await (await fetch(`${stack.url}/jobs/${requestId}`)).text();
  const done = (requestId: string) =>
    eventually('the end of the job', async () => {
      const text = await read(requestId);
      return /"status":"(complete|failed)"/.test(text) && text;
    });

  it.each(['sync', 'async'])('%s: a payload comes back digit for digit', async (name) => {
    const { status, requestId } = await post(`{"vendor":"${name}","payload":{"n":12345678901234567890.10}}`);
    expect(status).toBe(202);
    expect(await done(requestId)).toContain('"payload":{"n":12345678901234567890.10}');
  });

  it.each(['sync', 'async'])('%s: a job that fails says why', async (name) => {
    const { requestId } = await post(`{"vendor":"${name}","payload":{"fail":"no_stock"}}`);
    const job: unknown = JSON.parse(await done(requestId));
    expect(job).toMatchObject({ request_id: requestId, status: 'failed', error: { message: expect.any(String) } });
    expect(job).not.toHaveProperty('result');
  });

  it('100 jobs on both vendors at once are all answered', async () => {
    await vendor.configure({ callbackDelayMs: 0 });
    const jobs = await Promise.all(
      Array.from({ length: 100 }, (_, i) => post(`{"vendor":"${i % 2 === 0 ? 'sync' : 'async'}","payload":${i}}`)),
    );
    const answers = await Promise.all(jobs.map(({ requestId }) => done(requestId)));
    for (const [i, answer] of answers.entries()) expect(answer).toContain(`"payload":${i}}`);
  });

  it('an async job that its vendor never ends is processing, then failed by its deadline', async () => {
    await vendor.configure({ jobLostRate: 1 });
    const { requestId } = await post('{"vendor":"async","payload":1}');
    await eventually('the job', async () => (await read(requestId)).includes('"processing"'));
    expect(await done(requestId)).toContain('"code":"vendor_pending"');
  });
});
