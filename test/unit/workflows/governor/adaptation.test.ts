import { describe, expect, test } from 'vitest';
import type { Budget } from '../../../../src/model/governor.ts';
import { adapt, UNADAPTED } from '../../../../src/workflows/governor/adaptation.ts';
import { callsPerSecond } from '../../../../src/workflows/governor/pace.ts';
import { QUIET_REPORT } from '../../../fixtures/governors.ts';
import { type Call, runVendorLoop } from '../../../fixtures/vendor-loop.ts';

function share(calls: readonly Call[], status: Call['status'], from: number, to: number): number {
  const span = calls.filter(({ at }) => at >= from && at < to);
  return span.filter((it) => it.status === status).length / span.length;
}

function answeredPerSecond(calls: readonly Call[], from: number, to: number): number {
  return calls.filter(({ at, status }) => status === 'answered' && at >= from && at < to).length / (to - from);
}

const perSecond = (calls: number): Budget => ({ windows: [{ calls, seconds: 1 }], concurrencyMax: null });

describe.each([50, 200, 1_000])('at %i calls/s', (rate) => {
  test.each([1, 4])(
    '%i workers find a limit that the vendor halves without telling, and the old one again',
    (workers) => {
      const limitAt = (second: number) => (second >= 60 && second < 360 ? rate / 2 : rate);
      const options = { seed: rate + workers, workers, budget: perSecond(rate), seconds: 570, latencyMs: 100, limitAt };
      const { calls } = runVendorLoop(options);
      expect(answeredPerSecond(calls, 5, 60)).toBeGreaterThan(0.97 * rate);
      expect(share(calls, 'limited', 0, 60)).toBe(0);
      expect(share(calls, 'limited', 90, 360)).toBeLessThan(0.01);
      expect(answeredPerSecond(calls, 90, 360)).toBeGreaterThan(0.9 * (rate / 2));
      expect(answeredPerSecond(calls, 510, 570)).toBeGreaterThan(0.9 * rate);
      expect(share(calls, 'limited', 360, 570)).toBeLessThan(0.01);
    },
  );
});

test('a vendor whose limit falls to a fiftieth is still called, and not overrun', () => {
  const limitAt = (second: number) => (second < 30 ? 200 : 4);
  const { calls } = runVendorLoop({
    seed: 3,
    workers: 3,
    budget: perSecond(200),
    seconds: 330,
    latencyMs: 50,
    limitAt,
  });
  expect(answeredPerSecond(calls, 90, 330)).toBeGreaterThan(2);
  expect(share(calls, 'limited', 90, 330)).toBeLessThan(0.1);
});

describe('an outage of five minutes', () => {
  const limitAt = (second: number) => (second >= 30 && second < 330 ? null : 100);
  const options = { seed: 11, workers: 4, budget: perSecond(100), seconds: 450, latencyMs: 50, limitAt };

  test('costs a handful of calls, and ends within ten seconds of its end', () => {
    const { calls } = runVendorLoop(options);
    expect(calls.filter(({ at }) => at >= 35 && at < 330).length).toBeLessThan(120);
    expect(calls.find(({ at, status }) => at >= 330 && status === 'answered')?.at).toBeLessThan(340);
    expect(answeredPerSecond(calls, 380, 450)).toBeGreaterThan(90);
  });

  test('is not probed by two at a time, nor given up', () => {
    const { calls } = runVendorLoop(options);
    const probes = calls.filter(({ at }) => at >= 40 && at < 330).map(({ at }) => at);
    const gaps = probes.slice(1).map((at, i) => at - (probes[i] ?? 0));
    expect(Math.min(...gaps)).toBeGreaterThan(2);
    expect(Math.max(...gaps)).toBeLessThan(8);
  });

  test('is followed by a slow start', () => {
    const { calls } = runVendorLoop(options);
    const back = calls.find(({ at, status }) => at >= 330 && status === 'answered')?.at ?? 0;
    const firstSecond = calls.filter(({ at }) => at > back + 0.05 && at < back + 1.5).length;
    expect(firstSecond).toBeLessThan(75);
  });
});

test('calls that fail now and then do not lower the rate for long', () => {
  const limitAt = (second: number) => (Math.floor(second) % 20 === 0 ? null : 100);
  const { state, calls } = runVendorLoop({
    seed: 5,
    workers: 2,
    budget: perSecond(100),
    seconds: 119,
    latencyMs: 50,
    limitAt,
  });
  expect(callsPerSecond(state) ?? 0).toBeGreaterThan(70);
  expect(answeredPerSecond(calls, 10, 119)).toBeGreaterThan(60);
});

describe('calls of which many fail for good', () => {
  const around = { allowed: 100, bookedUntilMs: 0, askEveryMs: 500, busy: true };

  test('lower the rate once per second, and to a tenth of what is allowed at most', () => {
    let adapted = UNADAPTED;
    const rates = [];
    for (let nowMs = 10_000; nowMs < 40_000; nowMs += 500) {
      adapted = adapt(adapted, { ...QUIET_REPORT, answered: 5, failed: 5 }, { ...around, nowMs });
      rates.push(adapted.rate ?? 100);
    }
    expect(rates.slice(0, 3).map((rate) => Math.round(rate))).toEqual([80, 83, 66]);
    expect(rates.at(-1)).toBeGreaterThanOrEqual(10);
    expect(Math.min(...rates)).toBeLessThan(20);
  });

  test('do not lower it where they are few', () => {
    const report = { ...QUIET_REPORT, answered: 9, failed: 1 };
    expect(adapt(UNADAPTED, report, { ...around, nowMs: 10_000 }).rate).toBeNull();
    expect(adapt(UNADAPTED, { ...QUIET_REPORT, failed: 1 }, { ...around, nowMs: 10_000 }).rate).toBeNull();
  });
});
