import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { createArrivals } from '../../../src/operations/callbacks/arrivals.ts';

beforeEach(() => vi.useFakeTimers());
afterEach(() => vi.useRealTimers());

function tellingArrivals() {
  const told: { readonly name: string; readonly at: number; readonly ordinals: readonly number[] }[] = [];
  const arrivals = createArrivals(async (account, id, ordinals) => {
    told.push({ name: `${account}/${id}`, at: Date.now(), ordinals });
  });
  return { arrivals, told };
}

test('the first callback is told of at once, those within the next second together at its end', () => {
  const { arrivals, told } = tellingArrivals();
  for (const ordinal of [3, 1, 3, 2, 1]) arrivals.add('a', 'op', ordinal);
  expect(told.map(({ ordinals }) => ordinals)).toEqual([[3]]);
  vi.advanceTimersByTime(999);
  expect(told).toHaveLength(1);
  vi.advanceTimersByTime(1);
  expect(told.map(({ ordinals }) => ordinals)).toEqual([[3], [1, 3, 2]]);
  vi.advanceTimersByTime(10_000);
  expect(told).toHaveLength(2);
});

test('the last callback of a burst is always told of', () => {
  const { arrivals, told } = tellingArrivals();
  for (let i = 0; i < 5_000; i++) {
    arrivals.add('a', 'op', i);
    vi.advanceTimersByTime(1);
  }
  vi.advanceTimersByTime(60_000);
  expect(new Set(told.flatMap(({ ordinals }) => ordinals)).size).toBe(5_000);
  expect(told.length).toBeLessThanOrEqual(6);
});

test('callbacks that trickle for an hour cost some 150 signals, none within a second of another', () => {
  const { arrivals, told } = tellingArrivals();
  for (let i = 0; i < 36_000; i++) {
    arrivals.add('a', 'op', i % 4);
    vi.advanceTimersByTime(100);
  }
  expect(told.length).toBeLessThan(170);
  const gaps = told.slice(1).map(({ at }, i) => at - (told[i]?.at ?? 0));
  expect(Math.min(...gaps)).toBeGreaterThanOrEqual(1_000);
  expect(Math.max(...gaps)).toBeLessThanOrEqual(60_100);
});

test('operations do not wait for each other, and one that was quiet is told of at once again', () => {
  const { arrivals, told } = tellingArrivals();
  arrivals.add('a', 'one', 0);
  arrivals.add('b', 'one', 0);
  expect(told.map(({ name }) => name)).toEqual(['a/one', 'b/one']);
  vi.advanceTimersByTime(5_000);
  arrivals.add('a', 'one', 7);
  expect(told.at(-1)).toMatchObject({ name: 'a/one', ordinals: [7] });
});

test('nothing is told and no timer is left after the stop', () => {
  const { arrivals, told } = tellingArrivals();
  arrivals.add('a', 'op', 0);
  arrivals.add('a', 'op', 1);
  arrivals.stop();
  vi.advanceTimersByTime(120_000);
  expect(told).toHaveLength(1);
  expect(vi.getTimerCount()).toBe(0);
});
