import { expect, test } from 'vitest';
import { BOOK_AHEAD_MAX_MS, type Budget, FREE_MS, SPREAD_MS } from '../../../../src/model/governor.ts';
import { book } from '../../../../src/workflows/governor/book.ts';
import { remember, setBudget, standingOf } from '../../../../src/workflows/governor/govern.ts';
import { freshState } from '../../../../src/workflows/governor/state.ts';
import { bookingOf, slotTimes } from '../../../fixtures/governors.ts';

const BEGAN_MS = 1_763_700_000_000;
const FIVE: Budget = { windows: [{ calls: 5, seconds: 1 }], concurrencyMax: null };
const began = () => remember(freshState(BEGAN_MS), { firstEver: true, budget: null }, BEGAN_MS);

test('a budget that was set comes before what workers say, the latest of these counts where none is', () => {
  const first = book(began(), bookingOf('a'), BEGAN_MS);
  expect(first.answer.callsPerSecond).toBeCloseTo(49.02, 1);
  const changed = book(first.state, bookingOf('b', { budget: FIVE }), BEGAN_MS + 100);
  expect(changed.answer.callsPerSecond).toBeCloseTo(4.9, 1);
  const set = setBudget(changed.state, { windows: [{ calls: 9, seconds: 1 }], concurrencyMax: null }, BEGAN_MS + 200);
  expect(book(set.state, bookingOf('a'), BEGAN_MS + 300).answer.callsPerSecond).toBeCloseTo(8.8, 1);
  expect(setBudget(set.state, null, BEGAN_MS + 400).answer.budget).toEqual(FIVE);
});

test('what takes effect when: slots booked before stand, and none is counted on before it is known what was', () => {
  const booked = book(began(), bookingOf('a', { wanted: 20 }), BEGAN_MS);
  const last = slotTimes(booked.answer).at(-1) ?? 0;
  expect(setBudget(booked.state, FIVE, BEGAN_MS + 10).answer.effectiveAtMs).toBe(last + SPREAD_MS);
  const unready = setBudget(freshState(BEGAN_MS), FIVE, BEGAN_MS).answer;
  expect(unready.effectiveAtMs).toBeGreaterThanOrEqual(BEGAN_MS + BOOK_AHEAD_MAX_MS);
});

test('windows that are set where calls were free take effect when nobody calls freely any more', () => {
  const free = book(began(), bookingOf('a', { budget: { windows: [], concurrencyMax: 5 } }), BEGAN_MS);
  expect(free.answer.slots).toBe('free');
  const first = setBudget(free.state, { windows: [{ calls: 9, seconds: 1 }], concurrencyMax: null }, BEGAN_MS + 100);
  expect(first.answer.effectiveAtMs).toBe(BEGAN_MS + FREE_MS + SPREAD_MS);
  expect(setBudget(first.state, FIVE, BEGAN_MS + 200).answer.effectiveAtMs).toBe(BEGAN_MS + FREE_MS + SPREAD_MS);
});

test('a budget that is set while the past is asked for is newer than what is remembered', () => {
  const { state } = setBudget(freshState(BEGAN_MS), FIVE, BEGAN_MS);
  const old: Budget = { windows: [{ calls: 1, seconds: 1 }], concurrencyMax: null };
  expect(standingOf(remember(state, { firstEver: true, budget: old }, BEGAN_MS + 50), BEGAN_MS + 50).budget).toEqual(
    FIVE,
  );
});

test('until it is known whether there was a governor before, nothing is granted, and it is asked for soon', () => {
  const state = freshState(BEGAN_MS);
  const { answer } = book(state, bookingOf('a', { budget: { ...FIVE, concurrencyMax: 3 } }), BEGAN_MS);
  expect(answer).toMatchObject({ slots: [], places: 0 });
  expect(answer.askAgainMs).toBeLessThanOrEqual(125);
  expect(book(state, bookingOf('a'), BEGAN_MS + 60_000).answer.askAgainMs).toBeGreaterThanOrEqual(1_000);
});

test('slots that count for a day are granted to those alone who asked for them', () => {
  const daily: Budget = { windows: [{ calls: 10_000, seconds: 86_400 }], concurrencyMax: null };
  expect(slotTimes(book(began(), bookingOf('a', { wanted: 3, budget: daily }), BEGAN_MS).answer)).toHaveLength(3);
  const windows = [
    { calls: 50, seconds: 1 },
    { calls: 3_000, seconds: 60 },
  ];
  const ample: Budget = { windows, concurrencyMax: null };
  expect(
    slotTimes(book(began(), bookingOf('a', { wanted: 3, budget: ample }), BEGAN_MS).answer).length,
  ).toBeGreaterThan(3);
});

test('a budget without windows is free', () => {
  const budget = { windows: [], concurrencyMax: null };
  expect(book(began(), bookingOf('a', { budget }), BEGAN_MS).answer).toMatchObject({
    slots: 'free',
    callsPerSecond: null,
  });
});

test('what is shown of the windows is what stands in them now', () => {
  const windows = [
    { calls: 50, seconds: 1 },
    { calls: 500, seconds: 60 },
  ];
  let state = began();
  for (let ms = 0; ms < 3_000; ms += 400) {
    state = book(
      state,
      bookingOf('a', { wanted: 200, budget: { windows, concurrencyMax: null } }),
      BEGAN_MS + ms,
    ).state;
  }
  const [second, minute] = standingOf(state, BEGAN_MS + 3_000).used;
  expect(second?.used).toBeGreaterThan(40);
  expect(second?.used).toBeLessThanOrEqual(50);
  expect(minute?.used).toBeGreaterThan(100);
  expect(minute?.used).toBeLessThan(200);
});
