/** Items whose vendor calls back: taken, answered early, late, never; through killed slices, deadlines, retries and cancels. */
import { MockActivityEnvironment } from '@temporalio/testing';
import { afterEach, expect, test } from 'vitest';
import type { ActivityDeps } from '../../../src/activities/deps.ts';
import { createSettle } from '../../../src/activities/settle.ts';
import { complete, createSlices, type Slices, type Spec, taken } from '../../fixtures/called-back.ts';

const opened: Slices[] = [];

async function slicesOf(spec: Spec): Promise<Slices> {
  const slices = await createSlices(spec);
  opened.push(slices);
  return slices;
}

afterEach(async () => {
  for (const slices of opened.splice(0)) await slices.close();
});

test('a callback that overtakes the answer to its own submission decides the item, once', async () => {
  const slices: Slices = await slicesOf({
    items: 40,
    async submit({ index }) {
      await slices.callBack(index, complete({ index }));
      return taken(index);
    },
  });
  const { ended, done } = await slices.slice();
  expect(done).toBe(true);
  expect(ended).toMatchObject({ awaiting: 0, waitUntil: null });
  expect(await slices.lines()).toEqual(
    Array.from({ length: 40 }, (_, index) =>
      expect.objectContaining({ index, outcome: 'succeeded', result: { index } }),
    ),
  );
  expect(slices.submitted).toHaveLength(40);
  expect(await slices.answers()).toBe(0);
});

test('a slice whose vendor is silent goes, says what it awaits and until when, and the next one calls nobody', async () => {
  const slices = await slicesOf({ items: 3, submit: async ({ index }) => taken(index) });
  const begunAt = Date.now();
  const first = await slices.slice();
  expect(first).toMatchObject({ done: false, ended: { awaiting: 3 } });
  expect(first.ended?.waitUntil).toBeGreaterThanOrEqual(begunAt + 60_000);
  await slices.callBack(1, complete('one'));
  const second = await slices.slice();
  expect(second.ended?.awaiting).toBe(2);
  await slices.callBack(0, { id: 'job', status: 'failed', error: { message: 'no stock' } });
  await slices.callBack(2, 'null');
  expect((await slices.slice()).done).toBe(true);
  expect(slices.submitted).toEqual([0, 1, 2]);
  expect(await slices.lines()).toMatchObject([
    { outcome: 'failed', attempts: 1, error: { code: 'vendor_job_failed' } },
    { outcome: 'succeeded', attempts: 1, result: 'one' },
    { outcome: 'failed', error: { code: 'callback_invalid' } },
  ]);
});

test('what came before the slice began is never submitted', async () => {
  const slices = await slicesOf({ items: 5, submit: async ({ index }) => taken(index) });
  for (let index = 0; index < 5; index++) await slices.callBack(index, complete(index));
  expect((await slices.slice()).done).toBe(true);
  expect(slices.submitted).toEqual([]);
});

test('a killed slice leaves behind what the vendor has taken: the next one submits only the rest', async () => {
  const dies = new AbortController();
  const slices = await slicesOf({
    items: 60,
    plan: { sliceConcurrency: 20 },
    submit: ({ index }) =>
      index < 30 || slices.submitted.length > 60 ? Promise.resolve(taken(index)) : new Promise(() => undefined),
  });
  const killed = slices.slice({ dies: dies.signal });
  await expect.poll(() => slices.submitted.length).toBe(50);
  await expect.poll(slices.journalled).toBe(30);
  dies.abort();
  await killed;
  const before = slices.submitted.splice(0);
  expect(before).toHaveLength(50);
  slices.submitted.push(...Array.from({ length: 61 }, () => -1));
  const next = await slices.slice({ lost: true });
  const again = slices.submitted.slice(61).sort((a, b) => a - b);
  expect(again).toEqual(Array.from({ length: 30 }, (_, i) => i + 30));
  expect(next.ended?.awaiting).toBe(60);
});

test('an overdue item is unknown where its vendor cannot be asked, and a callback in the nick of time counts', async () => {
  const slices = await slicesOf({
    items: 2,
    plan: { callbackTimeoutMs: 400 },
    submit: async ({ index }) => taken(index),
  });
  const slicing = slices.slice();
  await expect.poll(() => slices.submitted.length).toBe(2);
  await slices.callBack(1, complete('late but in time'));
  expect((await slicing).done).toBe(true);
  expect(await slices.lines()).toMatchObject([
    { outcome: 'unknown', error: { code: 'callback_missing' }, attempts: 1 },
    { outcome: 'succeeded', result: 'late but in time' },
  ]);
});

test('no item counts as overdue before its answers were looked for once more', async () => {
  const slices: Slices = await slicesOf({
    items: 2,
    plan: { callbackTimeoutMs: 120 },
    async submit({ index }) {
      if (index === 0) return taken(0);
      // Its answer wakes the slice when the other one is overdue, and before the next look.
      await new Promise((wake) => setTimeout(wake, 150));
      await slices.callBack(0, complete('there'));
      return taken(1);
    },
  });
  await slices.slice();
  expect(await slices.lines()).toMatchObject([{ index: 0, outcome: 'succeeded', result: 'there' }, { index: 1 }]);
});

test('what the vendor is known to have taken is in no doubt for a target that cannot repeat a call', async () => {
  const slices = await slicesOf({
    items: 2,
    plan: { onDoubt: 'unknown' },
    submit: async ({ index }) => taken(index),
  });
  expect((await slices.slice({ boxMs: 200 })).ended?.awaiting).toBe(2);
  expect((await slices.slice({ boxMs: 200, lost: true })).ended?.awaiting).toBe(2);
  await slices.callBack(0, complete(0));
  await slices.callBack(1, complete(1));
  expect((await slices.slice()).done).toBe(true);
  expect(await slices.lines()).toMatchObject([{ outcome: 'succeeded' }, { outcome: 'succeeded' }]);
  expect(slices.submitted).toEqual([0, 1]);
});

test('an overdue item is asked for: what the vendor says counts, what it cannot say is unknown', async () => {
  const asked: string[] = [];
  const slices = await slicesOf({
    items: 4,
    plan: { callbackTimeoutMs: 200, retry: { ...RETRY, maximumAttempts: 2, initialIntervalMs: 20 } },
    submit: async ({ index }) => taken(index),
    async poll(vendorRef) {
      asked.push(vendorRef);
      if (vendorRef === 'job_0') return { kind: 'succeeded', result: 'asked' };
      if (vendorRef === 'job_1') return { kind: 'pending' };
      if (vendorRef === 'job_2') throw new Error('a bug');
      return { kind: 'transient', code: 'vendor_error', message: 'm', doubt: false, counts: true };
    },
  });
  expect((await slices.slice()).done).toBe(true);
  expect(await slices.lines()).toMatchObject([
    { outcome: 'succeeded', attempts: 2, result: 'asked' },
    { outcome: 'unknown', attempts: 2, error: { code: 'vendor_pending' } },
    { outcome: 'unknown', attempts: 2, error: { code: 'vendor_pending' } },
    { outcome: 'unknown', error: { code: 'vendor_error' } },
  ]);
  expect(asked.filter((ref) => ref === 'job_0')).toHaveLength(1);
});

test('a submission that nobody answered is not sent again once its callback came', async () => {
  const slices = await slicesOf({
    items: 1,
    plan: { retry: { ...RETRY, initialIntervalMs: 60_000 } },
    submit: async () => ({ kind: 'transient', code: 'vendor_timeout', message: 'm', doubt: true, counts: true }),
  });
  const first = await slices.slice();
  expect(first).toMatchObject({ done: false, ended: { awaiting: 0 } });
  await slices.callBack(0, complete('it had taken it'));
  expect((await slices.slice()).done).toBe(true);
  expect(slices.submitted).toEqual([0]);
  expect(await slices.lines()).toMatchObject([{ outcome: 'succeeded', result: 'it had taken it' }]);
});

test('called home, a slice that waits for callbacks comes at once', async () => {
  let callHome = () => {};
  const slices: Slices = await slicesOf({ items: 2, submit: async ({ index }) => taken(index) });
  const slicing = slices.slice({
    boxMs: 60_000,
    onStart(control) {
      callHome = control.callHome;
    },
  });
  let isHome = false;
  void slicing.finally(() => {
    isHome = true;
  });
  await expect.poll(() => slices.submitted.length).toBe(2);
  callHome();
  await expect.poll(() => isHome, { timeout: 1_000 }).toBe(true);
  expect((await slicing).ended).toMatchObject({ awaiting: 2 });
});

test('bodies that no parser should see are failures of their items alone', async () => {
  const slices = await slicesOf({ items: 3, submit: async ({ index }) => taken(index) });
  await slices.callBack(0, '['.repeat(30_000) + ']'.repeat(30_000));
  await slices.callBack(1, '{"status":');
  await slices.callBack(2, '{"status":"complete","result":12345678901234567890.10}');
  expect((await slices.slice()).done).toBe(true);
  const { lines } = await slices.segments.readLines(slices.at, 3);
  expect(await slices.lines()).toMatchObject([
    { error: { code: 'callback_invalid' } },
    { error: { code: 'callback_invalid' } },
    { outcome: 'succeeded' },
  ]);
  expect(lines.toString()).toContain('"result":12345678901234567890.10');
});

test('a retry finds the late answer to its key, and none of another key', async () => {
  const chosen = { indexes: Uint32Array.of(7, 90_000, 90_001), keyRuns: Uint32Array.of(1, 2, 1) };
  const slices = await slicesOf({ items: 3, run: 2, chosen, submit: async ({ index }) => taken(index) });
  await slices.callBack(7, complete('late'), 1);
  await slices.callBack(90_000, complete('of the failed run'), 1);
  await slices.callBack(90_001, complete('of a run that does not speak for it'), 2);
  await slices.slice({ boxMs: 300 });
  expect(slices.submitted).toEqual([90_000, 90_001]);
  expect(await slices.lines()).toMatchObject([{ index: 7, outcome: 'succeeded', result: 'late' }]);
});

test('after a cancel what was answered stands, what was taken is in doubt, what was not begun is cancelled', async () => {
  const slices = await slicesOf({
    items: 4,
    async submit({ index }) {
      if (index < 3) return taken(index);
      return { kind: 'not_called' };
    },
  });
  await slices.slice({ boxMs: 300 });
  await slices.callBack(0, complete('in time'));
  const { store, records, segments, target } = slices;
  const deps = { store, records, segments, database: null, findTarget: () => target } as unknown as ActivityDeps;
  const settle = createSettle(deps);
  const settled = await new MockActivityEnvironment().run(() => settle(slices.settling));
  expect(settled).toEqual({ tally: { succeeded: 1, failed: 0, skipped: 0, cancelled: 1, unknown: 2 } });
  expect(await slices.lines()).toMatchObject([
    { outcome: 'succeeded', result: 'in time' },
    { outcome: 'unknown', error: { code: 'cancelled_in_doubt' }, attempts: 1 },
    { outcome: 'unknown', error: { code: 'cancelled_in_doubt' } },
    { outcome: 'cancelled' },
  ]);
});

test('what was in doubt before a retry stays so where it is only put off or given up, and ends where it is answered', async () => {
  const chosen = { indexes: Uint32Array.of(3, 5, 6, 9), keyRuns: Uint32Array.of(1, 1, 2, 1) };
  const busy = { kind: 'transient', code: 'vendor_busy', message: 'not now', doubt: false, counts: true } as const;
  const refused = { kind: 'failed', error: { code: 'vendor_rejected', message: 'no', retryable: false } } as const;
  const slices = await slicesOf({
    items: 4,
    run: 2,
    chosen,
    inDoubt: [0, 1, 3],
    plan: { retry: { ...RETRY, maximumAttempts: 1 } },
    async submit({ index }) {
      if (index === 9) return { kind: 'not_called' };
      return index === 5 ? refused : busy;
    },
  });
  await slices.slice({ boxMs: 300 });
  const { store, records, segments, target } = slices;
  const deps = { store, records, segments, database: null, findTarget: () => target } as unknown as ActivityDeps;
  await new MockActivityEnvironment().run(() => createSettle(deps)(slices.settling));
  expect(await slices.lines()).toMatchObject([
    // Under a key of its own a further retry might apply it a second time.
    { index: 3, outcome: 'unknown', error: { code: 'vendor_busy' } },
    { index: 5, outcome: 'failed', error: { code: 'vendor_rejected' } },
    { index: 6, outcome: 'failed', error: { code: 'vendor_busy' } },
    { index: 9, outcome: 'unknown', error: { code: 'cancelled_in_doubt' }, attempts: 0 },
  ]);
});

const RETRY = {
  ...{ initialIntervalMs: 500, backoffCoefficient: 2, maximumIntervalMs: 60_000 },
  ...{ maximumAttempts: 6, nonRetryableCodes: [] },
};
