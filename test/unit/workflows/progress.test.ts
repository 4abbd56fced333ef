import fc from 'fast-check';
import { expect, test } from 'vitest';
import { EMPTY_TALLY } from '../../../src/model/operation.ts';
import {
  afterLoss,
  afterSlice,
  amendPlan,
  awaitsOf,
  changesWork,
  fedWindow,
  freshChunk,
  runningItems,
  soundAmendment,
  throttleOf,
  waitMs,
  windowOf,
} from '../../../src/workflows/progress.ts';
import { plan } from '../../fixtures/plan.ts';

const answer = {
  tally: EMPTY_TALLY,
  done: false,
  waitUntil: null,
  vendorDown: false,
  awaiting: 0,
  contended: false,
  summary: null,
};

test('the box doubles while nobody waits, up to its limit, and falls back where somebody does', () => {
  let chunk = freshChunk(0, plan());
  const boxes = [chunk.boxMs];
  for (let i = 0; i < 5; i++) {
    chunk = afterSlice(chunk, answer, plan());
    boxes.push(chunk.boxMs);
  }
  expect(boxes).toEqual([3_000, 6_000, 12_000, 24_000, 30_000, 30_000]);
  expect(afterSlice(chunk, { ...answer, contended: true }, plan()).boxMs).toBe(3_000);
});

test('an outage is slept through with growing pauses of at most eight seconds, and probed', () => {
  let chunk = freshChunk(0, plan());
  const down = { ...answer, vendorDown: true };
  const waits: number[] = [];
  for (let i = 0; i < 6; i++) {
    chunk = afterSlice(chunk, down, plan());
    waits.push(waitMs(chunk, down, 0));
  }
  expect(waits).toEqual([1_000, 2_000, 4_000, 8_000, 8_000, 8_000]);
  expect(chunk.probe).toBe(true);
  expect(throttleOf(plan(), chunk, down, 0)).toMatchObject({ cause: 'vendor_unavailable', vendor: 'products' });
  expect(afterSlice(chunk, answer, plan())).toMatchObject({ probe: false, outages: 0 });
});

test('a database that is away is named as what an operation without a vendor waits for', () => {
  const contacts = plan({ vendor: null, guarantee: 'exactly_once' });
  const down = { ...answer, vendorDown: true };
  const chunk = afterSlice(freshChunk(0, contacts), down, contacts);
  expect(throttleOf(contacts, chunk, down, 0)).toMatchObject({ cause: 'vendor_unavailable', vendor: 'database' });
  expect(throttleOf(contacts, chunk, { ...answer, waitUntil: 500 }, 0)).toBeNull();
});

test('a capped operation works on no more chunks than its rate can feed', () => {
  expect(windowOf(plan({ callsPerSecond: 50 }), 100)).toBe(1);
  expect(windowOf(plan({ callsPerSecond: 200 }), 100)).toBe(4);
  expect(windowOf(plan({ callsPerSecond: 1 }), 100)).toBe(1);
  expect(windowOf(plan(), 100)).toBe(16);
  expect(windowOf(plan(), 3)).toBe(3);
});

test('running counts the undecided items of the chunks in work', () => {
  const open = [{ ...freshChunk(1, plan()), tally: { ...EMPTY_TALLY, succeeded: 4, failed: 1 } }];
  expect(runningItems([10, 20, 30], open)).toBe(15);
});

test('an amendment changes what it names and leaves the rest of the plan', () => {
  const capped = plan({ callsPerSecond: 50 });
  expect(amendPlan(capped, {})).toEqual(capped);
  expect(amendPlan(capped, { callsPerSecond: null })).toEqual({ ...capped, callsPerSecond: null });
  expect(amendPlan(capped, { concurrency: 3, priority: 1 })).toEqual({ ...capped, sliceConcurrency: 3 });
});

test('whatever a signal says, only what can be worked by is taken', () => {
  expect(
    soundAmendment({ concurrency: 8, callsPerSecond: null, priority: 1, scheduledAt: '2030-01-01T00:00:00Z' }),
  ).toEqual({
    concurrency: 8,
    callsPerSecond: null,
    priority: 1,
    scheduledAt: '2030-01-01T00:00:00Z',
  });
  const values = fc.oneof(fc.constantFrom(0, -1, 1.5, Number.NaN, '8', null, undefined, 'soon'), fc.anything());
  const said = fc.oneof(
    fc.anything(),
    fc.record({ concurrency: values, callsPerSecond: values, priority: values, scheduledAt: values }),
  );
  fc.assert(
    fc.property(said, (anything) => {
      const { concurrency, callsPerSecond, priority, scheduledAt } = soundAmendment(anything);
      for (const whole of [concurrency, priority])
        expect(whole === undefined || (Number.isInteger(whole) && whole > 0)).toBe(true);
      expect(callsPerSecond === undefined || callsPerSecond === null || callsPerSecond > 0).toBe(true);
      expect(scheduledAt === undefined || !Number.isNaN(Date.parse(scheduledAt))).toBe(true);
    }),
  );
});

test('a new time, or the same values again, call nobody home', () => {
  expect(changesWork({}, { scheduledAt: '2030-01-01T00:00:00Z' })).toBe(false);
  expect(changesWork({ priority: 2 }, { priority: 2 })).toBe(false);
  expect(changesWork({}, { callsPerSecond: null })).toBe(true);
});

test('a chunk waits for callbacks only where there is nothing else to do', () => {
  const waits = { ...answer, awaiting: 7, waitUntil: 9_000, tally: { ...EMPTY_TALLY, succeeded: 3 } };
  expect(awaitsOf(waits, 10)).toEqual({ awaits: { items: 7, until: 9_000 } });
  for (const busy of [{ waitUntil: null }, { vendorDown: true }, { awaiting: 0 }, { awaiting: 6 }]) {
    expect(awaitsOf({ ...waits, ...busy }, 10)).toEqual({});
  }
  const waiting = { ...afterSlice(freshChunk(0, plan()), waits, plan()), ...awaitsOf(waits, 10) };
  expect(throttleOf(plan(), waiting, waits, 0)).toBeNull();
  expect(afterSlice(waiting, answer, plan())).not.toHaveProperty('awaits');
  expect(afterLoss(waiting)).not.toHaveProperty('awaits');
});

test.each([
  [null, null, 16],
  [5, null, 2],
  [50, null, 2],
  [51, null, 4],
  [400, null, 16],
  [10_000, null, 16],
  // Of a rate shared with others: what had been in flight, eight times over, and not below four.
  [null, 1, 16],
  [50, 1, 2],
  [1_000, 0, 4],
  [1_000, 25, 4],
  [1_000, 26, 5],
  [1_000, 80, 13],
  [1_000, 1_000, 16],
])(
  'at %s calls per second that a vendor grants and %s in flight, %i slices of 50 are fed',
  (rate, inFlight, slices) => {
    expect(fedWindow(plan({ sliceConcurrency: 50 }), 16, rate, inFlight)).toBe(slices);
  },
);
