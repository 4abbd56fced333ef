import { expect, test } from 'vitest';
import { createClockCheck } from '../../../src/vendors/clock-check.ts';

/** A round trip whose answer is given in the middle, by a clock that is `offMs` ahead. */
const trip = (sentMs: number, tookMs: number, offMs = 0) => {
  return { sentMs, receivedMs: sentMs + tookMs, nowMs: sentMs + tookMs / 2 + offMs };
};

test('clocks that agree are taken for one, however long an answer takes', () => {
  const isOneClock = createClockCheck();
  for (const [at, took] of [10, 3_000, 0, 1, 500].entries()) expect(isOneClock(trip(at * 10_000, took))).toBe(true);
});

test('a difference that one round trip has shown is not hidden by a slow one', () => {
  const isOneClock = createClockCheck();
  expect(isOneClock(trip(0, 10, 500))).toBe(false);
  expect(isOneClock(trip(1_000, 2_000, 500))).toBe(false);
});

test('whole ms, and clocks that are being set right, raise no alarm', () => {
  const isOneClock = createClockCheck();
  for (let second = 0; second < 600; second++) {
    const offMs = Math.sin(second / 20) * 3;
    expect(isOneClock(trip(second * 1_000, 2, Math.round(offMs)))).toBe(true);
  }
});

test('a clock that is set anew is judged anew', () => {
  const isOneClock = createClockCheck();
  expect(isOneClock(trip(0, 10, -800))).toBe(false);
  expect(isOneClock(trip(1_000, 10))).toBe(true);
});
