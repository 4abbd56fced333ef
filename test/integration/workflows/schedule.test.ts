import type { WorkflowHandle } from '@temporalio/client';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Engine, type OperationSpec, startEngine } from '../../fixtures/engine.ts';
import { state, until } from '../../fixtures/engine-paths.ts';

let engine: Engine;
beforeAll(async () => {
  engine = await startEngine();
});
afterAll(() => engine.stop());

const FAR = '2099-01-01T00:00:00.000Z';
const FARTHER = '2999-06-01T00:00:00.000Z';
const PAST = '2001-01-01T00:00:00.000Z';

function scheduled(id: string, over: Partial<OperationSpec> = {}): OperationSpec {
  const plan = { heartbeatTimeoutMs: 1_000, boxMs: 300, ...over.plan };
  return { id, chunks: 2, itemsPerChunk: 10, scheduledAt: FAR, ...over, plan };
}

async function beginScheduled(spec: OperationSpec): Promise<WorkflowHandle> {
  const handle = await engine.begin(spec);
  await state(engine, handle, 'scheduled');
  return handle;
}

async function slicesOf(handle: WorkflowHandle): Promise<number> {
  const { events } = await handle.fetchHistory();
  return (events ?? []).filter((event) => event.activityTaskScheduledEventAttributes?.activityType?.name === 'slice')
    .length;
}

async function attributeOf(handle: WorkflowHandle): Promise<unknown> {
  return (await handle.describe()).searchAttributes['TrancheState']?.[0];
}

describe('a scheduled operation', () => {
  test('waits with one timer, and begins at once when its time is moved to the past', async () => {
    const handle = await beginScheduled(scheduled('moved-up'));
    expect(await engine.progress(handle)).toMatchObject({ state: 'scheduled', startedAt: null, running: 0 });
    const { historyLength } = await handle.describe();
    expect(historyLength).toBeLessThanOrEqual(6);
    await handle.signal('amend', { scheduledAt: PAST });
    await handle.result();
    expect(await engine.summary('moved-up')).toMatchObject({
      outcome: 'succeeded',
      tally: { succeeded: 20 },
      amended: { scheduledAt: PAST },
      startedAt: expect.any(String),
    });
    expect(await attributeOf(handle)).toBe('ended');
  });

  test('begins by itself when its time comes, and is listed so', async () => {
    await engine.control({ latencyMs: 400 });
    const scheduledAt = new Date(Date.now() + 1_500).toISOString();
    const plan = { sliceConcurrency: 1, windowMax: 1 };
    const handle = await beginScheduled(scheduled('by-itself', { scheduledAt, plan }));
    await until(async () => (await attributeOf(handle)) === 'queued');
    await until(async () => (await attributeOf(handle)) === 'running');
    await engine.control({ latencyMs: 0 });
    await handle.result();
    const summary = await engine.summary('by-itself');
    expect(Date.parse(summary?.startedAt ?? '')).toBeGreaterThanOrEqual(Date.parse(scheduledAt));
    expect(summary).toMatchObject({ outcome: 'succeeded', tally: { succeeded: 20 } });
  });

  test('does not begin at a time that was moved away', async () => {
    const soonMs = Date.now() + 1_500;
    const handle = await beginScheduled(scheduled('moved-away', { scheduledAt: new Date(soonMs).toISOString() }));
    await handle.signal('amend', { scheduledAt: FARTHER });
    await until(async () => Date.now() > soonMs + 1_000);
    expect(await engine.progress(handle)).toMatchObject({ state: 'scheduled', amended: { scheduledAt: FARTHER } });
    await handle.signal('cancel');
    await handle.result();
  });

  test('is cancelled without a slice: every item is cancelled', async () => {
    const handle = await beginScheduled(scheduled('cancelled-before'));
    await handle.signal('cancel');
    await handle.result();
    expect(await engine.summary('cancelled-before')).toMatchObject({
      outcome: 'cancelled',
      startedAt: null,
      tally: { succeeded: 0, cancelled: 20, unknown: 0 },
    });
    expect(await slicesOf(handle)).toBe(0);
    expect(await engine.ledger('cancelled-before')).toEqual([]);
  });

  test('that is a retry leaves in doubt what an earlier run left so', async () => {
    const base = { succeeded: 5, failed: 0, skipped: 0, cancelled: 0, unknown: 0 };
    const retry = { run: 2, base, doubts: [3, 4] };
    const handle = await beginScheduled(scheduled('cancelled-retry', { retry }));
    await handle.signal('cancel');
    await handle.result();
    expect(await engine.summary('cancelled-retry', 2)).toMatchObject({
      outcome: 'cancelled',
      tally: { succeeded: 5, cancelled: 13, unknown: 7 },
    });
  });

  test('that was paused is paused when its time comes, and goes on when resumed', async () => {
    const handle = await beginScheduled(scheduled('paused-before'));
    await handle.signal('pause');
    expect(await engine.progress(handle)).toMatchObject({ state: 'scheduled', pausedAhead: true });
    await handle.signal('amend', { scheduledAt: PAST });
    await state(engine, handle, 'paused');
    expect(await slicesOf(handle)).toBe(0);
    await handle.signal('resume');
    await handle.result();
    expect(await engine.summary('paused-before')).toMatchObject({ outcome: 'succeeded', tally: { succeeded: 20 } });
  });

  test('that was paused and resumed before its time begins as if nothing had been', async () => {
    const handle = await beginScheduled(scheduled('resumed-before'));
    await handle.signal('pause');
    await handle.signal('resume');
    expect(await engine.progress(handle)).not.toHaveProperty('pausedAhead');
    await handle.signal('amend', { scheduledAt: PAST });
    await handle.result();
    expect(await engine.summary('resumed-before')).toMatchObject({ outcome: 'succeeded' });
  });

  test('may be one that was to begin at once and that no worker had taken up', async () => {
    const { scheduledAt: _at, ...unscheduled } = scheduled('put-off');
    const handle = await beginScheduled({ ...unscheduled, amendment: { scheduledAt: FAR } });
    expect(await attributeOf(handle)).toBe('scheduled');
    await handle.signal('amend', { scheduledAt: PAST });
    await handle.result();
    expect(await engine.summary('put-off')).toMatchObject({ outcome: 'succeeded', tally: { succeeded: 20 } });
  });

  test('keeps its first time once it has begun', async () => {
    await engine.control({ latencyMs: 300 });
    const handle = await engine.begin(scheduled('begun', { scheduledAt: PAST, plan: { sliceConcurrency: 1 } }));
    await state(engine, handle, 'running');
    await handle.signal('amend', { scheduledAt: FAR, concurrency: 10 });
    expect((await engine.progress(handle)).amended).toEqual({ concurrency: 10 });
    await engine.control({ latencyMs: 0 });
    await handle.result();
    expect(await engine.summary('begun')).toMatchObject({ outcome: 'succeeded', amended: { concurrency: 10 } });
  });

  test('outlives continue-as-new, with what was said to it', async () => {
    const handle = await beginScheduled(scheduled('long-wait', { plan: { historyEventsMax: 20 } }));
    const { runId } = await handle.describe();
    await handle.signal('pause');
    for (let year = 2030; year < 2050; year++) {
      await handle.signal('amend', { scheduledAt: `${year}-01-01T00:00:00.000Z` });
    }
    await until(async () => (await handle.describe()).runId !== runId);
    expect(await engine.progress(handle)).toMatchObject({
      state: 'scheduled',
      pausedAhead: true,
      startedAt: null,
      amended: { scheduledAt: '2049-01-01T00:00:00.000Z' },
    });
    await handle.signal('amend', { scheduledAt: PAST });
    await state(engine, handle, 'paused');
    await handle.signal('resume');
    await until(async () => (await engine.summary('long-wait')) !== null);
    expect(await engine.summary('long-wait')).toMatchObject({ outcome: 'succeeded', tally: { succeeded: 20 } });
  });

  test('outlives the loss of its workflow: the checkpoint says when, that it is paused, and that nothing was begun', async () => {
    const spec = scheduled('lost', { plan: { onDoubt: 'unknown' } });
    const handle = await beginScheduled(spec);
    await handle.signal('pause');
    await handle.signal('amend', { scheduledAt: FARTHER });
    await until(async () => {
      const kept = await engine.records.readCheckpoint('tests', 'lost');
      return kept?.amended.scheduledAt === FARTHER && kept.pausedAhead === true;
    });
    await handle.terminate('lost');
    const again = await beginScheduled({ ...spec, mode: 'resume' });
    expect(await engine.progress(again)).toMatchObject({ amended: { scheduledAt: FARTHER }, pausedAhead: true });
    await again.signal('cancel');
    await again.result();
    expect(await engine.summary('lost')).toMatchObject({ tally: { cancelled: 20, unknown: 0 }, startedAt: null });
  });

  test('that an operator ended has cancelled every item and left none in doubt', async () => {
    const spec = scheduled('operator-ended', { plan: { onDoubt: 'unknown' } });
    const handle = await beginScheduled(spec);
    await handle.terminate('by an operator');
    await (await engine.begin({ ...spec, mode: 'settle' })).result();
    expect(await engine.summary('operator-ended')).toMatchObject({
      outcome: 'cancelled',
      tally: { cancelled: 20, unknown: 0 },
    });
  });
});
