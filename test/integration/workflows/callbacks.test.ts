import type { WorkflowHandle } from '@temporalio/client';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Engine, startEngine } from '../../fixtures/engine.ts';
import { ENGINE_PATHS, state, until } from '../../fixtures/engine-paths.ts';

let engine: Engine;
beforeAll(async () => {
  engine = await startEngine();
});
afterAll(() => engine.stop());

const PLAN = { heartbeatTimeoutMs: 1_000, boxMs: 300, callbackTimeoutMs: 60_000 } as const;

async function eventsOf(handle: WorkflowHandle): Promise<number> {
  return (await handle.describe()).historyLength;
}

async function eventsWith(handle: WorkflowHandle, attributes: string): Promise<number> {
  const { events } = await handle.fetchHistory();
  return (events ?? []).filter((event) => Object(event)[attributes] != null).length;
}

describe('chunks that wait for callbacks', () => {
  test('end with what came, and with what never came, by its deadline', async () => {
    const path = ENGINE_PATHS['callbacks'];
    if (path === undefined) throw new Error('no such path');
    await path.drive(engine);
    expect(await engine.summary('callbacks')).toMatchObject({
      outcome: 'partially_succeeded',
      tally: { succeeded: 196, unknown: 4 },
    });
    expect(engine.performance('callbacks').prepared).toBe(1);
  });

  test('cost one timer for each time that they are looked at', async () => {
    const handle = await engine.begin({
      id: 'one-timer',
      chunks: 1,
      itemsPerChunk: 10,
      plan: { ...PLAN, callbackTimeoutMs: 4_000 },
      script: { submitMs: 10, callbackAfterMs: () => null },
    });
    await handle.result();
    const looks = engine.performance('one-timer').inputs.length - 1;
    expect(await eventsWith(handle, 'timerStartedEventAttributes')).toBe(looks);
  });

  test.each([[100], [2]])(
    'give their place to others: all submit before one is done (%s chunks work without children)',
    async (directChunksMax) => {
      const id = `places-${directChunksMax}`;
      let mayCome = false;
      const handle = await engine.begin({
        id,
        chunks: 6,
        itemsPerChunk: 10,
        plan: { ...PLAN, windowMax: 2, directChunksMax },
        script: { submitMs: 100, callbackAfterMs: () => (mayCome ? 0 : null) },
      });
      const { slices, inputs } = engine.performance(id);
      await until(async () => inputs.length === 6);
      expect(new Set(inputs.slice(0, 6).map(({ ordinal }) => ordinal)).size).toBe(6);
      expect((await engine.progress(handle)).tally.succeeded).toBe(0);
      mayCome = true;
      await handle.signal('arrived', { ordinals: [0, 1, 2, 3, 4, 5] });
      await handle.result();
      expect(await engine.summary(id)).toMatchObject({ outcome: 'succeeded', tally: { succeeded: 60 } });
      expect(engine.performance(id).slicesAtOnceMax).toBeLessThanOrEqual(2);
      expect(Math.max(...slices)).toBeLessThanOrEqual(2);
    },
  );

  test('see what came while they were paused, and while the workflow continued as new', async () => {
    let mayCome = false;
    const handle = await engine.begin({
      id: 'interrupted',
      chunks: 2,
      itemsPerChunk: 10,
      plan: { ...PLAN, historyEventsMax: 60 },
      script: { submitMs: 10, callbackAfterMs: () => (mayCome ? 0 : null) },
    });
    const { runId } = await handle.describe();
    const { inputs } = engine.performance('interrupted');
    await until(async () => inputs.length === 2);
    await handle.signal('pause');
    await state(engine, handle, 'paused');
    for (let priority = 1; priority <= 40; priority++) await handle.signal('amend', { priority: (priority % 5) + 1 });
    await until(async () => (await handle.describe()).runId !== runId);
    expect((await handle.describe()).priority).toMatchObject({ priorityKey: 3, fairnessKey: 'tests' });
    mayCome = true;
    await handle.signal('arrived', { ordinals: [0, 1] });
    await handle.signal('resume');
    await until(async () => (await engine.summary('interrupted')) !== null);
    expect(await engine.summary('interrupted')).toMatchObject({ outcome: 'succeeded', tally: { succeeded: 20 } });
  });

  test('are looked at no more often where they are so many that their looks make a history long', async () => {
    let mayCome = false;
    const handle = await engine.begin({
      id: 'crowd',
      chunks: 40,
      itemsPerChunk: 2,
      plan: { ...PLAN, directChunksMax: 100, historyEventsMax: 80 },
      script: { submitMs: 1, callbackAfterMs: () => (mayCome ? 0 : null) },
    });
    const { runId } = await handle.describe();
    const { inputs, slices } = engine.performance('crowd');
    await until(async () => (await handle.describe()).runId !== runId);
    const seenAt = Date.now();
    await until(async () => Date.now() - seenAt > 6_000);
    // After one second, then two, then four, whatever interrupts the wait; and no chunk stays behind the others' looks.
    expect(Math.max(...slices)).toBeLessThanOrEqual(5);
    expect(new Set(inputs.map(({ ordinal }) => ordinal)).size).toBe(40);
    mayCome = true;
    await handle.signal('arrived', { ordinals: slices.map((_, ordinal) => ordinal) });
    await until(async () => (await engine.summary('crowd')) !== null);
    expect(await engine.summary('crowd')).toMatchObject({ outcome: 'succeeded', tally: { succeeded: 80 } });
  }, 60_000);

  test('are cancelled as any other', async () => {
    const handle = await engine.begin({
      id: 'given-up',
      chunks: 2,
      itemsPerChunk: 10,
      plan: PLAN,
      script: { submitMs: 10, callbackAfterMs: (_, position) => (position < 4 ? 0 : null) },
    });
    await until(async () => (await engine.progress(handle)).tally.succeeded === 8);
    await handle.signal('cancel');
    await handle.result();
    expect(await engine.summary('given-up')).toMatchObject({
      outcome: 'cancelled',
      tally: { succeeded: 8, unknown: 12, cancelled: 0 },
    });
  });

  test("end at an operator's own cancel, also where they have heard of callbacks", async () => {
    const handle = await engine.begin({
      id: 'heard-and-ended',
      chunks: 2,
      itemsPerChunk: 10,
      plan: PLAN,
      script: { submitMs: 10, callbackAfterMs: () => null },
    });
    await until(async () => (await eventsWith(handle, 'activityTaskCompletedEventAttributes')) === 2);
    await handle.signal('arrived', { ordinals: [0, 1] });
    await engine.progress(handle);
    await handle.cancel();
    await handle.result();
    expect(await engine.summary('heard-and-ended')).toMatchObject({ outcome: 'cancelled', tally: { unknown: 20 } });
    expect(await eventsWith(handle, 'workflowTaskFailedEventAttributes')).toBe(0);
    expect(await eventsWith(handle, 'workflowTaskTimedOutEventAttributes')).toBe(0);
  }, 30_000);

  test('are given up several at a time where many wait', async () => {
    const handle = await engine.begin({
      id: 'many-given-up',
      chunks: 20,
      itemsPerChunk: 2,
      plan: { ...PLAN, directChunksMax: 100 },
      script: { submitMs: 1, callbackAfterMs: () => null },
    });
    const { inputs } = engine.performance('many-given-up');
    await until(async () => new Set(inputs.map(({ ordinal }) => ordinal)).size === 20);
    await handle.signal('cancel');
    await handle.result();
    expect(await engine.summary('many-given-up')).toMatchObject({ outcome: 'cancelled', tally: { unknown: 40 } });
    const { events = [] } = await handle.fetchHistory();
    const settles = (events ?? []).filter(
      ({ activityTaskScheduledEventAttributes: scheduled }) => scheduled?.activityType?.name === 'settle',
    );
    const tasks = settles.map(({ activityTaskScheduledEventAttributes: scheduled }) =>
      String(scheduled?.workflowTaskCompletedEventId),
    );
    expect(settles).toHaveLength(20);
    expect(tasks.filter((task) => task === tasks[0])).toHaveLength(8);
  });

  test('cost at most 1,000 history events for 10,000 items whose callbacks trickle in', async () => {
    const handle = await engine.begin({
      id: 'ten-thousand',
      chunks: 4,
      itemsPerChunk: 2_500,
      plan: PLAN,
      // Shuffled, and evenly over twenty seconds.
      script: { submitMs: 200, callbackAfterMs: (_, position) => ((position * 1_117) % 2_500) * 8 },
    });
    await handle.result();
    expect(await engine.summary('ten-thousand')).toMatchObject({ outcome: 'succeeded', tally: { succeeded: 10_000 } });
    expect(await eventsOf(handle)).toBeLessThanOrEqual(1_000);
  }, 60_000);
});

describe('the step before the first slice', () => {
  const script = { submitMs: 10, callbackAfterMs: () => 0 };

  test('is called home by a pause, and done from the start after it', async () => {
    const id = 'prepared-twice';
    const handle = await engine.begin({
      id,
      chunks: 1,
      itemsPerChunk: 3,
      plan: { ...PLAN, dedupe: true },
      script: { ...script, prepareMs: 1_000 },
    });
    const seen = engine.performance(id);
    await until(async () => seen.prepareBegun === 1);
    await handle.signal('pause');
    await state(engine, handle, 'paused');
    expect(seen.slices).toEqual([]);
    await handle.signal('resume');
    await handle.result();
    expect(seen.prepareBegun).toBe(2);
    expect(await engine.summary(id)).toMatchObject({ outcome: 'succeeded', tally: { succeeded: 3 } });
  });

  test('is called home by a cancel: nothing is begun', async () => {
    const id = 'prepared-never';
    const handle = await engine.begin({
      id,
      chunks: 2,
      itemsPerChunk: 3,
      plan: { ...PLAN, dedupe: true },
      script: { ...script, prepareMs: 60_000 },
    });
    await until(async () => engine.performance(id).prepareBegun === 1);
    await handle.signal('cancel');
    await handle.result();
    expect(await engine.summary(id)).toMatchObject({ outcome: 'cancelled', tally: { cancelled: 6 } });
    expect(engine.performance(id).slices).toEqual([]);
  });

  test('is not repeated by a workflow that continues as new, but by one that resumes', async () => {
    const id = 'prepared-once';
    let mayCome = false;
    const spec = {
      id,
      chunks: 2,
      itemsPerChunk: 3,
      plan: { ...PLAN, dedupe: true, historyEventsMax: 40 },
      script: { submitMs: 10, callbackAfterMs: () => (mayCome ? 0 : null) },
    };
    const handle = await engine.begin(spec);
    const { runId } = await handle.describe();
    const seen = engine.performance(id);
    await until(async () => seen.inputs.length === 2);
    for (let priority = 1; priority <= 20; priority++) await handle.signal('amend', { priority: (priority % 5) + 1 });
    await until(async () => (await handle.describe()).runId !== runId);
    await until(async () => (await engine.progress(handle)).state === 'running');
    expect(seen.prepared).toBe(1);
    await engine.env.client.workflow.getHandle(`tests/${id}`).terminate('lost');
    const again = await engine.begin({ ...spec, mode: 'resume' });
    mayCome = true;
    await until(async () => engine.performance(id).prepared === 1);
    await until(async () => (await engine.summary(id)) !== null);
    expect(await engine.summary(id)).toMatchObject({ outcome: 'succeeded', tally: { succeeded: 6 } });
    await again.result();
  });
});
