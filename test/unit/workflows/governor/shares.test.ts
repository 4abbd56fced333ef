import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { BookRequest, CallWindow } from '../../../../src/model/governor.ts';
import { book } from '../../../../src/workflows/governor/book.ts';
import { remember } from '../../../../src/workflows/governor/govern.ts';
import { waterline } from '../../../../src/workflows/governor/shares.ts';
import { freshState } from '../../../../src/workflows/governor/state.ts';
import { bookingOf, slotTimes } from '../../../fixtures/governors.ts';

interface Worker {
  readonly wanted: number;
  /** Seconds from the start; it is killed then. */
  readonly diesAt: number;
  /** From its answer to the next question, beside what it was told. */
  readonly slowMs: number;
  /** Asks so often, whatever it was told. */
  readonly everyMs?: number;
}

interface Run {
  /** Slots by worker, in seconds. */
  readonly slots: readonly (readonly number[])[];
  readonly updates: number;
  readonly spacing: number;
}

const BEGAN_MS = 1_763_700_000_000;

/** Workers that ask when they were told to, and use what they get. */
function askOn(workers: readonly Worker[], windows: readonly CallWindow[], seconds: number): Run {
  let state = remember(freshState(BEGAN_MS), { firstEver: true, budget: null }, BEGAN_MS);
  const members = workers.map((it, i) => ({ ...it, name: `w${i}`, askAtMs: BEGAN_MS + i * 7, slots: [] as number[] }));
  let updates = 0;
  for (;;) {
    const next = members.reduce((a, b) => (a.askAtMs <= b.askAtMs ? a : b));
    const nowMs = next.askAtMs;
    if (nowMs > BEGAN_MS + seconds * 1000) break;
    if (nowMs > BEGAN_MS + next.diesAt * 1000) {
      next.askAtMs = Number.POSITIVE_INFINITY;
      continue;
    }
    const held = next.slots.filter((slot) => slot > nowMs).length;
    const request: BookRequest = bookingOf(next.name, {
      sentAtMs: nowMs,
      wanted: next.wanted,
      held,
      budget: { windows, concurrencyMax: null },
    });
    const booked = book(state, request, nowMs);
    state = booked.state;
    updates++;
    expect(booked.answer.askAgainMs).toBeGreaterThanOrEqual(100);
    next.slots.push(...slotTimes(booked.answer));
    next.askAtMs = nowMs + (next.everyMs ?? booked.answer.askAgainMs + next.slowMs);
  }
  const [window] = windows;
  const slots = members.map((it) => it.slots.map((slot) => (slot - BEGAN_MS) / 1000));
  return { slots, updates, spacing: window === undefined ? 0 : (window.seconds + 0.02) / window.calls };
}

function between(times: readonly number[], from: number, to: number): number {
  return times.filter((at) => at >= from && at < to).length;
}

const alive = (wanted: number): Worker => ({ wanted, diesAt: Number.POSITIVE_INFINITY, slowMs: 10 });

describe('while every worker wants more than there is', () => {
  const windows = fc.record({ calls: fc.constantFrom(1, 3, 7, 50, 200, 1_000), seconds: fc.constantFrom(1, 2) });
  const crowd = fc.integer({ min: 1, max: 20 });

  test('98 % of the calendar is granted, nobody starves, and the governor is not asked too often', () => {
    fc.assert(
      fc.property(windows, crowd, fc.nat(40), (window, size, slowMs) => {
        const workers = Array.from({ length: size }, () => ({ ...alive(5_000), slowMs }));
        const { slots, updates, spacing } = askOn(workers, [window], 60);
        expect(between(slots.flat(), 5, 60) * spacing).toBeGreaterThan(0.98 * 55 - spacing);
        const fair = 55 / spacing / size;
        for (const times of slots) expect(between(times, 5, 60)).toBeGreaterThan(0.5 * fair - 2);
        expect(updates / 60).toBeLessThan(20);
      }),
      { numRuns: 30 },
    );
  });

  test('four workers that want one each share one call per second', () => {
    const { slots, spacing } = askOn(
      Array.from({ length: 4 }, () => alive(1)),
      [{ calls: 1, seconds: 1 }],
      120,
    );
    expect(between(slots.flat(), 5, 115) * spacing).toBeGreaterThan(0.98 * 110);
    for (const times of slots) expect(between(times, 5, 115)).toBeGreaterThan(24);
  });

  test('workers that come and go leave nobody out who stays', () => {
    const workers = [alive(5_000), ...Array.from({ length: 15 }, (_, i) => ({ ...alive(5_000), diesAt: 3 + 7 * i }))];
    const { slots } = askOn(workers, [{ calls: 2, seconds: 1 }], 120);
    const [stays = []] = slots;
    const gaps = stays.slice(1).map((at, i) => at - (stays[i] ?? 0));
    expect(Math.max(...gaps)).toBeLessThan(16);
  });

  test('a worker that asks all the time gets no more than its turn', () => {
    const pushy = { ...alive(5_000), everyMs: 20 };
    const { slots } = askOn(
      [...Array.from({ length: 11 }, () => alive(5_000)), pushy],
      [{ calls: 1, seconds: 1 }],
      240,
    );
    for (const times of slots) expect(between(times, 10, 240)).toBeGreaterThan(230 / 1.02 / 12 - 4);
  });

  test('a minute that is used up is shared as well', () => {
    const windows = [
      { calls: 50, seconds: 1 },
      { calls: 300, seconds: 60 },
    ];
    const { slots } = askOn(
      Array.from({ length: 6 }, () => alive(1_000)),
      windows,
      600,
    );
    expect(slots.flat().length).toBeGreaterThan(0.97 * 3_000);
    for (const times of slots) expect(times.length).toBeGreaterThan(200);
  });
});

describe('a worker', () => {
  test('alone may have all', () => {
    const { slots, spacing } = askOn([alive(5_000)], [{ calls: 200, seconds: 1 }], 30);
    expect(between(slots.flat(), 2, 30) * spacing).toBeGreaterThan(0.98 * 28);
  });

  test('that wants little gets it, and the others get the rest', () => {
    const { slots, spacing } = askOn([alive(1), alive(5_000)], [{ calls: 100, seconds: 1 }], 60);
    expect(between(slots[0] ?? [], 5, 60)).toBeGreaterThan(50);
    expect(between(slots.flat(), 5, 60) * spacing).toBeGreaterThan(0.98 * 55);
  });

  test('that is killed wastes what it held: the others have its share 2.5 s later', () => {
    const workers = [alive(5_000), { ...alive(5_000), diesAt: 20 }];
    const { slots, spacing } = askOn(workers, [{ calls: 100, seconds: 1 }], 60);
    const [stays = [], dies = []] = slots;
    expect(dies.filter((at) => at > 20).length * spacing).toBeLessThan(1.5);
    expect(between(stays, 23.5, 60) * spacing).toBeGreaterThan(0.98 * 36.5);
  });

  test('that says it holds nothing is believed: the answer was lost', () => {
    const began = remember(freshState(BEGAN_MS), { firstEver: true, budget: null }, BEGAN_MS);
    const lost = book(began, bookingOf('a', { wanted: 10, held: 0 }), BEGAN_MS);
    const again = book(lost.state, bookingOf('a', { wanted: 10, held: 0 }), BEGAN_MS + 100);
    const [former, latter] = [slotTimes(lost.answer), slotTimes(again.answer)];
    expect(latter.length).toBeGreaterThan(0);
    expect(Math.min(...latter)).toBeGreaterThan(Math.max(...former));
  });

  test('of ten thousand names does not make the state grow beyond its bound', () => {
    let state = remember(freshState(BEGAN_MS), { firstEver: true, budget: null }, BEGAN_MS);
    for (let i = 0; i < 3_000; i++) state = book(state, bookingOf(`w${i}`, { wanted: 1 }), BEGAN_MS + i).state;
    expect(state.holders.length).toBe(1_000);
    expect(state.holders.at(-1)?.worker).toBe('w2999');
  });
});

describe('the waterline', () => {
  test('meets every demand below it, and is where the rest is even', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(1_000), { minLength: 1, maxLength: 30 }), fc.nat(5_000), (demands, capacity) => {
        const level = waterline(demands, capacity);
        const given = demands.reduce((sum, demand) => sum + Math.min(demand, level), 0);
        const asked = demands.reduce((sum, demand) => sum + demand, 0);
        expect(given).toBeCloseTo(Math.min(asked, capacity), 6);
      }),
    );
  });
});
