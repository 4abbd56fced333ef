import type { WorkflowHandle } from '@temporalio/client';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { FailurePolicy } from '../../../src/model/failure-policy.ts';
import { decidedItems, EMPTY_TALLY, type Progress } from '../../../src/model/operation.ts';
import { createAuditStore } from '../../../src/storage/audit.ts';
import { type Engine, type OperationSpec, startEngine } from '../../fixtures/engine.ts';
import { decided, state, until } from '../../fixtures/engine-paths.ts';

let engine: Engine;
beforeAll(async () => {
  engine = await startEngine();
});
afterAll(() => engine.stop());
afterEach(() => engine.control({ latencyMs: 0, errors: {} }));

const CONCURRENCY = 5;
const QUICK = { heartbeatTimeoutMs: 1_000, boxMs: 30_000, boxMaxMs: 30_000, sliceConcurrency: CONCURRENCY } as const;
/** Every shape in which an operation works: its own slice, slices side by side, children. */
const SHAPES = {
  'one chunk': { chunks: 1, itemsPerChunk: 600, plan: QUICK },
  'many chunks': { chunks: 6, itemsPerChunk: 100, plan: { ...QUICK, windowMax: 3 } },
  children: { chunks: 6, itemsPerChunk: 100, plan: { ...QUICK, directChunksMax: 1, windowMax: 3 } },
} as const;

function limited(over: Partial<FailurePolicy>): FailurePolicy {
  return { maxFailures: null, maxFailurePercent: null, minSample: 100, onFailureLimit: 'pause', ...over };
}

async function summaryOf(id: string, run = 1): Promise<Progress> {
  const summary = await engine.summary(id, run);
  if (summary === null) throw new Error(`${id} has no summary`);
  return summary;
}

async function halted(handle: WorkflowHandle, cause: string): Promise<Progress> {
  await state(engine, handle, 'paused');
  const standing = await engine.progress(handle);
  expect(standing).toMatchObject({ state: 'paused', running: 0, halt: { cause, action: 'pause' } });
  return standing;
}

async function haltsTold(id: string): Promise<readonly unknown[]> {
  const entries = await createAuditStore(engine.store).read('tests', id);
  return entries.filter(({ action, by }) => action === 'halted' && by === 'tranche').map(({ detail }) => detail);
}

function overshootMax({ chunks, plan }: Pick<OperationSpec, 'chunks' | 'plan'>): number {
  return Math.min(chunks, plan.windowMax ?? 16) * CONCURRENCY;
}

/** Nothing that had its effect is called cancelled, and each index has one outcome. */
async function isTruthful(spec: OperationSpec): Promise<void> {
  const lines = await engine.lines(spec);
  const effects = (await engine.ledger(spec.id)).filter(({ applied }) => applied);
  const applied = new Set(effects.map(({ key }) => Number(key.split(':')[1])));
  expect(applied.size).toBe(effects.length);
  expect(new Set(lines.map(({ index }) => index)).size).toBe(lines.length);
  for (const { index, outcome } of lines) {
    if (outcome === 'cancelled') expect(applied.has(index)).toBe(false);
    if (outcome === 'succeeded') expect(applied.has(index)).toBe(true);
  }
}

describe.each(Object.entries(SHAPES))('in %s', (shape, base) => {
  const name = shape.replace(' ', '-');

  test('too many failures pause it after no more than what was in flight; each resume counts afresh', async () => {
    const spec = { ...base, id: `pause-${name}`, plan: { ...base.plan, failure: limited({ maxFailures: 10 }) } };
    await engine.control({ latencyMs: 20, errors: { '422': 1 } });
    const handle = await engine.begin(spec);
    const first = await halted(handle, 'max_failures');
    expect(first.tally.failed).toBeGreaterThan(10);
    expect(first.tally.failed).toBeLessThanOrEqual(10 + overshootMax(spec));
    const calls = (await engine.ledger(spec.id)).length;
    expect(calls).toBe(first.tally.failed);

    await handle.signal('resume');
    await until(async () => decidedItems((await engine.progress(handle)).tally) > first.tally.failed);
    const second = await halted(handle, 'max_failures');
    expect(second.tally.failed).toBeGreaterThan(first.tally.failed + 10);
    expect(second.tally.failed).toBeLessThanOrEqual(first.tally.failed + 10 + overshootMax(spec));
    await until(async () => (await haltsTold(spec.id)).length === 2);

    await engine.control({ latencyMs: 0, errors: {} });
    await handle.signal('resume');
    await handle.result();
    const summary = await summaryOf(spec.id);
    expect(summary).toMatchObject({
      outcome: 'partially_succeeded',
      tally: { failed: second.tally.failed, cancelled: 0 },
    });
    expect(summary.halt).toBeUndefined();
    expect(decidedItems(summary.tally)).toBe(600);
    await isTruthful(spec);
  });

  test('too large a share of failures stops it; what was not begun is cancelled, and the cause stays', async () => {
    const failure = limited({ maxFailurePercent: 10, minSample: 40, onFailureLimit: 'stop' });
    const spec = { ...base, id: `stop-${name}`, plan: { ...base.plan, failure } };
    await engine.control({ latencyMs: 20, errors: { '422': 0.5 }, seed: 3 });
    const handle = await engine.begin(spec);
    await handle.result();
    const summary = await summaryOf(spec.id);
    expect(summary).toMatchObject({ outcome: 'cancelled', halt: { cause: 'max_failure_percent', action: 'stop' } });
    const { failed, succeeded, cancelled, unknown } = summary.tally;
    expect(failed + succeeded).toBeGreaterThanOrEqual(40);
    expect(failed + succeeded).toBeLessThanOrEqual(40 + 2 * overshootMax(spec));
    expect(unknown).toBe(0);
    expect(cancelled).toBe(600 - failed - succeeded);
    expect(await haltsTold(spec.id)).toMatchObject([{ cause: 'max_failure_percent', action: 'stop', run: 1 }]);
    await isTruthful(spec);
  });

  test('a deadline cancels the rest', async () => {
    const spec = { ...base, id: `deadline-${name}`, deadline: new Date(Date.now() + 1_500).toISOString() };
    await engine.control({ latencyMs: 200 });
    const handle = await engine.begin(spec);
    await handle.result();
    const summary = await summaryOf(spec.id);
    expect(summary).toMatchObject({ outcome: 'cancelled', halt: { cause: 'deadline', action: 'stop' } });
    expect(summary.tally.cancelled).toBeGreaterThan(0);
    expect(decidedItems(summary.tally)).toBe(600);
    const begun = (await engine.ledger(spec.id)).filter(({ at }) => at > Date.parse(summary.halt?.at ?? '') + 1_000);
    expect(begun).toEqual([]);
    expect(await haltsTold(spec.id)).toHaveLength(1);
    await isTruthful(spec);
  });
});

describe('a limit', () => {
  test('that is not passed changes nothing: as many slices, the same end', async () => {
    const plan = { ...QUICK, failure: limited({ maxFailures: 20, maxFailurePercent: 50 }) };
    await engine.control({ errors: { '422': 0.02 }, seed: 5 });
    const handle = await engine.begin({ id: 'within', chunks: 1, itemsPerChunk: 400, plan });
    await handle.result();
    const summary = await summaryOf('within');
    expect(summary.outcome).toBe('partially_succeeded');
    expect(summary.halt).toBeUndefined();
    const { events } = await handle.fetchHistory();
    expect((events ?? []).filter((event) => event.activityTaskScheduledEventAttributes).length).toBe(1);
  });

  test('that only the last items pass halts nothing: nothing is left', async () => {
    const plan = { ...QUICK, failure: limited({ maxFailures: 0, onFailureLimit: 'stop' }) };
    await engine.control({ errors: { '422': 1 } });
    const handle = await engine.begin({ id: 'last', chunks: 1, itemsPerChunk: 1, plan });
    await handle.result();
    const summary = await summaryOf('last');
    expect(summary).toMatchObject({ outcome: 'failed', tally: { failed: 1 } });
    expect(summary.halt).toBeUndefined();
    expect(await haltsTold('last')).toEqual([]);
  });

  test('is kept through continue-as-new, as is the count since the resume', async () => {
    const failure = limited({ maxFailures: 30 });
    const plan = { ...QUICK, boxMs: 200, boxMaxMs: 200, directChunksMax: 2, windowMax: 2, historyEventsMax: 40 };
    const spec = { id: 'continued', chunks: 10, itemsPerChunk: 60, plan: { ...plan, failure } };
    await engine.control({ latencyMs: 50, errors: { '422': 0.2 }, seed: 9 });
    const handle = await engine.begin(spec);
    const { runId } = await handle.describe();
    const first = await halted(handle, 'max_failures');
    expect((await handle.describe()).runId).not.toBe(runId);
    await handle.signal('resume');
    await until(async () => decidedItems((await engine.progress(handle)).tally) > decidedItems(first.tally));
    const second = await halted(handle, 'max_failures');
    expect(second.tally.failed).toBeGreaterThan(first.tally.failed + 30);
    await handle.signal('cancel');
    await engine.env.client.workflow.getHandle(handle.workflowId).result();
    expect(await summaryOf('continued')).toMatchObject({ outcome: 'cancelled', halt: { action: 'pause' } });
    await isTruthful(spec);
  });

  test('outlives the loss of the workflow: the halt, and what was counted before', async () => {
    const failure = limited({ maxFailures: 10 });
    const spec = { id: 'lost', chunks: 6, itemsPerChunk: 100, plan: { ...QUICK, windowMax: 2, failure } };
    await engine.control({ latencyMs: 20, errors: { '422': 1 } });
    const handle = await engine.begin(spec);
    const first = await halted(handle, 'max_failures');
    await until(async () => (await engine.records.readCheckpoint('tests', 'lost'))?.state === 'paused');
    await handle.terminate('lost');

    const again = await engine.begin({ ...spec, mode: 'resume' });
    await until(async () => (await engine.progress(again).catch(() => null))?.state === 'paused');
    expect(await engine.progress(again)).toMatchObject({ halt: first.halt, tally: first.tally });
    await engine.control({ latencyMs: 200, errors: {} });
    await again.signal('resume');
    await decided(engine, again, first.tally.failed + 20);
    await again.terminate('lost once more');

    const third = await engine.begin({ ...spec, mode: 'resume' });
    await until(async () => (await engine.progress(third).catch(() => null))?.state === 'running');
    // The failures of before the resume do not halt it again; as many new ones do.
    await decided(engine, third, first.tally.failed + 40);
    expect((await engine.progress(third)).halt).toBeUndefined();
    await engine.control({ latencyMs: 0, errors: { '422': 1 } });
    await halted(third, 'max_failures');
    expect(await haltsTold('lost')).toHaveLength(2);
    await third.signal('cancel');
    await third.result();
    await isTruthful(spec);
  });

  test('trips from the log alone where the workflow was lost before it could say so', async () => {
    const failure = limited({ maxFailures: 10, onFailureLimit: 'stop' });
    const spec = { id: 'untold', chunks: 4, itemsPerChunk: 50, plan: { ...QUICK, boxMs: 200, windowMax: 1 } };
    await engine.control({ latencyMs: 50, errors: { '422': 1 } });
    const handle = await engine.begin(spec);
    await decided(engine, handle, 60);
    await handle.terminate('lost');
    const again = await engine.begin({ ...spec, plan: { ...spec.plan, failure }, mode: 'resume' });
    await again.result();
    expect(await summaryOf('untold')).toMatchObject({ outcome: 'cancelled', halt: { cause: 'max_failures' } });
    await isTruthful(spec);
  });

  test('of a retry is held against its own items only', async () => {
    const base = { ...EMPTY_TALLY, succeeded: 5, failed: 500 };
    const plan = { ...QUICK, failure: limited({ maxFailures: 10 }) };
    const spec = { id: 'retried', chunks: 2, itemsPerChunk: 50, plan, retry: { run: 2, base } };
    await engine.control({ errors: { '422': 0.04 }, seed: 11 });
    const handle = await engine.begin(spec);
    await handle.result();
    const summary = await summaryOf('retried', 2);
    expect(summary.tally.failed).toBeGreaterThan(500);
    expect(summary.tally.failed).toBeLessThanOrEqual(510);
    expect(summary).toMatchObject({ outcome: 'partially_succeeded', tally: { cancelled: 0 } });
  });

  test('can be given, lowered below what has happened, and cleared while it runs', async () => {
    const spec = { id: 'given', chunks: 3, itemsPerChunk: 100, plan: { ...QUICK, boxMs: 300, boxMaxMs: 300 } };
    await engine.control({ latencyMs: 60, errors: { '422': 1 } });
    const handle = await engine.begin(spec);
    await decided(engine, handle, 15);
    await handle.signal('amend', { maxFailures: 5 });
    await halted(handle, 'max_failures');
    await handle.signal('amend', { maxFailures: null });
    expect((await engine.progress(handle)).state).toBe('paused');
    await engine.control({ latencyMs: 0 });
    await handle.signal('resume');
    await handle.result();
    expect(await summaryOf('given')).toMatchObject({ outcome: 'failed', tally: { failed: 300 } });
  });

  test('is passed by items that nobody can tell of, too', async () => {
    const failure = limited({ maxFailures: 3 });
    const plan = { ...QUICK, onDoubt: 'unknown', failure, callTimeoutMs: 300 } as const;
    await engine.control({ resetAfterEffectRate: 1 });
    const handle = await engine.begin({ id: 'unknown', chunks: 1, itemsPerChunk: 200, plan });
    const { tally } = await halted(handle, 'max_failures');
    expect(tally.unknown).toBeGreaterThan(3);
    expect(tally.unknown).toBeLessThanOrEqual(3 + CONCURRENCY);
    await engine.control({ resetAfterEffectRate: 0 });
    await handle.signal('cancel');
    await handle.result();
  });

  test('is passed by what callbacks say', async () => {
    const failure = limited({ maxFailures: 5, onFailureLimit: 'stop' });
    const plan = { ...QUICK, callbackTimeoutMs: 1_000, windowMax: 2, failure };
    const script = { submitMs: 20, callbackAfterMs: (ordinal: number) => (ordinal < 2 ? null : 60_000) };
    const handle = await engine.begin({ id: 'called', chunks: 4, itemsPerChunk: 10, plan, script });
    await handle.result();
    const summary = await summaryOf('called');
    expect(summary).toMatchObject({ outcome: 'cancelled', halt: { cause: 'max_failures', action: 'stop' } });
    expect(summary.tally.unknown).toBeGreaterThan(5);
  });
});

describe('a deadline', () => {
  const soon = () => new Date(Date.now() + 1_200).toISOString();
  const spec = (id: string): OperationSpec => ({ id, chunks: 2, itemsPerChunk: 50, plan: { ...QUICK, windowMax: 1 } });
  const ENDED = { outcome: 'cancelled', halt: { cause: 'deadline' } } as const;

  test('ends what is scheduled, paused, preparing or waiting for callbacks', async () => {
    const far = '2099-01-01T00:00:00.000Z';
    const scheduled = await engine.begin({ ...spec('d-scheduled'), scheduledAt: far, deadline: soon() });
    const script = { submitMs: 10, callbackAfterMs: () => null, prepareMs: 20_000 };
    const plan = { ...QUICK, callbackTimeoutMs: 60_000 };
    const preparing = { ...spec('d-preparing'), plan: { ...plan, dedupe: true }, script, deadline: soon() };
    const waiting = { ...spec('d-waiting'), plan, script, deadline: soon() };
    await engine.control({ latencyMs: 300 });
    const paused = await engine.begin({ ...spec('d-paused'), deadline: soon() });
    await paused.signal('pause');
    const others = [await engine.begin(preparing), await engine.begin(waiting)];
    for (const handle of [scheduled, paused, ...others]) await handle.result();
    expect(await summaryOf('d-scheduled')).toMatchObject({ ...ENDED, startedAt: null, tally: { cancelled: 100 } });
    expect(await summaryOf('d-preparing')).toMatchObject({ ...ENDED, tally: { cancelled: 100 } });
    expect(await summaryOf('d-waiting')).toMatchObject({ ...ENDED, tally: { unknown: 100 } });
    expect(await summaryOf('d-paused')).toMatchObject(ENDED);
  });

  test('ends what waits for a vendor that is down', async () => {
    await engine.control({ down: true });
    const handle = await engine.begin({ ...spec('d-outage'), deadline: soon() });
    await handle.result();
    await engine.control({ down: false });
    expect(await summaryOf('d-outage')).toMatchObject(ENDED);
  });

  test('that has passed before anybody began lets nothing begin', async () => {
    const handle = await engine.begin({ ...spec('d-late'), deadline: '2020-01-01T00:00:00.000Z' });
    await handle.result();
    expect(await summaryOf('d-late')).toMatchObject({ ...ENDED, tally: { cancelled: 100 } });
    expect(await engine.ledger('d-late')).toEqual([]);
  });

  test('is moved and taken away while it runs, and kept through a loss and continue-as-new', async () => {
    await engine.control({ latencyMs: 100 });
    const slow = { ...QUICK, boxMs: 300, boxMaxMs: 300, historyEventsMax: 30, windowMax: 1 };
    const moved = { id: 'd-moved', chunks: 20, itemsPerChunk: 20, plan: slow, deadline: soon() };
    const handle = await engine.begin(moved);
    const { runId } = await handle.describe();
    await handle.signal('amend', { deadline: null });
    expect((await engine.progress(handle)).deadline).toBeUndefined();
    // Longer than the first deadline, and than one run of the workflow.
    await decided(engine, handle, 100);
    await until(async () => (await handle.describe()).runId !== runId);
    const deadline = new Date(Date.now() + 4_000).toISOString();
    await handle.signal('amend', { deadline });
    await until(async () => (await engine.records.readCheckpoint('tests', 'd-moved'))?.deadline === deadline);
    await engine.env.client.workflow.getHandle(handle.workflowId).terminate('lost');
    const again = await engine.begin({ ...moved, mode: 'resume' });
    await engine.env.client.workflow.getHandle(again.workflowId).result();
    const summary = await summaryOf('d-moved');
    expect(summary).toMatchObject({ ...ENDED, deadline });
    expect(Date.parse(summary.halt?.at ?? '')).toBeGreaterThanOrEqual(Date.parse(deadline));
    expect(decidedItems(summary.tally)).toBe(400);
  });

  test('of what has ended, and of what a client has cancelled before, says nothing', async () => {
    const ended = await engine.begin({ ...spec('d-ended'), deadline: soon() });
    await ended.result();
    const summary = await summaryOf('d-ended');
    expect(summary).toMatchObject({ outcome: 'succeeded' });
    expect(summary.halt).toBeUndefined();
    await engine.control({ latencyMs: 300 });
    const cancelled = await engine.begin({ ...spec('d-cancelled'), deadline: soon() });
    await cancelled.signal('cancel');
    await cancelled.result();
    const other = await summaryOf('d-cancelled');
    expect(other.outcome).toBe('cancelled');
    expect(other.halt).toBeUndefined();
  });
});
