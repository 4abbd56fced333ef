/** Slices that are called home while the server keeps them for another attempt: what they may have done is not forgotten. */
import { activityInfo } from '@temporalio/activity';
import { ApplicationFailure } from '@temporalio/common';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { sayNothingBegun } from '../../../src/activities/begun.ts';
import type { SettleInput } from '../../../src/model/activity-contract.ts';
import type { SliceAnswer, SliceInput } from '../../../src/model/workflow-contract.ts';
import { type Engine, type OperationSpec, startEngine } from '../../fixtures/engine.ts';
import { state, until } from '../../fixtures/engine-paths.ts';

let engine: Engine;
beforeAll(async () => {
  engine = await startEngine();
});
afterAll(() => engine.stop());

const ITEMS = 5;
/** `PendingActivityState`: no worker holds it. */
const SCHEDULED = 1;
const QUICK = { heartbeatTimeoutMs: 1_000, boxMs: 300, boxMaxMs: 300, sliceConcurrency: 2 } as const;
const SHAPES = {
  direct: { chunks: 2, itemsPerChunk: ITEMS, plan: { ...QUICK, windowMax: 2 } },
  children: { chunks: 2, itemsPerChunk: ITEMS, plan: { ...QUICK, windowMax: 2, directChunksMax: 1 } },
} as const;

type Work = () => Promise<SliceAnswer>;

/** Never heard of again while a test looks: the server gives the slice to somebody else after its heartbeat timeout. */
const dead: (() => void)[] = [];
const dies = (): Promise<never> => new Promise((_, reject) => dead.push(() => reject(new Error('buried'))));
afterEach(() => {
  for (const bury of dead.splice(0)) bury();
});

/** No worker takes the slice up again while a test looks. */
function waitsForLong(): ApplicationFailure {
  return ApplicationFailure.create({ message: 'not yet', nextRetryDelay: '10 minutes' });
}

async function diesAfterItsCalls(work: Work): Promise<SliceAnswer> {
  if (activityInfo().attempt > 1) throw waitsForLong();
  await work().catch(() => undefined);
  return await dies();
}

/** Begins the operation under the disturbance; resolves once `times` attempts have come to it. */
async function begin(
  spec: OperationSpec,
  slice: (work: Work, input: SliceInput) => Promise<SliceAnswer>,
  times: number,
) {
  const inputs: SliceInput[] = [];
  const settled: SettleInput[] = [];
  let calm = false;
  engine.disturb(spec.id, {
    slice(input, work) {
      inputs.push(input);
      return calm ? work() : slice(work, input);
    },
    settled: (input) => settled.push(input),
  });
  const handle = await engine.begin(spec);
  await until(async () => inputs.length >= times);
  const calmDown = () => {
    calm = true;
    engine.takeCommits(spec.id);
  };
  return { handle, inputs, settled, calmDown };
}

/** The attempts for which slices of the operation, and of its chunks, wait. */
async function waitingFor(id: string): Promise<number[]> {
  const { workflowService } = engine.env.connection;
  const query = `ExecutionStatus = "Running" AND WorkflowId STARTS_WITH "tests/${id}"`;
  const { executions } = await workflowService.listWorkflowExecutions({ namespace: 'default', query });
  const waiting: number[] = [];
  for (const { execution } of executions ?? []) {
    const request = { namespace: 'default', execution: execution ?? null };
    const { pendingActivities } = await workflowService.describeWorkflowExecution(request);
    for (const { activityType, attempt, state } of pendingActivities ?? []) {
      if (activityType?.name === 'slice' && state === SCHEDULED) waiting.push(attempt ?? 1);
    }
  }
  return waiting;
}

function bothWaitFor(id: string, attempt: number): Promise<void> {
  return until(async () => (await waitingFor(id)).filter((one) => one === attempt).length === 2);
}

async function effects(id: string): Promise<ReadonlySet<number>> {
  const calls = await engine.ledger(id);
  return new Set(calls.filter(({ applied }) => applied).map(({ key }) => Number(key.split(':')[1])));
}

describe.each(Object.entries(SHAPES))('in %s', (shape, base) => {
  test('one that died after its calls, and is cancelled while it waits for another attempt, is in doubt', async () => {
    const spec = { ...base, id: `dies-cancel-${shape}` };
    engine.refuseCommits(spec.id);
    const { handle, settled, calmDown } = await begin(spec, diesAfterItsCalls, 4);
    await bothWaitFor(spec.id, 3);
    calmDown();
    await handle.signal('cancel');
    await handle.result();
    expect(settled.map(({ lost }) => lost)).toEqual([true, true]);
    expect((await effects(spec.id)).size).toBe(2 * ITEMS);
    // What its journal still wrote is known.
    for (const { outcome } of await engine.lines(spec)) expect(['unknown', 'succeeded']).toContain(outcome);
    expect(await engine.summary(spec.id)).toMatchObject({ tally: { cancelled: 0 } });
  });

  test('paused meanwhile, the slice that follows knows that one was lost', async () => {
    const spec = { ...base, id: `dies-pause-${shape}` };
    engine.refuseCommits(spec.id);
    const { handle, inputs, calmDown } = await begin(spec, diesAfterItsCalls, 4);
    await bothWaitFor(spec.id, 3);
    calmDown();
    await handle.signal('pause');
    await state(engine, handle, 'paused');
    await handle.signal('resume');
    await handle.result();
    expect(inputs.slice(4).map(({ lost }) => lost)).toEqual([true, true]);
    expect(await engine.summary(spec.id)).toMatchObject({ tally: { succeeded: 2 * ITEMS } });
  });

  test('one that fails after its calls is known to be lost at once, and a cancel finds it so', async () => {
    const spec = { ...base, id: `fails-${shape}` };
    engine.refuseCommits(spec.id);
    const { handle, inputs, settled } = await begin(spec, (work) => work(), 6);
    await handle.signal('cancel');
    await handle.result();
    expect(inputs.slice(2).every(({ lost }) => lost)).toBe(true);
    expect(settled.map(({ lost }) => lost)).toEqual([true, true]);
    for (const { outcome } of await engine.lines(spec)) expect(outcome).not.toBe('cancelled');
  });

  test('one that failed before its first call has begun nothing: cancelled is cancelled', async () => {
    const spec = { ...base, id: `early-${shape}` };
    const failsEarly = (): Promise<SliceAnswer> => {
      sayNothingBegun();
      if (activityInfo().attempt < 3) throw ApplicationFailure.retryable('not yet');
      throw waitsForLong();
    };
    const { handle, settled } = await begin(spec, failsEarly, 6);
    await bothWaitFor(spec.id, 4);
    await handle.signal('cancel');
    await handle.result();
    expect(settled.map(({ lost }) => lost)).toEqual([false, false]);
    expect(await engine.summary(spec.id)).toMatchObject({ outcome: 'cancelled', tally: { cancelled: 2 * ITEMS } });
  });

  test('one that waited long for a worker has begun nothing, neither for a pause nor for a cancel', async () => {
    let release = () => {};
    const freed = new Promise<void>((resolve) => {
      release = resolve;
    });
    const blocked = { ...QUICK, heartbeatTimeoutMs: 60_000, windowMax: 16 };
    const blocker = {
      id: `blocker-${shape}`,
      chunks: 32,
      itemsPerChunk: 1,
      plan: { ...blocked, windowMax: 32, directChunksMax: 32 },
    };
    const blocking = await begin(blocker, (work) => freed.then(work), 32);

    const spec = { ...base, id: `queued-${shape}` };
    const queued = await begin(spec, (work) => work(), 0);
    await bothWaitFor(spec.id, 1);
    // As long as its heartbeat timeout, and longer.
    const queuedAt = Date.now();
    await until(async () => Date.now() - queuedAt > 2 * QUICK.heartbeatTimeoutMs);
    await queued.handle.signal('pause');
    await state(engine, queued.handle, 'paused');
    await queued.handle.signal('resume');
    await bothWaitFor(spec.id, 1);
    await queued.handle.signal('cancel');
    // What settles it needs a place, too.
    await until(async () => (await waitingFor(spec.id)).length === 0);
    release();
    await queued.handle.result();
    await blocking.handle.result();
    expect(queued.inputs).toEqual([]);
    expect(queued.settled.every(({ lost }) => !lost)).toBe(true);
    expect(await engine.summary(spec.id)).toMatchObject({ outcome: 'cancelled', tally: { cancelled: 2 * ITEMS } });
  });
});
