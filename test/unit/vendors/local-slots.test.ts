import fc from 'fast-check';
import { expect, test } from 'vitest';
import { createCalendar } from '../../../src/vendors/calendar.ts';
import { createLocalSlots, createPace, type SlotClock } from '../../../src/vendors/local-slots.ts';
import type { Slot } from '../../../src/vendors/vendor.ts';

/** Time moves only when the test says so. */
function createFakeClock(): SlotClock & {
  advanceTo(time: number): Promise<void>;
  waiting(): number;
  freezeUntil(time: number): void;
} {
  let time = 0;
  const waits = new Map<() => void, number>();
  return {
    now: () => time,
    wait(at, wake) {
      waits.set(wake, at);
      return () => waits.delete(wake);
    },
    async advanceTo(to) {
      for (;;) {
        const next = [...waits].sort((a, b) => a[1] - b[1])[0];
        if (next === undefined || next[1] > to) break;
        const [wake, at] = next;
        time = Math.max(time, at);
        waits.delete(wake);
        wake();
        await Promise.resolve();
      }
      time = to;
    },
    waiting: () => waits.size,
    /** Time passes and no timer fires. */
    freezeUntil(to) {
      time = to;
    },
  };
}

const never = new AbortController().signal;

async function grantTimes(
  clock: ReturnType<typeof createFakeClock>,
  taken: (Slot | null | Promise<Slot | null>)[],
  until: number,
) {
  const times: number[] = [];
  const all = taken.map(async (slot) => {
    if (slot instanceof Promise) await slot;
    times.push(clock.now());
  });
  await clock.advanceTo(until);
  await Promise.all(all);
  return times;
}

test('slots are an interval apart, and the first is free at once', async () => {
  const clock = createFakeClock();
  const slots = createLocalSlots({ callsPerSecondByVendor: { products: 4 }, clock });
  const taken = Array.from({ length: 5 }, () => slots.take('products', never, 'a'));
  expect(taken[0]).not.toBeInstanceOf(Promise);
  expect(await grantTimes(clock, taken, 1_000)).toEqual([0, 250, 500, 750, 1_000]);
});

test('time that nobody used is not made up for', async () => {
  const clock = createFakeClock();
  const pace = createPace(2, clock);
  pace.take('products', never, 'a');
  await clock.advanceTo(10_000);
  const taken = [pace.take('products', never, 'a'), pace.take('products', never, 'a')];
  expect(await grantTimes(clock, taken, 10_500)).toEqual([10_000, 10_500]);
});

test('a vendor without a budget, and a pace of null, grant at once', () => {
  const slots = createLocalSlots({ callsPerSecondByVendor: { products: 1 } });
  for (let count = 0; count < 100; count++) {
    expect(slots.take('other', never, 'a')).toMatchObject({ giveBack: expect.any(Function) });
    expect(createPace(null).take('other', never, 'a')).toMatchObject({ giveBack: expect.any(Function) });
  }
});

test('a slot given back at its time is the next one granted', async () => {
  const clock = createFakeClock();
  const pace = createPace(1, clock);
  const slot = await pace.take('products', never, 'a');
  slot?.giveBack();
  expect(pace.take('products', never, 'a')).not.toBeInstanceOf(Promise);
  expect(pace.take('products', never, 'a')).toBeInstanceOf(Promise);
});

test('an aborted wait gives its slot to the next taker and leaves no timer', async () => {
  const clock = createFakeClock();
  const pace = createPace(1, clock);
  const stop = new AbortController();
  pace.take('products', never, 'a');
  const abandoned = pace.take('products', stop.signal, 'a');
  const kept = pace.take('products', never, 'a');
  stop.abort();
  expect(await abandoned).toBeNull();
  expect(clock.waiting()).toBe(1);
  expect(await grantTimes(clock, [kept, pace.take('products', never, 'a')], 2_000)).toEqual([1_000, 2_000]);
});

test('an aborted signal takes nothing', () => {
  const pace = createPace(1, createFakeClock());
  expect(pace.take('products', AbortSignal.abort(), 'a')).toBeNull();
  expect(pace.take('products', never, 'a')).not.toBeInstanceOf(Promise);
});

test('whatever is booked and released, no two live slots are closer than an interval', () => {
  const action = fc.record({ wait: fc.nat(400), release: fc.option(fc.nat(20)) });
  fc.assert(
    fc.property(fc.array(action, { maxLength: 60 }), (actions) => {
      const calendar = createCalendar(10);
      let now = 0;
      let live: number[] = [];
      for (const { wait, release } of actions) {
        now += wait;
        live.push(calendar.book(now));
        expect(live.at(-1)).toBeGreaterThanOrEqual(now);
        const given = release === null ? undefined : live[release];
        if (given !== undefined) {
          calendar.release(given, now);
          live = live.filter((_at, position) => position !== release);
        }
        const sorted = [...live].sort((a, b) => a - b);
        for (const [position, at] of sorted.entries()) {
          if (position > 0) expect(at - (sorted[position - 1] ?? 0)).toBeGreaterThan(99.999);
        }
      }
    }),
  );
});

test('accounts that wait for slots take turns', async () => {
  const clock = createFakeClock();
  const pace = createPace(1, clock);
  pace.take('products', never, 'big');
  const granted: string[] = [];
  const wait = async (account: string) => {
    if ((await pace.take('products', never, account)) !== null) granted.push(account);
  };
  const all = ['big', 'big', 'big', 'small', 'small'].map(wait);
  for (let second = 1; second <= 5; second++) await clock.advanceTo(second * 1_000);
  await Promise.all(all);
  expect(granted).toEqual(['big', 'small', 'big', 'small', 'big']);
});

test('slots closer together than a timer is exact are all granted, and none that came due long ago', async () => {
  const clock = createFakeClock();
  const pace = createPace(1_000, clock);
  pace.take('products', never, 'a');
  let granted = 0;
  const all = Array.from({ length: 200 }, async () => {
    if ((await pace.take('products', never, 'a')) !== null) granted++;
  });
  clock.freezeUntil(10);
  await clock.advanceTo(10);
  expect(granted).toBe(10);
  clock.freezeUntil(100);
  await clock.advanceTo(100);
  expect(granted).toBeLessThanOrEqual(10 + 22);
  for (let at = 101; at < 400; at++) await clock.advanceTo(at);
  await Promise.all(all);
});
