import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { decidedItems, EMPTY_TALLY, type OperationState, type Progress } from '../../../src/model/operation.ts';
import { type Engine, startEngine } from '../../fixtures/engine.ts';
import { decided, ENGINE_PATHS, HALTED_PATHS, until } from '../../fixtures/engine-paths.ts';

let engine: Engine;
beforeAll(async () => {
  engine = await startEngine();
});
afterAll(() => engine.stop());

/** Those that are played leave no lines and call nobody. */
const played = Object.entries(ENGINE_PATHS).filter(([, { spec }]) => spec.script === undefined);

describe.each(played)('%s', (name, path) => {
  test('ends with every item accounted for once, in order, and no effect twice', async () => {
    const { spec } = path;
    const { run, base } = spec.retry ?? { run: 1, base: EMPTY_TALLY };
    const total = spec.chunks * spec.itemsPerChunk;
    await path.drive(engine);
    const summary = await engine.summary(spec.id, run);
    if (summary === null) throw new Error('no summary');
    expect(summary.state).toBe('ended');
    expect(decidedItems(summary.tally)).toBe(total + decidedItems(base));

    const lines = await engine.lines(spec);
    const succeeded = lines.filter(({ outcome }) => outcome === 'succeeded');
    expect(succeeded.length).toBe(summary.tally.succeeded - base.succeeded);
    expect(lines.map(({ index }) => index)).toEqual(lines.map(({ index }) => index).sort((a, b) => a - b));
    expect(new Set(lines.map(({ index }) => index)).size).toBe(lines.length);

    const applied = (await engine.ledger(spec.id)).filter((call) => call.applied).map(({ key }) => key);
    expect(new Set(applied).size).toBe(applied.length);
    const effects = new Set(applied.map((key) => Number(key.split(':')[1])));
    for (const { index, outcome } of lines) if (outcome === 'cancelled') expect(effects.has(index)).toBe(false);

    const cancelled = name === 'cancel-mid-run' || name === 'operator-cancel';
    const outcome = base.failed > 0 ? 'partially_succeeded' : 'succeeded';
    expect(summary.outcome).toBe(cancelled ? 'cancelled' : outcome);
    if (!cancelled) expect(applied.length).toBe(total);
  });
});

test('a workflow that was terminated is settled: what was done counts, the rest is cancelled or unknown', async () => {
  const spec = { id: 'settled', chunks: 3, itemsPerChunk: 100, plan: { heartbeatTimeoutMs: 1_000, boxMs: 300 } };
  await engine.control({ latencyMs: 50 });
  const handle = await engine.begin({ ...spec, plan: { ...spec.plan, sliceConcurrency: 5 } });
  await expect
    .poll(async () => (await engine.progress(handle)).tally.succeeded, { timeout: 20_000 })
    .toBeGreaterThan(20);
  await handle.terminate('by an operator');
  const again = await engine.begin({ ...spec, plan: { ...spec.plan, sliceConcurrency: 5 }, mode: 'settle' });
  await again.result();
  await engine.control({ latencyMs: 0 });

  const summary = await engine.summary(spec.id);
  expect(summary).toMatchObject({ state: 'ended', outcome: 'cancelled' });
  if (summary !== null) expect(decidedItems(summary.tally)).toBe(300);
  const lines = await engine.lines(spec);
  expect(lines.map(({ index }) => index)).toEqual(Array.from({ length: 300 }, (_, i) => i));
  const effects = (await engine.ledger(spec.id))
    .filter(({ applied }) => applied)
    .map(({ key }) => Number(key.split(':')[1]));
  for (const index of effects) expect(['succeeded', 'unknown']).toContain(lines[index]?.outcome);
});

test('a workflow that was lost goes on from its log: nothing that was decided is called again', async () => {
  const spec = { id: 'resumed', chunks: 3, itemsPerChunk: 100, plan: { heartbeatTimeoutMs: 1_000, boxMs: 300 } };
  await engine.control({ latencyMs: 20 });
  const handle = await engine.begin({ ...spec, plan: { ...spec.plan, sliceConcurrency: 5 } });
  await expect
    .poll(async () => (await engine.progress(handle)).tally.succeeded, { timeout: 20_000 })
    .toBeGreaterThan(20);
  await handle.terminate('lost');
  const again = await engine.begin({ ...spec, plan: { ...spec.plan, sliceConcurrency: 5 }, mode: 'resume' });
  await again.result();
  await engine.control({ latencyMs: 0 });
  expect(await engine.summary(spec.id)).toMatchObject({ outcome: 'succeeded', tally: { succeeded: 300 } });
  const calls = await engine.ledger(spec.id);
  expect(new Set(calls.map(({ key }) => key)).size).toBe(300);
  expect(calls.filter(({ applied }) => applied).length).toBe(300);
});

describe('a workflow that was lost', () => {
  const QUICK = { heartbeatTimeoutMs: 1_000, boxMs: 300 } as const;

  /** What was last written of it. */
  function keep(id: string, state: OperationState): Promise<void> {
    const at = new Date().toISOString();
    const nothing = {
      outcome: null,
      tally: EMPTY_TALLY,
      running: 0,
      throttle: null,
      amended: {},
      endedAt: null,
    } as const;
    const progress: Progress = { version: 1, run: 1, revision: 7, state, ...nothing, startedAt: at, asOf: at };
    return engine.records.putCheckpoint('tests', id, progress);
  }

  test('does not go on with what was cancelled', async () => {
    const spec = { id: 'cancelled-and-lost', chunks: 2, itemsPerChunk: 10, plan: { ...QUICK, journal: false } };
    await keep(spec.id, 'cancelling');
    await (await engine.begin({ ...spec, mode: 'resume' })).result();
    expect(await engine.summary(spec.id)).toMatchObject({ outcome: 'cancelled', tally: { succeeded: 0 } });
    expect(await engine.ledger(spec.id)).toEqual([]);
  });

  test('goes on where somebody resumed it before it knew that it was paused', async () => {
    const spec = { id: 'resumed-and-lost', chunks: 2, itemsPerChunk: 10, plan: QUICK };
    await keep(spec.id, 'paused');
    const handle = await engine.begin({ ...spec, mode: 'resume' });
    await handle.signal('resume');
    await handle.result();
    expect(await engine.summary(spec.id)).toMatchObject({ outcome: 'succeeded', tally: { succeeded: 20 } });
  });

  test('has kept that it was cancelled, before it ended', async () => {
    const spec = { id: 'cancel-kept', chunks: 2, itemsPerChunk: 100, plan: { ...QUICK, sliceConcurrency: 2 } };
    await engine.control({ latencyMs: 100 });
    const handle = await engine.begin(spec);
    await decided(engine, handle, 5);
    await handle.signal('cancel');
    await handle.result();
    await engine.control({ latencyMs: 0 });
    await until(async () => (await engine.records.readCheckpoint('tests', spec.id))?.state === 'cancelling');
  });
});

test('a pause that comes while a checkpoint is being written is what the checkpoint says in the end', async () => {
  const path = HALTED_PATHS['paused-while-kept'];
  if (path === undefined) throw new Error('no such path');
  await path.drive(engine);
  expect(await engine.summary(path.spec.id)).toMatchObject({ outcome: 'succeeded', tally: { succeeded: 10 } });
});
