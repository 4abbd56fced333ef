import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type Budget, type CallReport, type CallWindow, SPREAD_MS } from '../../../../src/model/governor.ts';
import { countedWindows, layOut, spacingMs } from '../../../../src/workflows/governor/calendar.ts';
import { tracksOf } from '../../../../src/workflows/governor/windows.ts';
import { playWorld, type Timed, type Used, type World } from '../../../fixtures/booking-world.ts';
import { slotTimes } from '../../../fixtures/governors.ts';

/** The most arrivals in any span of `seconds`, wherever it begins. */
function largest(used: readonly Used[], seconds: number): number {
  const times = used.map(({ arrivedMs }) => arrivedMs).sort((a, b) => a - b);
  let most = 0;
  let from = 0;
  for (const [to, at] of times.entries()) {
    while (at - (times[from] ?? at) >= seconds * 1_000) from++;
    most = Math.max(most, to - from + 1);
  }
  return most;
}

/** Every window over the slots that were booked while it held, one budget after the other. */
function faultsOf({ used, phases }: World): string[] {
  const faults: string[] = [];
  const windows = new Map<string, CallWindow>();
  for (const { budget } of phases) for (const it of budget.windows) windows.set(`${it.calls}/${it.seconds}`, it);
  for (const [name, window] of windows) {
    let since = 0;
    for (let phase = 0; phase <= phases.length; phase++) {
      const holds = phases[phase]?.budget.windows.some((it) => `${it.calls}/${it.seconds}` === name) === true;
      if (holds) continue;
      const during = used.filter((it) => it.phase >= since && it.phase < phase);
      since = phase + 1;
      // A lost governor's long windows begin anew.
      const lives = window.seconds > 10 ? [...new Set(during.map(({ life }) => life))] : [null];
      for (const life of lives) {
        const count = largest(life === null ? during : during.filter((it) => it.life === life), window.seconds);
        if (count > window.calls) faults.push(`${count} calls in a window of ${name}`);
      }
    }
  }
  return faults;
}

const shortWindow = fc.record({ calls: fc.integer({ min: 1, max: 300 }), seconds: fc.integer({ min: 1, max: 5 }) });
const longWindow = fc.record({ calls: fc.integer({ min: 1, max: 400 }), seconds: fc.constantFrom(11, 20, 60) });
const budgets: fc.Arbitrary<Budget> = fc
  .tuple(fc.array(shortWindow, { maxLength: 2 }), fc.array(longWindow, { maxLength: 2 }))
  .filter(([short, long]) => short.length + long.length > 0)
  .map(([short, long]) => ({ windows: [...short, ...long], concurrencyMax: null }));

const report = fc.oneof(
  { weight: 6, arbitrary: fc.constant({ answered: 10 }) },
  { weight: 1, arbitrary: fc.record({ answered: fc.nat(50), limited: fc.nat(20) }) },
  { weight: 1, arbitrary: fc.record({ limited: fc.constant(1), closedUntilMs: fc.nat(2_000) }) },
  { weight: 1, arbitrary: fc.record({ failed: fc.nat(15), down: fc.boolean() }) },
);
const ask = fc.record({
  kind: fc.constant('ask' as const),
  worker: fc.nat(4),
  wanted: fc.oneof(fc.nat(20), fc.constant(5_000)),
  fate: fc.oneof(
    { weight: 5, arbitrary: fc.constant('comes' as const) },
    { weight: 1, arbitrary: fc.constantFrom('late' as const, 'lost' as const) },
  ),
  report,
});
const steps: fc.Arbitrary<Timed[]> = fc.array(
  fc.record({
    waitMs: fc.oneof(fc.nat(120), fc.nat(1_500), fc.nat(9_000)),
    step: fc.oneof(
      { weight: 20, arbitrary: ask },
      {
        weight: 1,
        arbitrary: fc.record({ kind: fc.constant('freeze' as const), worker: fc.nat(4), ms: fc.nat(8_000) }),
      },
      { weight: 1, arbitrary: fc.record({ kind: fc.constant('budget' as const), budget: fc.option(budgets) }) },
      { weight: 1, arbitrary: fc.record({ kind: fc.constant('settings' as const), budget: budgets }) },
      { weight: 1, arbitrary: fc.constant({ kind: 'continue' as const }) },
      { weight: 1, arbitrary: fc.record({ kind: fc.constant('lose' as const), awayMs: fc.nat(3_000) }) },
    ),
  }),
  { minLength: 20, maxLength: 90, size: 'max' },
);
/** Where in its 20 ms a call arrives: at either end of it above all. */
const lateness = fc.func(fc.constantFrom(0, 1, 0.3)).map((draw) => (nth: number) => draw(nth % 97));

function askOf(worker: number): Timed {
  return { waitMs: 130, step: { kind: 'ask', worker, wanted: 3, fate: 'comes', report: { answered: 1 } } };
}

describe('whatever workers, answers, clocks and budgets do', () => {
  test('no window holds more calls than a budget allows that is in force throughout', () => {
    fc.assert(
      fc.property(steps, budgets, lateness, (schedule, first, late) => {
        expect(faultsOf(playWorld(schedule, first, late))).toEqual([]);
      }),
      { numRuns: 300 },
    );
  });

  test('slots never go back, and no time is given to two', () => {
    fc.assert(
      fc.property(steps, budgets, (schedule, first) => {
        const { used } = playWorld(schedule, first, () => 0);
        expect(used.slice(1).every((it, i) => it.slotMs > (used[i]?.slotMs ?? 0))).toBe(true);
      }),
      { numRuns: 100 },
    );
  });

  test('the slots that a lost governor granted furthest ahead are kept apart from those of the next one', () => {
    const budget: Budget = { windows: [{ calls: 1, seconds: 1 }], concurrencyMax: null };
    const asks = (before: number, awayMs: number): Timed[] => [
      ...Array.from({ length: before }, (_, i) => askOf(i % 12)),
      { waitMs: 0, step: { kind: 'lose', awayMs } },
      ...Array.from({ length: 60 }, (_, i) => askOf(i % 12)),
    ];
    for (let before = 40; before < 60; before++) {
      for (const awayMs of [0, 10, 40, 500]) {
        const world = playWorld(asks(before, awayMs), budget, (nth) => nth % 2);
        expect(faultsOf(world)).toEqual([]);
        expect(new Set(world.used.map(({ life }) => life)).size).toBe(2);
      }
    }
  });

  test('what is carried on stays small and plain', () => {
    fc.assert(
      fc.property(steps, budgets, (schedule, first) => {
        const { state } = playWorld(schedule, first, () => 0);
        const text = JSON.stringify(state);
        expect(JSON.parse(text)).toEqual(state);
        expect(text.length).toBeLessThan(20_000);
      }),
      { numRuns: 50 },
    );
  });
});

describe('slots', () => {
  const ONE_SECOND: Budget = { windows: [{ calls: 50, seconds: 1 }], concurrencyMax: null };
  const BEGIN_MS = 1_763_700_000_000;

  function laidOut(budget: Budget, untilMs: number, countMax = 1_000_000) {
    const everyMs = spacingMs(budget) ?? 0;
    const pace = { everyMs, counted: countedWindows(budget), ramp: null };
    const calendar = { lastAtMs: 0, tracks: tracksOf(budget.windows, []) };
    return layOut(calendar, pace, { earliestMs: BEGIN_MS, untilMs: BEGIN_MS + untilMs, countMax });
  }

  test('are as far apart as their strictest short window asks for', () => {
    const budget = {
      windows: [
        { calls: 50, seconds: 1 },
        { calls: 100, seconds: 5 },
      ],
      concurrencyMax: null,
    };
    expect(spacingMs(ONE_SECOND)).toBeCloseTo((1_000 + SPREAD_MS) / 50, 3);
    expect(spacingMs(budget)).toBeCloseTo((5_000 + SPREAD_MS) / 100, 3);
    expect(spacingMs({ windows: [], concurrencyMax: 5 })).toBeNull();
  });

  test('are exact in epoch times: a run is as far apart at its end as at its beginning', () => {
    const { runs } = laidOut({ windows: [{ calls: 997, seconds: 1 }], concurrencyMax: null }, 5_000);
    const times = slotTimes({ slots: runs });
    const gaps = new Set(times.slice(1).map((at, i) => at - (times[i] ?? 0)));
    expect([...gaps]).toEqual([spacingMs({ windows: [{ calls: 997, seconds: 1 }], concurrencyMax: null })]);
  });

  test('of a minute may burst at the pace of the second until the minute is used up', () => {
    const budget = {
      windows: [
        { calls: 50, seconds: 1 },
        { calls: 100, seconds: 60 },
      ],
      concurrencyMax: null,
    };
    const { runs, count, nextAtMs } = laidOut(budget, 5_000);
    expect(count).toBe(100);
    expect(slotTimes({ slots: runs }).at(-1)).toBeLessThan(BEGIN_MS + 2_100);
    expect(nextAtMs).toBeGreaterThanOrEqual(BEGIN_MS + 60_000 + SPREAD_MS);
    expect(nextAtMs).toBeLessThan(BEGIN_MS + 61_000);
  });

  test('of a long window alone do not bunch in one moment', () => {
    const { runs } = laidOut({ windows: [{ calls: 90_000, seconds: 86_400 }], concurrencyMax: null }, 5_000);
    expect(runs[0]?.everyMs).toBe(1);
  });

  test('count what was booked closer together before a vendor showed less than its budget', () => {
    const budget: Budget = { windows: [{ calls: 2, seconds: 11 }], concurrencyMax: null };
    const ask = (waitMs: number, report: Partial<CallReport>): Timed => ({
      waitMs,
      step: { kind: 'ask', worker: 0, wanted: 5_000, fate: 'comes', report },
    });
    // Two at once, then refusals: slots are further apart from then on than eleven seconds for two would ask for.
    const refusals = Array.from({ length: 12 }, () => ask(1_000, { limited: 10 }));
    const world = playWorld([ask(0, {}), ...refusals, ...refusals], budget, () => 0);
    expect(world.used.length).toBeGreaterThan(3);
    expect(faultsOf(world)).toEqual([]);
  });

  test('cost nothing of a budget whose short window says the same', () => {
    const budget: Budget = {
      windows: [
        { calls: 50, seconds: 1 },
        { calls: 3_000, seconds: 60 },
      ],
      concurrencyMax: null,
    };
    const everyMs = spacingMs(budget) ?? 0;
    const fresh = { lastAtMs: 0, tracks: tracksOf(budget.windows, []) };
    const bounds = { earliestMs: 1_000_000, untilMs: 1_200_000, countMax: 1_000_000 };
    const { count } = layOut(fresh, { everyMs, counted: countedWindows(budget), ramp: null }, bounds);
    expect(count).toBe(Math.floor(200_000 / everyMs) + 1);
  });
});
