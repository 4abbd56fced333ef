/** Whoever reaches the Temporal server may signal: what is no sound signal changes nothing, and never stops an operation. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { PROGRESS_QUERY, SIGNALS } from '../../../src/model/workflow-contract.ts';
import { soundReport } from '../../../src/workflows/progress.ts';
import { type Engine, startEngine } from '../../fixtures/engine.ts';
import { decided } from '../../fixtures/engine-paths.ts';

let engine: Engine;
beforeAll(async () => {
  engine = await startEngine();
});
afterAll(() => engine.stop());

const TALLY = { succeeded: 1, failed: 0, skipped: 0, cancelled: 0, unknown: 0 };
const JUNK: readonly (readonly unknown[])[] = [
  [],
  [null],
  [7],
  ['x'.repeat(10_000)],
  [[]],
  [{}],
  [{ ordinal: -1, ordinals: 7, concurrency: -1, callsPerSecond: Number.NaN, priority: 1e99, scheduledAt: 'tomorrow' }],
  [{ ordinal: 0, tally: null, ordinals: [null, -1, 'x', {}] }],
  [{ ordinal: 0, tally: { ...TALLY, succeeded: 1e9 } }],
  [{ ordinal: 0, tally: { ...TALLY, succeeded: -5 }, throttle: { until: 1 } }],
  [{ ordinal: 1e9, tally: TALLY, throttle: 'x' }],
  [{ deadline: {}, maxFailures: -1, maxFailurePercent: 'all', __proto__: { concurrency: 1 } }],
  [{}, {}, {}],
];

/** A signal came while the task was being completed: it is done again with it, as ever. */
const OVERTAKEN = /^(?:1|WORKFLOW_TASK_FAILED_CAUSE_UNHANDLED_COMMAND)$/;

/** These act without saying anything. */
const PLAIN = [SIGNALS.pause, SIGNALS.resume, SIGNALS.cancel];

test.each([1, 512])(
  'an operation goes on through junk signals and ends truthfully (directChunksMax %i)',
  async (directChunksMax) => {
    await engine.control({ latencyMs: 1_000 });
    const id = `junk-${directChunksMax}`;
    const plan = { heartbeatTimeoutMs: 1_000, boxMs: 300, boxMaxMs: 1_200, sliceConcurrency: 5, directChunksMax };
    const handle = await engine.begin({ id, chunks: 3, itemsPerChunk: 60, plan });
    await decided(engine, handle, 5);
    for (const name of [
      ...Object.values(SIGNALS).filter((name) => !PLAIN.includes(name as never)),
      'nobody-knows-me',
    ]) {
      await Promise.all(JUNK.map((args) => handle.signal(name, ...args)));
    }
    const { tally, running } = (await handle.query(PROGRESS_QUERY)) as { tally: typeof TALLY; running: number };
    expect(tally.succeeded).toBeLessThanOrEqual(180);
    expect(running).toBeGreaterThanOrEqual(0);
    await engine.control({ latencyMs: 0 });
    await handle.result();
    expect(await engine.summary(id)).toMatchObject({ outcome: 'succeeded', tally: { succeeded: 180 } });
    // None of them failed a workflow task, which Temporal would have repeated for ever.
    const { events } = await handle.fetchHistory();
    const causes = (events ?? []).flatMap(({ workflowTaskFailedEventAttributes: failed }) =>
      failed ? [failed.cause] : [],
    );
    expect(causes.map(String).filter((cause) => !OVERTAKEN.test(cause))).toEqual([]);
  },
);

test('a rate that is none steers no window', () => {
  const throttle = { cause: 'rate_limit', vendor: 'products', until: null };
  const kept = (currentRate: unknown) =>
    soundReport({ ordinal: 2, tally: TALLY, throttle: { ...throttle, currentRate } });
  for (const junk of ['fast', -1, {}, true]) expect(kept(junk)?.throttle).toBeNull();
  for (const rate of [null, 0, 4.9]) expect(kept(rate)?.throttle).toEqual({ ...throttle, currentRate: rate });
});

test('of a report only its own members are kept', () => {
  expect(soundReport({ ordinal: 2, tally: { ...TALLY, more: 1 }, throttle: null, evil: 1 })).toEqual({
    ordinal: 2,
    tally: TALLY,
    throttle: null,
  });
  for (const [junk] of JUNK.slice(0, 7)) expect(soundReport(junk)).toBeNull();
});
