/** Pause, resume and cancel, by the API and by an operator's hand on Temporal: prompt, truthful, and no call after. */
import { randomUUID } from 'node:crypto';
import { Connection, Client as TemporalClient } from '@temporalio/client';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { OperationView } from '../../../src/operations/operations.ts';
import { eventually } from '../../fixtures/stack/eventually.ts';
import { allAppliedOnce, resultsThatMatch, tell, waitMs } from '../../fixtures/stack/faults.ts';
import { productLines } from '../../fixtures/stack/items.ts';
import { type Stack, startStack } from '../../fixtures/stack/stack.ts';
import { effectsOf } from '../../fixtures/stack/vendor.ts';
import { watchOperation } from '../../fixtures/stack/watch.ts';

const PAUSE_MAX_MS = 5_000;
const ITEMS = 600;
const BODY = productLines(ITEMS);

let stack: Stack;

beforeAll(async () => {
  stack = await startStack();
});
afterAll(() => stack?.stop());
beforeEach(async () => {
  await stack.vendor.reset();
  await stack.vendor.configure({ latencyMs: 1_000 });
});

/** Submits and waits until calls have been answered. */
async function startRun(): Promise<string> {
  const { id } = await stack.client.accept({ body: BODY, key: randomUUID() });
  await eventually('answers', async () => (await stack.vendor.calls()) > 100);
  return id;
}

const control = (id: string, verb: string) => stack.client.send('POST', `/v1/operations/${id}/${verb}`);

/** Nothing that had its effect is called cancelled, every result stands once, and nothing was doubled. */
async function isTruthful(ended: OperationView): Promise<void> {
  expect(ended.outcome).toBe('cancelled');
  const { outcomes } = await resultsThatMatch(stack.client, ended);
  const effects = effectsOf(await stack.vendor.ledger());
  expect(effects.doubled).toEqual([]);
  const wronged = [...effects.appliedIndexes].filter((index) => outcomes[index] === 'cancelled');
  expect(wronged).toEqual([]);
  const succeeded = outcomes.flatMap((outcome, index) => (outcome === 'succeeded' ? [index] : []));
  expect(succeeded.filter((index) => !effects.appliedIndexes.has(index))).toEqual([]);
}

describe('pause', () => {
  it('is there within 5 s at 1,000 ms latency, starts no call afterwards, and resume finishes what is left', async () => {
    const id = await startRun();
    const watch = watchOperation(stack.client, id);
    const askedAt = Date.now();
    const asked = await control(id, 'pause');
    expect([200, 202]).toContain(asked.status);
    await eventually('paused', () => watch.firstSeen.has('paused'), { withinMs: 10_000, everyMs: 10 });
    const pausedAt = watch.firstSeen.get('paused') ?? 0;
    tell(`paused after ${pausedAt - askedAt} ms`);
    expect(pausedAt - askedAt).toBeLessThan(PAUSE_MAX_MS);
    expect(await control(id, 'pause')).toMatchObject({ status: 200, body: { state: 'paused' } });

    // Longer than a call takes: one begun in secret would have come to the ledger.
    await waitMs(2_500);
    const calls = await stack.vendor.ledger();
    expect(calls.filter(({ at }) => at > pausedAt)).toEqual([]);
    expect(calls.length).toBeLessThan(ITEMS);
    const { counts, state } = await stack.client.get(id);
    expect(state).toBe('paused');
    expect(counts).toMatchObject({ running: 0, succeeded: effectsOf(calls).applied });

    expect([200, 202]).toContain((await control(id, 'resume')).status);
    const ended = await stack.client.ended(id);
    await watch.stop();
    await allAppliedOnce(stack.client, ended, await stack.vendor.ledger());
    expect(effectsOf(await stack.vendor.ledger()).repeated).toBe(0);
    expect(watch.faults).toEqual([]);
  });

  it('of an operation that has ended is 409, as is resume and cancel of one that was not cancelled', async () => {
    const { id } = await stack.client.accept({ body: productLines(3) });
    await stack.client.ended(id);
    for (const verb of ['pause', 'resume', 'cancel']) {
      expect(await control(id, verb)).toMatchObject({ status: 409, body: { currentState: 'ended' } });
    }
  });
});

describe('cancel', () => {
  it('leaves what was not begun cancelled, counts what was, and is 200 when asked again', async () => {
    const id = await startRun();
    const watch = watchOperation(stack.client, id);
    expect([200, 202]).toContain((await control(id, 'cancel')).status);
    const ended = await stack.client.ended(id);
    const endedAt = watch.firstSeen.get('ended') ?? Date.now();
    await waitMs(2_000);
    await watch.stop();
    await isTruthful(ended);
    expect(ended.counts.cancelled).toBeGreaterThan(0);
    expect(ended.counts).toMatchObject({ succeeded: effectsOf(await stack.vendor.ledger()).applied, unknown: 0 });
    expect((await stack.vendor.ledger()).filter(({ at }) => at > endedAt)).toEqual([]);
    expect(await control(id, 'cancel')).toMatchObject({ status: 200, body: { state: 'ended', outcome: 'cancelled' } });
    expect(await control(id, 'resume')).toMatchObject({ status: 409 });
    expect(watch.faults).toEqual([]);
  });

  it('reaches a paused operation', async () => {
    const id = await startRun();
    await control(id, 'pause');
    await eventually('paused', async () => (await stack.client.get(id)).state === 'paused');
    await control(id, 'cancel');
    await isTruthful(await stack.client.ended(id));
  });
});

describe.each(['terminate', 'cancel'] as const)('temporal workflow %s of a running operation', (verb) => {
  it('leads to a truthful end, and to no call after it', async () => {
    const id = await startRun();
    const watch = watchOperation(stack.client, id);
    const connection = await Connection.connect({ address: stack.temporalAddress() });
    try {
      const handle = new TemporalClient({ connection }).workflow.getHandle(`default/${id}`);
      if (verb === 'terminate') await handle.terminate('an operator');
      else await handle.cancel();
    } finally {
      await connection.close();
    }
    const askedAt = Date.now();
    const ended = await stack.client.ended(id, 60_000);
    const endedAt = watch.firstSeen.get('ended') ?? Date.now();
    tell(`workflow ${verb}: ended after ${endedAt - askedAt} ms: ${JSON.stringify(ended.counts)}`);
    await waitMs(2_500);
    await watch.stop();
    await isTruthful(ended);
    expect((await stack.vendor.ledger()).filter(({ at }) => at > endedAt)).toEqual([]);
    expect(watch.faults).toEqual([]);
  });
});
