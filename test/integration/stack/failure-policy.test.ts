/** Limits on failures and deadlines, by the API: an operation halts itself in time, says why, and goes on truthfully. */
import { randomUUID } from 'node:crypto';
import { request } from 'undici';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { OperationView } from '../../../src/operations/operations.ts';
import { eventually } from '../../fixtures/stack/eventually.ts';
import { resultsThatMatch, waitMs } from '../../fixtures/stack/faults.ts';
import { productLines } from '../../fixtures/stack/items.ts';
import { type Stack, startStack } from '../../fixtures/stack/stack.ts';
import { effectsOf } from '../../fixtures/stack/vendor.ts';
import { watchOperation } from '../../fixtures/stack/watch.ts';

const ITEMS = 2_000;
const CONCURRENCY = 10;
const WINDOW = 4;
const JSON_TYPE = { 'content-type': 'application/json' };

let stack: Stack;

beforeAll(async () => {
  stack = await startStack({ WINDOW_MAX: `${WINDOW}`, HEARTBEAT_TIMEOUT_MS: '2000' });
});
afterAll(() => stack?.stop());
beforeEach(() => stack.vendor.reset());

type Fields = Readonly<Record<string, string | number>>;

function query(fields: Fields): string {
  const texts = Object.entries({ concurrency: CONCURRENCY, ...fields }).map(([name, value]) => [name, `${value}`]);
  return `products&${new URLSearchParams(Object.fromEntries(texts))}`;
}

async function accept(fields: Fields, items = ITEMS): Promise<OperationView> {
  return await stack.client.accept({ body: productLines(items), key: randomUUID(), target: query(fields) });
}

function everyTwentiethRefused(): string {
  const name = (index: number) => (index % 20 === 0 ? 'refused' : 'taken');
  const line = (_: unknown, index: number) =>
    `{"type":"update","id":${index + 1},"product":{"name":"${name(index)}"}}\n`;
  return Array.from({ length: ITEMS }, line).join('');
}

async function refused(fields: Fields): Promise<unknown> {
  const answer = await stack.client.submit({ body: productLines(3), key: randomUUID(), target: query(fields) });
  return { status: answer.status, parameters: (answer.body as Problem).errors?.map(({ parameter }) => parameter) };
}

interface Problem {
  readonly errors?: readonly { readonly parameter: string }[];
}

async function patch(id: string, amendment: Readonly<Record<string, unknown>>) {
  const body = JSON.stringify(amendment);
  const answer = await request(`${stack.url}/v1/operations/${id}`, { method: 'PATCH', headers: JSON_TYPE, body });
  return { status: answer.statusCode, body: await answer.body.json() };
}

async function reaches(id: string, state: OperationView['state']): Promise<OperationView> {
  return await eventually(
    `${id} being ${state}`,
    async () => {
      const operation = await stack.client.get(id);
      return operation.state === state && operation.live && operation;
    },
    { withinMs: 60_000 },
  );
}

const control = (id: string, verb: string) => stack.client.send('POST', `/v1/operations/${id}/${verb}`);
const inMs = (ms: number) => new Date(Date.now() + ms).toISOString();

async function halts(id: string): Promise<readonly unknown[]> {
  const { body } = await stack.client.send('GET', `/v1/operations/${id}/audit`);
  const { data } = body as { readonly data: readonly { readonly action: string; readonly by: string | null }[] };
  return data.filter(({ action, by }) => action === 'halted' && by === 'tranche');
}

/** Nothing that had its effect is called cancelled or failed, and nothing was applied twice. */
async function isTruthful(ended: OperationView): Promise<void> {
  const { outcomes } = await resultsThatMatch(stack.client, ended);
  const effects = effectsOf(await stack.vendor.ledger());
  expect(effects.doubled).toEqual([]);
  const wronged = [...effects.appliedIndexes].filter(
    (index) => !['succeeded', 'unknown'].includes(outcomes[index] ?? ''),
  );
  expect(wronged).toEqual([]);
}

describe('maxFailures', () => {
  it('pauses in time, shows why, makes no call while paused, and each resume counts afresh', async () => {
    await stack.vendor.configure({ latencyMs: 20, errors: { '422': 1 } });
    const { id } = await accept({ maxFailures: 10 });
    const watch = watchOperation(stack.client, id);
    const first = await reaches(id, 'paused');
    expect(first).toMatchObject({
      policy: { maxFailures: 10, maxFailurePercent: null, minSample: 100, onFailureLimit: 'pause' },
      halt: { cause: 'max_failures', action: 'pause', detail: expect.stringContaining('at most 10 may') },
    });
    expect(first.counts.failed).toBeGreaterThan(10);
    expect(first.counts.failed).toBeLessThanOrEqual(10 + CONCURRENCY);
    const calls = await stack.vendor.calls();
    await waitMs(1_500);
    expect(await stack.vendor.calls()).toBe(calls);

    expect([200, 202]).toContain((await control(id, 'resume')).status);
    await eventually('more failures', async () => (await stack.client.get(id)).counts.failed > first.counts.failed);
    const second = await reaches(id, 'paused');
    expect(second.counts.failed).toBeGreaterThan(first.counts.failed + 10);
    expect(second.counts.failed).toBeLessThanOrEqual(first.counts.failed + 10 + CONCURRENCY);
    await eventually('both in the audit trail', async () => (await halts(id)).length === 2);

    await stack.vendor.configure({ errors: {}, latencyMs: 0 });
    await control(id, 'resume');
    const ended = await stack.client.ended(id);
    await watch.stop();
    expect(ended).toMatchObject({ outcome: 'partially_succeeded', halt: null });
    expect(ended.counts).toMatchObject({ failed: second.counts.failed, cancelled: 0 });
    expect(watch.faults).toEqual([]);
    await isTruthful(ended);
  });

  it('outlives kill -9 of the worker: as many failures as before, and what comes after', async () => {
    await stack.vendor.configure({ latencyMs: 50, rejectNames: ['refused'] });
    // Refused for what they are, so that a call that is repeated is answered as the first was.
    const target = query({ maxFailures: 25, onFailureLimit: 'stop' });
    const { id } = await stack.client.accept({ body: everyTwentiethRefused(), key: randomUUID(), target });
    await eventually('some failures', async () => (await stack.vendor.calls()) > 250);
    process.kill(stack.pidOf('worker'), 'SIGKILL');
    await eventually('a journal or more', async () => (await stack.vendor.calls()) > 300);
    const ended = await stack.client.ended(id);
    expect(ended).toMatchObject({ outcome: 'cancelled', halt: { cause: 'max_failures', action: 'stop' } });
    const failures = ended.counts.failed + ended.counts.unknown;
    expect(failures).toBeGreaterThan(25);
    expect(failures).toBeLessThanOrEqual(25 + CONCURRENCY);
    expect(ended.counts.cancelled).toBeGreaterThan(0);
    await isTruthful(ended);
  });

  it('of many chunks goes no further than what they have in flight together', async () => {
    await stack.vendor.configure({ latencyMs: 50, errors: { '422': 1 } });
    // Chunks of 2,500.
    const { id } = await accept({ maxFailures: 100, onFailureLimit: 'stop' }, 20_000);
    const ended = await stack.client.ended(id);
    expect(ended).toMatchObject({ outcome: 'cancelled', halt: { cause: 'max_failures' } });
    expect(ended.counts.failed).toBeGreaterThan(100);
    expect(ended.counts.failed).toBeLessThanOrEqual(100 + WINDOW * CONCURRENCY);
    expect(ended.counts.cancelled).toBe(20_000 - ended.counts.failed);
    await isTruthful(ended);
  });
});

describe('maxFailurePercent', () => {
  it('stops by the share, not before the sample; a retry of the rest counts its own items', async () => {
    await stack.vendor.configure({ latencyMs: 10, errors: { '422': 0.3 }, seed: 8 });
    const { id } = await accept({ maxFailurePercent: 12.5, minSample: 200, onFailureLimit: 'stop' });
    const stopped = await stack.client.ended(id);
    expect(stopped).toMatchObject({ outcome: 'cancelled', halt: { cause: 'max_failure_percent' } });
    const decided = stopped.counts.total - stopped.counts.cancelled;
    expect(decided).toBeGreaterThanOrEqual(200);
    expect(decided).toBeLessThanOrEqual(200 + CONCURRENCY);

    await stack.vendor.configure({ errors: {}, latencyMs: 0 });
    const body = JSON.stringify({ fromRun: 1, outcomes: ['cancelled'], deadline: inMs(60_000) });
    const options = { method: 'POST', headers: JSON_TYPE, body } as const;
    const retried = await request(`${stack.url}/v1/operations/${id}/retry`, options);
    expect(retried.statusCode).toBe(202);
    const again = await eventually('the end of run 2', async () => {
      const operation = await stack.client.get(id);
      return operation.run === 2 && operation.state === 'ended' && operation;
    });
    expect(again).toMatchObject({ outcome: 'partially_succeeded', halt: null, deadline: JSON.parse(body).deadline });
    expect(again.counts).toMatchObject({ failed: stopped.counts.failed, cancelled: 0 });
    await retried.body.dump();
  });
});

describe('a deadline', () => {
  it('cancels what is not begun by then; the same request again is the same operation', async () => {
    await stack.vendor.configure({ latencyMs: 200 });
    const key = randomUUID();
    const submission = { body: productLines(ITEMS), key, target: query({ deadline: inMs(2_500) }) };
    const { id, deadline } = await stack.client.accept(submission);
    expect(deadline).not.toBeNull();
    const ended = await stack.client.ended(id);
    expect(ended).toMatchObject({ outcome: 'cancelled', deadline, halt: { cause: 'deadline', action: 'stop' } });
    expect(ended.counts.succeeded).toBeGreaterThan(0);
    const late = (await stack.vendor.ledger()).filter(({ at }) => at > Date.parse(deadline ?? '') + 1_500);
    expect(late).toEqual([]);
    expect(await halts(id)).toHaveLength(1);
    await isTruthful(ended);
    const replayed = await stack.client.submit(submission);
    expect(replayed).toMatchObject({ status: 202, headers: { 'idempotent-replayed': 'true' }, body: { id } });
    const other = await stack.client.submit({ ...submission, target: query({ deadline: inMs(60_000) }) });
    expect(other.status).toBe(422);
  });

  it('is carried out where its workers were dead when it came, and where it was moved meanwhile', async () => {
    await stack.vendor.configure({ latencyMs: 300 });
    const { id } = await accept({ deadline: inMs(120_000) });
    await eventually('calls', async () => (await stack.vendor.calls()) > 5);
    const deadline = inMs(1_500);
    expect(await patch(id, { deadline })).toMatchObject({ status: 200, body: { deadline } });
    process.kill(stack.pidOf('worker'), 'SIGKILL');
    const ended = await stack.client.ended(id);
    expect(ended).toMatchObject({ outcome: 'cancelled', deadline, halt: { cause: 'deadline' } });
    await isTruthful(ended);
  });

  it('is 422 in the past, or before the work; so are limits out of bounds', async () => {
    const scheduledAt = inMs(60_000);
    const early = { status: 422, parameters: ['deadline'] };
    expect(await refused({ deadline: inMs(-1_000) })).toEqual(early);
    expect(await refused({ deadline: scheduledAt, scheduledAt })).toEqual(early);
    expect(await refused({ deadline: inMs(1_000), scheduledAt })).toEqual(early);
    expect(await refused({ maxFailurePercent: 101 })).toEqual({ status: 422, parameters: ['maxFailurePercent'] });
    expect(await refused({ onFailureLimit: 'cancel' })).toEqual({ status: 422, parameters: ['onFailureLimit'] });

    const { id } = await accept({ scheduledAt, deadline: inMs(120_000), maxFailures: 5 });
    expect((await patch(id, { scheduledAt: inMs(180_000) })).status).toBe(422);
    expect((await patch(id, { deadline: inMs(-1_000) })).status).toBe(422);
    expect((await patch(id, { maxFailures: -1 })).status).toBe(422);
    const later = inMs(240_000);
    expect(await patch(id, { scheduledAt: inMs(180_000), deadline: later, maxFailures: null })).toMatchObject({
      status: 200,
      body: { deadline: later, policy: { maxFailures: null } },
    });
    expect((await control(id, 'cancel')).status).toBeLessThan(300);
    expect(await stack.client.ended(id)).toMatchObject({ halt: null, counts: { cancelled: ITEMS } });
  });
});
