/** The bench judges a budget as the promise reads: every window, by arrivals, by departures where the vendor itself was slow. */
import { describe, expect, it } from 'vitest';
import { type Call, firstCallMs, judgeRate, limitedShare, useOf } from '../../../bench/governed-calls.ts';

const call = (at: number, over: Partial<Call> = {}): Call => ({ at, sentAtMs: at - 1, lagMs: 0, status: 200, ...over });
const SPAN = { fromMs: 0, toMs: 2_000 };

describe('a rate', () => {
  it('is kept where no window holds more, wherever it begins', () => {
    const calls = Array.from({ length: 20 }, (_, n) => call(n * 100));
    expect(judgeRate(calls, 10, SPAN)).toMatchObject({ calls: 20, violations: 0, use: 1, judgedBy: 'arrival' });
    expect(judgeRate(calls, 9, SPAN)).toMatchObject({ violations: 11, byArrival: { largest: 10, atSeconds: 0 } });
  });

  it('is judged by departures where the vendor was slow to look', () => {
    // Ten calls, evenly sent, that a vendor standing still for a second saw all at once.
    const calls = Array.from({ length: 20 }, (_, n) => call(1_950, { sentAtMs: n * 100, lagMs: 1_900 }));
    const verdict = judgeRate(calls, 10, SPAN);
    expect(verdict).toMatchObject({ judgedBy: 'departure', violations: 0, vendorLagMaxMs: 1_900 });
    expect(verdict.byArrival).toMatchObject({ largest: 20 });
  });

  it('is judged by arrivals where any call does not say when it left', () => {
    const calls = [call(0, { sentAtMs: null, lagMs: 50 }), call(1), call(2)];
    expect(judgeRate(calls, 2, SPAN)).toMatchObject({ judgedBy: 'arrival', byDeparture: null, violations: 1 });
  });

  it('without calls is neither broken nor used', () => {
    const verdict = judgeRate([], 10, SPAN);
    expect(verdict).toMatchObject({ calls: 0, violations: 0, use: 0, byArrival: { largest: 0 } });
    expect(judgeRate([], 10, { fromMs: 5, toMs: 5 }).use).toBeNaN();
    expect(firstCallMs([])).toBeNaN();
  });
});

describe('use', () => {
  it('counts what was taken within the span alone', () => {
    const calls = [
      call(-1),
      call(0),
      call(500, { status: 429 }),
      call(999, { status: null }),
      call(1_999),
      call(2_000),
    ];
    expect(useOf(calls, 1, SPAN)).toBe(1);
    expect(limitedShare(calls, SPAN)).toBe(0.25);
    expect(firstCallMs(calls)).toBe(-1);
  });
});
