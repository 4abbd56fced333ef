import type { WorkflowHandle } from '@temporalio/client';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Engine, type OperationSpec, startEngine } from '../../fixtures/engine.ts';
import { decided, state, until } from '../../fixtures/engine-paths.ts';

let engine: Engine;
beforeAll(async () => {
  engine = await startEngine();
});
afterAll(() => engine.stop());

const QUICK = { heartbeatTimeoutMs: 1_000, boxMs: 300, boxMaxMs: 1_200, sliceConcurrency: 5 } as const;

function spec(id: string, plan: OperationSpec['plan'] = {}): OperationSpec {
  return { id, chunks: 3, itemsPerChunk: 60, plan: { ...QUICK, ...plan } };
}

interface SliceScheduled {
  readonly sliceConcurrency: number;
  readonly callsPerSecond: number | null;
  readonly priorityKey: number | null | undefined;
  readonly fairnessKey: string | null | undefined;
}

/** Every slice in the history, in order, as it was scheduled. */
async function slicesOf(handle: WorkflowHandle, name = 'slice'): Promise<SliceScheduled[]> {
  const { events } = await handle.fetchHistory();
  const slices: SliceScheduled[] = [];
  for (const event of events ?? []) {
    const scheduled = event.activityTaskScheduledEventAttributes;
    if (scheduled?.activityType?.name !== name) continue;
    const input = JSON.parse(Buffer.from(scheduled.input?.payloads?.[0]?.data ?? []).toString('utf8'));
    const { priorityKey, fairnessKey } = scheduled.priority ?? {};
    const { sliceConcurrency } = input.plan;
    slices.push({ sliceConcurrency, callsPerSecond: input.callsPerSecond, priorityKey, fairnessKey });
  }
  return slices;
}

describe('an amendment', () => {
  test('of a running operation calls its slices home, and the next ones work by it', async () => {
    await engine.control({ latencyMs: 200 });
    const handle = await engine.begin(spec('live'));
    await decided(engine, handle, 10);
    const before = (await slicesOf(handle)).length;
    await handle.signal('amend', { concurrency: 40, callsPerSecond: 900, priority: 1 });
    expect(await engine.progress(handle)).toMatchObject({
      state: 'running',
      amended: { concurrency: 40, callsPerSecond: 900, priority: 1 },
    });
    await until(async () => (await slicesOf(handle)).length > before);
    await engine.control({ latencyMs: 0 });
    await handle.result();
    const slices = await slicesOf(handle);
    for (const slice of slices.slice(0, before)) {
      expect(slice).toMatchObject({ sliceConcurrency: 5, callsPerSecond: null });
    }
    const last = slices.at(-1);
    expect(last).toMatchObject({ sliceConcurrency: 40, priorityKey: 1, fairnessKey: 'tests' });
    expect(last?.callsPerSecond).toBeGreaterThan(0);
    const applied = (await engine.ledger('live')).filter((call) => call.applied).map(({ key }) => key);
    expect(new Set(applied).size).toBe(180);
    expect(applied.length).toBe(180);
    expect(await engine.summary('live')).toMatchObject({
      outcome: 'succeeded',
      tally: { succeeded: 180 },
      amended: { concurrency: 40, callsPerSecond: 900, priority: 1 },
    });
  });

  test('counts where chunks are given up: what was lost may have reached as far as the widest plan lets it', async () => {
    await engine.control({ latencyMs: 200 });
    const handle = await engine.begin(spec('widened'));
    await decided(engine, handle, 5);
    await handle.signal('amend', { concurrency: 40 });
    await handle.signal('cancel');
    await handle.result();
    await engine.control({ latencyMs: 0 });
    const settled = await slicesOf(handle, 'settle');
    expect(settled.length).toBeGreaterThan(0);
    for (const { sliceConcurrency } of settled) expect(sliceConcurrency).toBe(40);
  });

  test('is in the checkpoint at once', async () => {
    await engine.control({ latencyMs: 200 });
    const handle = await engine.begin(spec('checkpointed'));
    await decided(engine, handle, 5);
    await handle.signal('amend', { priority: 2 });
    await until(async () => (await engine.records.readCheckpoint('tests', 'checkpointed'))?.amended.priority === 2);
    await handle.signal('cancel');
    await engine.control({ latencyMs: 0 });
    await handle.result();
  });

  test('of a paused operation is worked by when it is resumed; a cap is taken off again', async () => {
    await engine.control({ latencyMs: 100 });
    const handle = await engine.begin(spec('paused', { callsPerSecond: 20 }));
    await decided(engine, handle, 5);
    await handle.signal('pause');
    await state(engine, handle, 'paused');
    const before = (await slicesOf(handle)).length;
    await handle.signal('amend', { callsPerSecond: null, concurrency: 30 });
    expect((await engine.progress(handle)).state).toBe('paused');
    await engine.control({ latencyMs: 0 });
    await handle.signal('resume');
    await handle.result();
    for (const slice of (await slicesOf(handle)).slice(before)) {
      expect(slice).toMatchObject({ sliceConcurrency: 30, callsPerSecond: null });
    }
  });

  test('reaches children, and outlives the loss of the workflow', async () => {
    await engine.control({ latencyMs: 100 });
    const children = { ...spec('children', { directChunksMax: 1, windowMax: 1, boxMaxMs: 300 }), chunks: 4 };
    const handle = await engine.begin(children);
    await decided(engine, handle, 5);
    await handle.signal('amend', { priority: 5, concurrency: 12 });
    await until(async () => (await engine.records.readCheckpoint('tests', 'children'))?.amended.priority === 5);
    await decided(engine, handle, 70);
    await handle.terminate('lost');
    const again = await engine.begin({ ...children, mode: 'resume' });
    await engine.control({ latencyMs: 0 });
    await again.result();
    expect(await engine.summary('children')).toMatchObject({
      outcome: 'succeeded',
      amended: { priority: 5, concurrency: 12 },
    });
    const { events } = await again.fetchHistory();
    const starts = (events ?? []).flatMap((event) => event.startChildWorkflowExecutionInitiatedEventAttributes ?? []);
    expect(starts.length).toBeGreaterThan(0);
    for (const { priority } of starts) expect(priority).toMatchObject({ priorityKey: 5, fairnessKey: 'tests' });
    const child = engine.env.client.workflow.getHandle('tests/children/1.3');
    for (const slice of await slicesOf(child)) {
      expect(slice.sliceConcurrency).toBe(12);
    }
    expect((await child.describe()).priority).toMatchObject({ priorityKey: 5, fairnessKey: 'tests' });
  });

  test('that says what is so already, or nothing that makes sense, disturbs nobody', async () => {
    await engine.control({ latencyMs: 300 });
    const handle = await engine.begin({ ...spec('nonsense'), chunks: 1, itemsPerChunk: 5 });
    await state(engine, handle, 'running');
    await handle.signal('amend');
    await handle.signal('amend', { concurrency: 'many', callsPerSecond: -1, scheduledAt: 'soon' });
    await handle.signal('arrived');
    await handle.signal('arrived', { ordinals: [0, 77, 'x'] });
    await engine.control({ latencyMs: 0 });
    await handle.result();
    expect(await slicesOf(handle)).toHaveLength(1);
    expect(await engine.summary('nonsense')).toMatchObject({ outcome: 'succeeded', amended: {} });
  });
});
