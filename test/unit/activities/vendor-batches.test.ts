import { expect, test } from 'vitest';
import type { Applied } from '../../../src/model/outcome.ts';
import type { BatchContext, Target, TargetItem } from '../../../src/targets/target.ts';
import type { CallContext, NotCalled } from '../../../src/vendors/vendor.ts';
import { createVendor } from '../../../src/vendors/vendor-standing.ts';
import { createSliceUnderTest, type SliceSpec, thingsTarget } from '../../fixtures/slots.ts';

type Answer = Applied | NotCalled;
type Apply = (items: readonly TargetItem<{ id: number }>[], context: BatchContext) => Promise<readonly Answer[]>;

const DONE: Answer = { kind: 'succeeded' };
const busy = (doubt: boolean): Answer => ({ kind: 'transient', code: 'busy', message: 'busy', doubt, counts: true });
const retry = {
  ...{ initialIntervalMs: 5, backoffCoefficient: 1, maximumIntervalMs: 5, maximumAttempts: 3 },
  nonRetryableCodes: [],
};

/** A target that answers item by item and has no ledger. */
function sliceOf(apply: Apply, spec: Partial<SliceSpec> = {}) {
  const target = { ...thingsTarget(apply as never), guarantee: 'idempotent' } as Target;
  const items = spec.items ?? Array.from({ length: 25 }, (_, id) => ({ id, value: 1 }));
  return createSliceUnderTest({ uid: 'UID', database: null, target, ...spec, items, plan: { retry, ...spec.plan } });
}

test('a batch holds so many items at most, and each is judged alone', async () => {
  const sizes: number[] = [];
  const slice = sliceOf(async (items) => {
    sizes.push(items.length);
    return items.map(({ item }) =>
      item.id === 3 ? { kind: 'failed', error: { code: 'no', message: 'no', retryable: false } } : DONE,
    );
  });
  expect(await slice.run()).toEqual({ waitUntil: null, vendorDown: false, awaiting: 0 });
  expect(sizes).toEqual([10, 10, 5]);
  expect(slice.lines().filter(({ outcome }) => outcome === 'failed')).toMatchObject([{ index: 3, attempts: 1 }]);
  expect(slice.rows.undecided()).toBe(0);
});

test('items that must be tried again come together as a batch again', async () => {
  const batches: number[][] = [];
  const slice = sliceOf(async (items) => {
    batches.push(items.map(({ index }) => index));
    return items.map(({ item }) => (item.id % 2 === 0 && batches.length <= 1 ? busy(false) : DONE));
  });
  await slice.run();
  const again = batches.slice(3);
  expect(again.flat().toSorted((a, b) => a - b)).toEqual([0, 2, 4, 6, 8]);
  expect(again.length).toBeLessThanOrEqual(2);
  expect(slice.lines().filter(({ attempts }) => attempts === 2)).toHaveLength(5);
});

test('an item that may have had its effect ends unknown where it never gets an answer', async () => {
  const slice = sliceOf(async (items) => items.map(({ item }) => (item.id === 1 ? busy(true) : DONE)));
  await slice.run();
  expect(slice.lines()[1]).toMatchObject({ outcome: 'unknown', attempts: 3, error: { code: 'busy' } });
});

test('what was not called stays undecided and uncounted', async () => {
  const slice = sliceOf(async (items) => items.map(() => ({ kind: 'not_called' })), { plan: { boxMs: 150 } });
  await slice.run();
  expect(slice.lines()).toEqual([]);
  expect(slice.deferred().filter(({ attempts, doubt }) => attempts > 0 || doubt)).toEqual([]);
});

test('a target that throws fails the items of that batch alone', async () => {
  const slice = sliceOf(async (items) => {
    if (items[0]?.index === 10) throw new TypeError('a bug');
    return items.map(() => DONE);
  });
  await slice.run();
  const failed = slice.lines().filter(({ outcome }) => outcome === 'failed');
  expect(failed.map(({ index, error }) => [index, error?.code])).toEqual(
    Array.from({ length: 10 }, (_, i) => [10 + i, 'target_error']),
  );
});

test('invalid items never reach the target', async () => {
  const seen: number[] = [];
  const items = [{ id: 0, value: 1 }, { id: 'x' }, { id: 2, value: 1 }];
  const slice = sliceOf(
    async (batch) => {
      seen.push(...batch.map(({ index }) => index));
      return batch.map(() => DONE);
    },
    { items },
  );
  await slice.run();
  expect(seen).toEqual([0, 2]);
  expect(slice.lines()[1]).toMatchObject({ outcome: 'failed', attempts: 0, error: { code: 'invalid_item' } });
});

test('calls in flight when the lease is lost are named as begun', async () => {
  const slice = sliceOf(async (items) => {
    slice.control.lose();
    await new Promise((resolve) => setTimeout(resolve, 20));
    return items.map(() => DONE);
  });
  expect(await slice.run()).toEqual({ begun: Array.from({ length: 10 }, (_, position) => position) });
  expect(slice.lines()).toEqual([]);
});

test('without a ledger there is no exactly once: the work waits for a worker that has a database', async () => {
  const slice = createSliceUnderTest({ uid: 'UID', database: null, items: [{ id: 1, value: 1 }] });
  await expect(slice.run()).rejects.toMatchObject({ type: 'no_database', nonRetryable: false });
});

test('once too much has failed no batch begins, and what is left waits for a later slice', async () => {
  const failed: Answer = { kind: 'failed', error: { code: 'no', message: 'no', retryable: false } };
  let batches = 0;
  const slice = sliceOf(
    async (items) => {
      batches++;
      return items.map(() => failed);
    },
    { isSpent: ({ failed: failures }) => failures >= 5, plan: { sliceConcurrency: 1 } },
  );
  expect(await slice.run()).toEqual({ waitUntil: null, vendorDown: false, awaiting: 0 });
  expect(batches).toBe(1);
  expect(slice.rows.undecided()).toBe(15);
  expect(slice.deferred()).toEqual([]);
});

/** A vendor that has no call slot for anybody. */
function vendorWithoutSlots() {
  const call = (_request: unknown, { waiting }: CallContext): Promise<NotCalled> =>
    new Promise((resolve) => waiting.addEventListener('abort', () => resolve({ kind: 'not_called' })));
  return createVendor({ call, close: async () => undefined }, null);
}

const callFirst: Apply = async (items, { vendor }) => {
  const called = await vendor({ method: 'POST', path: '/', idempotencyKey: 'k', body: null });
  return items.map(() => (called.kind === 'not_called' ? called : DONE));
};

test('a batch that waits for its slot comes back when the box is over, and nothing is in doubt', async () => {
  const slice = sliceOf(callFirst, { vendor: vendorWithoutSlots(), plan: { boxMs: 100 } });
  expect(await slice.run()).toMatchObject({ vendorDown: false });
  expect(slice.lines()).toEqual([]);
  expect(slice.deferred().filter(({ doubt }) => doubt)).toEqual([]);
});

test('a batch that waits for its slot comes back when it is called home, and nothing is in doubt', async () => {
  const slice = sliceOf(callFirst, { vendor: vendorWithoutSlots(), plan: { boxMs: 60_000 } });
  setImmediate(slice.control.callHome);
  await slice.run();
  expect(slice.control.signal.aborted).toBe(false);
  expect(slice.deferred().filter(({ doubt }) => doubt)).toEqual([]);
});
