/** Options of a scenario are read strictly: numbers, lists of them, flags. */
import { describe, expect, it } from 'vitest';
import { describeOptions, readOptions } from '../../../bench/options.ts';

const SPECS = {
  rates: { fallback: [50], min: 1, max: 1_000, doc: 'calls per second' },
  workers: { fallback: 4, min: 1, max: 32, doc: 'processes' },
  halve: { fallback: 0, min: 0, max: 1, isFlag: true, doc: 'halves half-way' },
} as const;

describe('options', () => {
  it('have their defaults', () => {
    expect(readOptions(SPECS, [])).toEqual({ rates: [50], workers: 4, halve: 0 });
  });

  it('are numbers, lists and flags, in any order and either spelling', () => {
    const read = { rates: [1, 50, 200], workers: 2, halve: 1 };
    expect(readOptions(SPECS, ['--halve', '--rates', '1,50,200', '--workers', '2'])).toEqual(read);
    expect(readOptions(SPECS, ['--rates=1,50,200', '--workers=2', '--halve'])).toEqual(read);
  });

  it.each([
    [['--rates', '1,,2'], '--rates 1,,2 must be whole numbers'],
    [['--rates', '1,1001'], '--rates'],
    [['--rates'], '--rates'],
    [['--workers'], '--workers  must be a whole number from 1 to 32'],
    [['--workers', '1,2'], '--workers 1,2 must be a whole number'],
    [['--workers', '2', '--workers', '3'], '--workers is given twice'],
    [['--halve', '2'], '--halve 2'],
    [['--turbo'], '--turbo is no option'],
    [['rates', '5'], 'rates is no option'],
  ])('refuse %j', (args, fault) => {
    expect(() => readOptions(SPECS, args)).toThrow(fault);
  });

  it('are described with their bounds', () => {
    expect(describeOptions(SPECS)).toBe(
      '--rates 50 (1–1000: calls per second), --workers 4 (1–32: processes), --halve (halves half-way)',
    );
  });
});
