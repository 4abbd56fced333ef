/** The fullest window is found wherever it begins, and its edge is where the promise puts it. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { largestWindow, windowsOver } from '../../check/windows.ts';

describe('the fullest window', () => {
  it('is empty where nothing was called', () => {
    expect(largestWindow([], 1_000)).toEqual({ count: 0, atMs: Number.NaN });
    expect(windowsOver([], 1_000, 0)).toBe(0);
  });

  it('holds a call at its beginning and none at its end', () => {
    expect(largestWindow([0, 1_000], 1_000)).toEqual({ count: 1, atMs: 0 });
    expect(largestWindow([0, 999.999], 1_000)).toEqual({ count: 2, atMs: 0 });
  });

  it('is found across the borders of whole seconds', () => {
    const times = [100, 900, 950, 1_050, 1_100, 1_890, 2_500];
    expect(largestWindow(times, 1_000)).toEqual({ count: 5, atMs: 900 });
  });

  it('does not depend on the order in which calls were written down', () => {
    expect(largestWindow(Float64Array.of(1_050, 100, 950), 1_000)).toEqual({ count: 3, atMs: 100 });
  });

  it('counts every window that is over, and none that is just full', () => {
    const times = [0, 1, 2, 500, 2_000, 2_001];
    expect(windowsOver(times, 1_000, 3)).toBe(1);
    expect(windowsOver(times, 1_000, 4)).toBe(0);
    expect(windowsOver(times, 1_000, 1)).toBe(4);
  });

  it('keeps its exactness at epoch times with fractions', () => {
    const at = 1_790_000_000_000.25;
    expect(largestWindow([at, at + 999.75, at + 1_000], 1_000).count).toBe(2);
  });

  it('takes no call without a time and no window without a length', () => {
    expect(() => largestWindow([1, Number.NaN], 1_000)).toThrow('without a time');
    expect(() => largestWindow([1], 0)).toThrow('a window of 0 ms');
  });

  it('agrees with looking at every window one by one', () => {
    const times = fc.array(fc.integer({ min: 0, max: 300 }), { maxLength: 60 });
    fc.assert(
      fc.property(times, fc.integer({ min: 1, max: 100 }), (drawn, windowMs) => {
        const counts = drawn.map((from) => drawn.filter((at) => at >= from && at < from + windowMs).length);
        expect(largestWindow(drawn, windowMs).count).toBe(Math.max(0, ...counts));
      }),
    );
  });
});
