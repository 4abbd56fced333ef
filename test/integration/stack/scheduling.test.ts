/** Operations that wait for their time: through the death of every process, moved, paused, cancelled. */
import { randomUUID } from 'node:crypto';
import { request } from 'undici';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { OperationView } from '../../../src/operations/operations.ts';
import type { Answer } from '../../fixtures/stack/client.ts';
import { eventually } from '../../fixtures/stack/eventually.ts';
import { productLines } from '../../fixtures/stack/items.ts';
import { type Parts, startParts } from '../../fixtures/stack/parts.ts';
import type { Started } from '../../fixtures/stack/processes.ts';

const ITEMS = 200;
/** How late it may begin on a busy machine: a process that was just restarted has to find it. */
const LATE_MAX_MS = 15_000;

let parts: Parts;
let api: Started;
let worker: Started;

beforeAll(async () => {
  parts = await startParts({});
  await parts.startTemporal();
  api = await parts.startApi();
  worker = await parts.startWorker();
});
afterAll(() => parts?.stop());
beforeEach(() => parts.vendor.reset());

const inMs = (ms: number) => new Date(Date.now() + ms).toISOString();

async function schedule(scheduledAt: string): Promise<string> {
  const id = randomUUID();
  const target = `products&scheduledAt=${encodeURIComponent(scheduledAt)}`;
  const accepted = await parts.client.submit({ body: productLines(ITEMS), key: id, target });
  expect(accepted).toMatchObject({ status: 202, body: { id, state: 'scheduled', scheduledAt, startedAt: null } });
  return id;
}

async function amend(
  id: string,
  amendment: Readonly<Record<string, unknown>>,
): Promise<Pick<Answer, 'status' | 'body'>> {
  const headers = { 'content-type': 'application/json' };
  const body = JSON.stringify(amendment);
  const answer = await request(`${parts.url}/v1/operations/${id}`, { method: 'PATCH', headers, body });
  return { status: answer.statusCode, body: await answer.body.json() };
}

async function reaches(id: string, state: OperationView['state']): Promise<OperationView> {
  return await eventually(`${id} being ${state}`, async () => {
    const operation = await parts.client.get(id);
    return operation.state === state && operation.live && operation;
  });
}

async function listed(state: string): Promise<string[]> {
  const { body } = await parts.client.send('GET', `/v1/operations?state=${state}`);
  return (body as { readonly data: readonly OperationView[] }).data.map(({ id }) => id);
}

/** Began neither before its time nor long after it and the return of the processes. */
function beganInTime({ startedAt }: OperationView, scheduledAt: string, backAtMs: number): void {
  const startedMs = Date.parse(startedAt ?? '');
  expect(startedMs).toBeGreaterThanOrEqual(Date.parse(scheduledAt));
  expect(startedMs).toBeLessThanOrEqual(Math.max(Date.parse(scheduledAt), backAtMs) + LATE_MAX_MS);
}

describe('a scheduled operation', () => {
  it('begins on time after kill -9 of every process, moved before; one whose time has passed begins then', async () => {
    const id = await schedule('2099-01-01T00:00:00.000Z');
    await reaches(id, 'scheduled');
    await eventually('it is listed', async () => (await listed('scheduled')).includes(id));
    const scheduledAt = inMs(20_000);
    const missedAt = inMs(6_000);
    const missed = await schedule(missedAt);
    await reaches(missed, 'scheduled');
    const moved = await amend(id, { scheduledAt });
    expect(moved).toMatchObject({ status: 200, body: { state: 'scheduled', scheduledAt } });

    await Promise.all([worker.kill(), api.kill(), parts.killTemporal()]);
    await eventually('the time that is missed', () => Date.now() > Date.parse(missedAt));
    expect(await parts.vendor.ledger()).toEqual([]);

    await parts.startTemporal();
    api = await parts.startApi();
    // Nobody answers for it, and its time has come.
    expect(await parts.client.get(missed)).toMatchObject({ state: 'queued', live: false });
    worker = await parts.startWorker();
    const backAtMs = Date.now();

    for (const [operation, at] of [
      [id, scheduledAt],
      [missed, missedAt],
    ] as const) {
      const ended = await parts.client.ended(operation);
      expect(ended).toMatchObject({ outcome: 'succeeded', scheduledAt: at, counts: { succeeded: ITEMS, pending: 0 } });
      beganInTime(ended, at, backAtMs);
      const results = await parts.client.results(operation);
      expect(results).toMatchObject({ complete: true, tally: { succeeded: ITEMS } });
    }
    expect(await listed('scheduled')).not.toContain(id);
  });

  it('is cancelled without a call, paused until it is resumed, and takes no other time once it has begun', async () => {
    const [cancelled, paused] = [
      await schedule('2099-01-01T00:00:00.000Z'),
      await schedule('2099-01-01T00:00:00.000Z'),
    ];
    await reaches(cancelled, 'scheduled');
    await reaches(paused, 'scheduled');
    const held = await parts.client.send('POST', `/v1/operations/${paused}/pause`);
    expect(held).toMatchObject({ status: 200, body: { state: 'scheduled' } });
    await parts.client.send('POST', `/v1/operations/${cancelled}/cancel`);
    const ended = await parts.client.ended(cancelled);
    expect(ended).toMatchObject({ outcome: 'cancelled', startedAt: null, counts: { cancelled: ITEMS, unknown: 0 } });

    expect((await amend(paused, { scheduledAt: '2001-01-01T00:00:00Z' })).status).toBeLessThan(300);
    await reaches(paused, 'paused');
    expect(await parts.vendor.ledger()).toEqual([]);
    const refused = await amend(paused, { scheduledAt: '2099-01-01T00:00:00Z' });
    expect(refused).toMatchObject({ status: 409, body: { currentState: 'paused' } });
    await parts.client.send('POST', `/v1/operations/${paused}/resume`);
    expect(await parts.client.ended(paused)).toMatchObject({ outcome: 'succeeded', counts: { succeeded: ITEMS } });
    expect((await amend(paused, { priority: 1 })).status).toBe(409);
  });
});
