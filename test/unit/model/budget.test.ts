/** What a budget comes to is the same wherever it is said. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { allowedPerSecond } from '../../../src/model/budget.ts';
import { allowedPerSecond as asGoverned } from '../../../src/workflows/governor/pace.ts';

test('an idle vendor shows the pace that its governor would book at', () => {
  const window = fc.record({
    calls: fc.integer({ min: 1, max: 100_000 }),
    seconds: fc.constantFrom(1, 2, 10, 11, 60, 86_400),
  });
  fc.assert(
    fc.property(fc.uniqueArray(window, { selector: ({ seconds }) => seconds, maxLength: 6 }), (windows) => {
      const budget = { windows, concurrencyMax: 1 };
      const governed = asGoverned(budget);
      if (governed === null) expect(allowedPerSecond(budget)).toBeNull();
      // The governor rounds its spacing up to 1/2048 ms; what is shown has three decimals.
      else expect(Math.abs((allowedPerSecond(budget) ?? 0) - governed)).toBeLessThan(governed ** 2 / 2_000_000 + 0.001);
    }),
  );
});

test('it is told by the short windows: long ones may be used up faster', () => {
  const windows = [
    { calls: 50, seconds: 1 },
    { calls: 100_000, seconds: 86_400 },
  ];
  expect(allowedPerSecond({ windows, concurrencyMax: null })).toBe(49.02);
});
