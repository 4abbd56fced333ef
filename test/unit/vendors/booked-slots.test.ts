import { afterEach, expect, test } from 'vitest';
import type { BookAnswer, BookRequest, Budget } from '../../../src/model/governor.ts';
import { SLOT_LATE_MAX_MS } from '../../../src/model/governor.ts';
import type { Transient } from '../../../src/model/outcome.ts';
import { type BookedSlots, createBookedSlots } from '../../../src/vendors/booked-slots.ts';
import type { Slot } from '../../../src/vendors/vendor.ts';
import { createFakeClock, createFakeGovernor, EPOCH_MS, type FakeClock } from '../../fixtures/booking-clock.ts';

const BUDGET: Budget = { windows: [{ calls: 10, seconds: 1 }], concurrencyMax: null };
const ANSWER = { kind: 'answer', status: 200, body: '' } as const;
const LIMITED: Transient = {
  ...{ kind: 'transient', code: 'vendor_rate_limited', message: '', doubt: false, counts: false },
  retryAfterMs: 3_000,
};
const never = new AbortController().signal;
const made: BookedSlots[] = [];
afterEach(() => {
  for (const slots of made.splice(0)) slots.stop();
});

interface Change {
  readonly everyMs?: number;
  readonly answer?: () => Partial<BookAnswer>;
  readonly book?: () => Promise<BookAnswer>;
  readonly isDown?: () => boolean;
}

function bookedSlots(clock: FakeClock, { everyMs = 100, answer, book, isDown = () => false }: Change = {}) {
  const governor = createFakeGovernor(clock, everyMs, answer);
  const closed: number[] = [];
  const logged: string[] = [];
  const slots = createBookedSlots({
    ...{ vendor: 'products', budget: BUDGET, worker: 'w', clock, isDown },
    book: book ?? governor.book,
    onClosed: (untilMs) => closed.push(untilMs - EPOCH_MS),
    log: (_level, message) => logged.push(message),
  });
  made.push(slots);
  return { slots, requests: governor.requests, closed, logged };
}

/** Takes so many at once; answers the times at which they were granted, as they come. */
function takeAll(clock: FakeClock, slots: BookedSlots, count: number, account = 'a', signal = never) {
  const grants: { readonly atMs: number; readonly account: string; readonly slot: Slot }[] = [];
  for (let nth = 0; nth < count; nth++) {
    Promise.resolve(slots.take(signal, account)).then((slot) => {
      if (slot !== null) grants.push({ atMs: clock.now(), account, slot });
    });
  }
  return grants;
}

const times = (grants: readonly { readonly atMs: number }[]) => grants.map(({ atMs }) => atMs);

test('calls that begin together are asked for together, and leave at their slots', async () => {
  const clock = createFakeClock();
  const { slots, requests } = bookedSlots(clock);
  const grants = takeAll(clock, slots, 3);
  await clock.advanceTo(1_000);
  expect(requests.map(({ wanted, sentAtMs }) => [wanted, sentAtMs - EPOCH_MS])).toEqual([[3, 3]]);
  expect(times(grants)).toEqual([53, 153, 253]);
});

test('who wants nothing asks nothing', async () => {
  const clock = createFakeClock();
  const { requests } = bookedSlots(clock);
  await clock.advanceTo(60_000);
  expect(requests).toEqual([]);
});

test('a slot whose time has passed is given up, and the governor is told', async () => {
  const clock = createFakeClock();
  const { slots, requests } = bookedSlots(clock);
  const grants = takeAll(clock, slots, 3);
  await clock.advanceTo(60);
  clock.freezeUntil(153 + SLOT_LATE_MAX_MS + 1);
  await clock.advanceTo(253 + SLOT_LATE_MAX_MS);
  expect(times(grants)).toEqual([53, 253]);
  await clock.advanceTo(2_000);
  expect(requests[1]?.report.unused).toBe(1);
  expect(grants).toHaveLength(3);
});

test('a slot stands until it is late, no longer', async () => {
  const clock = createFakeClock();
  const { slots } = bookedSlots(clock);
  const grants = takeAll(clock, slots, 1);
  await clock.advanceTo(53);
  const slot = grants[0]?.slot;
  clock.freezeUntil(53 + SLOT_LATE_MAX_MS);
  expect(slot?.stands()).toBe(true);
  clock.freezeUntil(53 + SLOT_LATE_MAX_MS + 1);
  expect(slot?.stands()).toBe(false);
});

test('a slot that comes back in time goes to the next caller, a late one to nobody', async () => {
  const clock = createFakeClock();
  const { slots } = bookedSlots(clock);
  const first = takeAll(clock, slots, 1);
  await clock.advanceTo(53);
  const second = takeAll(clock, slots, 1);
  first[0]?.slot.giveBack();
  await clock.settle();
  expect(times(second)).toEqual([53]);
  const third = takeAll(clock, slots, 1);
  clock.freezeUntil(100);
  second[0]?.slot.giveBack();
  await clock.settle();
  expect(third).toEqual([]);
});

test.each([
  ['before it was asked', -5],
  ['after it was heard', 5],
])('an answer whose time lies %s books nothing', async (_when, offMs) => {
  const clock = createFakeClock();
  const answer = () => ({ nowMs: clock.wall() + offMs });
  const { slots, logged } = bookedSlots(clock, { answer });
  const grants = takeAll(clock, slots, 2);
  await clock.advanceTo(400);
  expect(grants).toEqual([]);
  expect(logged).toContain('a booking was given up: its time is not ours');
});

test('who cannot trust the time of its slots asks for one at a time: what it gives up is lost to all', async () => {
  const clock = createFakeClock();
  let offMs = 1_000;
  const { slots, requests } = bookedSlots(clock, { answer: () => ({ nowMs: clock.wall() + offMs }) });
  takeAll(clock, slots, 50);
  await clock.advanceTo(1_000);
  offMs = 0;
  await clock.advanceTo(3_000);
  expect(requests.map(({ wanted }) => wanted).slice(0, 4)).toEqual([50, 1, 1, 49]);
});

test('a clock that is set makes an end of what was booked by the old time', async () => {
  const clock = createFakeClock();
  const { slots, requests } = bookedSlots(clock);
  const grants = takeAll(clock, slots, 3);
  await clock.advanceTo(60);
  clock.shiftWall(-30_000);
  await clock.advanceTo(250);
  expect(times(grants)).toEqual([53]);
  await clock.advanceTo(3_000);
  expect(requests[1]?.report.unused).toBe(2);
});

test('calls that wait when nothing more is booked get no slot, and are not left behind', async () => {
  const clock = createFakeClock();
  const { slots } = bookedSlots(clock);
  const answers: (Slot | null)[] = [];
  for (let nth = 0; nth < 3; nth++) void Promise.resolve(slots.take(never, 'a')).then((slot) => answers.push(slot));
  await clock.advanceTo(60);
  slots.stop();
  await clock.settle();
  expect(answers).toEqual([expect.anything(), null, null]);
  expect(slots.take(never, 'a')).toBeNull();
});

test('calls that come while a slot lies far ahead are asked for before its time', async () => {
  const clock = createFakeClock();
  const { slots, requests } = bookedSlots(clock, {
    answer: () => ({ slots: [{ firstAtMs: clock.wall() + 4_000, everyMs: 1, count: 1 }] }),
  });
  takeAll(clock, slots, 1);
  await clock.advanceTo(1_000);
  takeAll(clock, slots, 5);
  await clock.advanceTo(1_010);
  expect(requests.map(({ wanted }) => wanted)).toEqual([1, 5]);
});

test('accounts take turns, however many calls one of them has', async () => {
  const clock = createFakeClock();
  const { slots } = bookedSlots(clock);
  const many = takeAll(clock, slots, 20, 'many');
  const few = takeAll(clock, slots, 2, 'few');
  await clock.advanceTo(53 + 3 * 100);
  expect(times(many)).toEqual([53, 253]);
  expect(times(few)).toEqual([153, 353]);
});

test('an aborted caller leaves the queue, and its slot is for another', async () => {
  const clock = createFakeClock();
  const { slots } = bookedSlots(clock);
  const stop = new AbortController();
  const gone = takeAll(clock, slots, 1, 'a', stop.signal);
  const stays = takeAll(clock, slots, 1, 'b');
  stop.abort();
  await clock.advanceTo(60);
  expect(gone).toEqual([]);
  expect(times(stays)).toEqual([53]);
});

test('a vendor that is closed drops the slots before its time and is held', async () => {
  const clock = createFakeClock();
  let closedUntilMs = 0;
  const { slots, closed, requests } = bookedSlots(clock, { answer: () => ({ closedUntilMs }) });
  const grants = takeAll(clock, slots, 3);
  await clock.advanceTo(100);
  closedUntilMs = EPOCH_MS + 5_000;
  grants[0]?.slot.done(LIMITED);
  await clock.advanceTo(400);
  expect(requests[1]?.report).toMatchObject({ limited: 1, answered: 0, closedUntilMs: EPOCH_MS + 3_100 });
  expect(closed).toEqual([5_000]);
  expect(times(grants)).toEqual([53, 153]);
});

test('429 is told at once, even before the governor wants to be asked', async () => {
  const clock = createFakeClock();
  const { slots, requests } = bookedSlots(clock, { answer: () => ({ askAgainMs: 10_000 }) });
  const grants = takeAll(clock, slots, 1);
  await clock.advanceTo(53);
  grants[0]?.slot.done(LIMITED);
  await clock.advanceTo(300);
  expect(requests).toHaveLength(2);
});

test('no more calls are in flight than there are places, nor any once the places are over', async () => {
  const clock = createFakeClock();
  const answer = (): Partial<BookAnswer> => ({ slots: 'free', places: 2, placesUntilMs: EPOCH_MS + 1_000 });
  const { slots } = bookedSlots(clock, { answer });
  const grants = takeAll(clock, slots, 5);
  await clock.advanceTo(100);
  expect(grants).toHaveLength(2);
  grants[0]?.slot.done(ANSWER);
  await clock.settle();
  expect(grants).toHaveLength(3);
  await clock.advanceTo(1_001);
  grants[1]?.slot.done(ANSWER);
  await clock.settle();
  expect(grants).toHaveLength(3);
});

test('a budget without windows grants at once, and is asked about again while it is used', async () => {
  const clock = createFakeClock();
  const { slots, requests } = bookedSlots(clock, { answer: () => ({ slots: 'free' }) });
  takeAll(clock, slots, 1);
  await clock.advanceTo(10);
  const grants = takeAll(clock, slots, 100);
  await clock.settle();
  expect(grants).toHaveLength(100);
  expect(requests).toHaveLength(1);
  await clock.advanceTo(3_000);
  takeAll(clock, slots, 1);
  await clock.advanceTo(3_100);
  expect(requests).toHaveLength(2);
});

test('a governor that cannot be asked is asked ever more seldom, and hears everything when it can', async () => {
  const clock = createFakeClock();
  const working = createFakeGovernor(clock, 100);
  let isAway = false;
  let tried = 0;
  const { slots } = bookedSlots(clock, {
    async book() {
      tried++;
      if (isAway) throw new Error('away');
      return await working.book('products', { ...ASKED, wanted: 2 });
    },
  });
  const grants = takeAll(clock, slots, 2);
  await clock.advanceTo(200);
  isAway = true;
  grants[0]?.slot.done(ANSWER);
  takeAll(clock, slots, 5);
  tried = 0;
  await clock.advanceTo(10_000);
  expect(tried).toBeGreaterThan(4);
  expect(tried).toBeLessThan(10);
});

test('supply grows to the demand: twice what was used while calls keep waiting', async () => {
  const clock = createFakeClock();
  const { slots, requests } = bookedSlots(clock, { everyMs: 1 });
  const signal = new AbortController();
  const again = (): void => {
    Promise.resolve(slots.take(signal.signal, 'a')).then((slot) => {
      slot?.done(ANSWER);
      if (slot !== null) again();
    });
  };
  for (let nth = 0; nth < 10; nth++) again();
  await clock.advanceTo(4_000);
  signal.abort();
  const wanted = requests.map((request) => request.wanted);
  expect(wanted[0]).toBe(10);
  expect(Math.max(...wanted)).toBeGreaterThan(200);
});

test('what was felt of the budget is told, and forgotten after a while', async () => {
  const clock = createFakeClock();
  const { slots } = bookedSlots(clock);
  expect(slots.pressure()).toBeNull();
  takeAll(clock, slots, 2);
  await clock.advanceTo(200);
  expect(slots.pressure()).toEqual({ callsPerSecond: 10, adapted: false, latencyMs: null });
  await clock.advanceTo(4_000);
  expect(slots.pressure()).toBeNull();
});

const ASKED: BookRequest = {
  ...{ version: 1, worker: 'w', sentAtMs: 0, wanted: 0, held: 0, inFlight: 0, budget: BUDGET },
  report: { answered: 0, limited: 0, failed: 0, unused: 0, closedUntilMs: 0, down: false, latencyMs: null },
};

test('a slot that comes due while others are given out is given out too, though no call ends meanwhile', async () => {
  const clock = createFakeClock();
  const { now } = clock;
  // Every look at the clock takes time.
  clock.now = () => {
    clock.freezeUntil(now() + 0.3);
    return now();
  };
  const { slots } = bookedSlots(clock, { everyMs: 2 });
  const grants = takeAll(clock, slots, 20);
  await clock.advanceTo(300);
  expect(grants).toHaveLength(20);
});

test('a process that is put aside between two looks at its clocks loses no slot by it', async () => {
  const clock = createFakeClock();
  const { wall } = clock;
  let looks = 0;
  clock.wall = () => {
    const seen = wall();
    looks++;
    // The process stands still just after the look at the wall clock, each third time.
    if (looks % 3 === 0) clock.freezeUntil(clock.now() + 6);
    return seen;
  };
  const { slots, logged } = bookedSlots(clock, { everyMs: 50 });
  const grants = takeAll(clock, slots, 20);
  await clock.advanceTo(2_000);
  expect(logged).toEqual([]);
  expect(grants.length).toBe(20);
});

test('calls whose slots lie within three ms leave together, none before its slot', async () => {
  const clock = createFakeClock();
  const { slots } = bookedSlots(clock, { everyMs: 1 });
  const grants = takeAll(clock, slots, 8);
  await clock.advanceTo(300);
  const firstMs = times(grants)[0] ?? 0;
  expect(times(grants).map((atMs) => Math.round(atMs - firstMs))).toEqual([0, 0, 0, 0, 4, 4, 4, 4]);
});
