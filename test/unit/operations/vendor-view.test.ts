/** What readers are shown of a vendor is what is in force, and never more than is known. */
import { describe, expect, it } from 'vitest';
import type { SetBudget } from '../../../src/model/budget.ts';
import type { Budget, GovernorStanding } from '../../../src/model/governor.ts';
import { isUntold, type VendorFacts, viewOfVendor } from '../../../src/operations/vendors/vendor-view.ts';

const NOW = Date.parse('2026-11-21T12:00:00Z');
const FIFTY: Budget = { windows: [{ calls: 50, seconds: 1 }], concurrencyMax: 20 };
const TEN: Budget = { windows: [{ calls: 10, seconds: 1 }], concurrencyMax: null };
const EMPTY: Budget = { windows: [], concurrencyMax: null };
const set = (budget: Budget | null): SetBudget => ({ version: 1, budget, setBy: 'ann', setAt: '2026-11-21T11:00:00Z' });

function standing(over: Partial<GovernorStanding> = {}): GovernorStanding {
  return {
    version: 1,
    asOfMs: NOW,
    budget: FIFTY,
    isSet: false,
    allowedPerSecond: 49,
    callsPerSecond: 49,
    breaker: 'closed',
    breakerSinceMs: null,
    probeAtMs: null,
    closedUntilMs: 0,
    bookedUntilMs: NOW + 1_000,
    used: [{ calls: 50, seconds: 1, used: 48 }],
    workers: [{ worker: '1@host', seenAtMs: NOW - 100, held: 24, waiting: 5, inFlight: 3, places: 20 }],
    lastMinute: { answered: 2_900, limited: 0, failed: 1, unused: 0, latencyMs: 20 },
    ...over,
  };
}

const view = (facts: Partial<VendorFacts>) =>
  viewOfVendor({ vendor: 'products', configured: null, set: null, standing: null, nowMs: NOW, ...facts });

describe('a vendor', () => {
  it('without a budget is ungoverned, and that is known', () => {
    expect(view({})).toMatchObject({ state: 'ungoverned', budget: null, allowedPerSecond: null, live: true });
  });

  it('that nobody has called yet is idle under what is configured, or what was set instead', () => {
    const idle = view({ configured: FIFTY });
    expect(idle).toMatchObject({ state: 'idle', budget: FIFTY, budgetSet: null, callsPerSecond: null, live: true });
    expect(idle.breaker).toEqual({ state: 'closed', since: null, probeAt: null });
    const other = view({ configured: FIFTY, set: set(TEN) });
    expect(other).toMatchObject({ budget: TEN, budgetDefault: FIFTY, budgetSet: { budget: TEN, setBy: 'ann' } });
    expect(view({ configured: FIFTY, set: set(null) })).toMatchObject({ budget: FIFTY, budgetSet: null });
  });

  it('whose governor does not answer shows what is configured and claims nothing', () => {
    const silent = view({ configured: FIFTY, standing: 'silent' });
    expect(silent).toMatchObject({ state: 'unknown', budget: FIFTY, live: false, breaker: null, lastMinute: null });
    expect(view({ standing: 'silent' })).toMatchObject({ state: 'unknown', budget: null, live: false });
  });

  it('that is called shows what its governor says', () => {
    const shown = view({ configured: FIFTY, standing: standing() });
    expect(shown).toMatchObject({ state: 'active', budget: FIFTY, callsPerSecond: 49, adapted: false, live: true });
    expect(shown.workers).toEqual([
      { name: '1@host', seenAt: '2026-11-21T11:59:59.900Z', held: 24, waiting: 5, inFlight: 3, places: 20 },
    ]);
    expect(shown).toMatchObject({ bookedUntil: '2026-11-21T12:00:01.000Z', closedUntil: null });
  });

  it('says why it is slow: adapted, closed, its breaker open', () => {
    const shown = view({
      configured: FIFTY,
      standing: standing({
        callsPerSecond: 20,
        breaker: 'open',
        breakerSinceMs: NOW - 5_000,
        probeAtMs: NOW + 3_000,
        closedUntilMs: NOW + 3_000,
      }),
    });
    expect(shown).toMatchObject({ adapted: true, closedUntil: '2026-11-21T12:00:03.000Z' });
    expect(shown.breaker).toEqual({
      state: 'open',
      since: '2026-11-21T11:59:55.000Z',
      probeAt: '2026-11-21T12:00:03.000Z',
    });
  });

  it('shows no time that is over as one that lies ahead', () => {
    const shown = view({ configured: FIFTY, standing: standing({ closedUntilMs: NOW - 1, bookedUntilMs: NOW - 1 }) });
    expect(shown).toMatchObject({ closedUntil: null, bookedUntil: null });
  });

  it('is idle once no worker asks, and ungoverned once nobody keeps a budget for it', () => {
    expect(view({ configured: FIFTY, standing: standing({ workers: [] }) }).state).toBe('idle');
    const gone = view({ configured: null, standing: standing() });
    expect(gone).toMatchObject({ state: 'ungoverned', budget: null, allowedPerSecond: null, used: [] });
    expect(view({ configured: null, standing: standing({ budget: EMPTY }) }).budget).toBeNull();
  });

  it('keeps what was set although its setting names none', () => {
    const shown = view({ set: set(TEN), standing: standing({ budget: TEN, isSet: true }) });
    expect(shown).toMatchObject({ state: 'active', budget: TEN, budgetDefault: null });
  });
});

describe('a governor', () => {
  it.each<[string, SetBudget | null, Partial<GovernorStanding>, boolean]>([
    ['for whose vendor nothing was ever set', null, { isSet: false }, false],
    ['that has what was set', set(FIFTY), { isSet: true }, false],
    ['that has it with its windows in another order', set(two([10, 1], [99, 60])), twoSet([99, 60], [10, 1]), false],
    ['that has another budget', set(TEN), { isSet: true }, true],
    ['that keeps the default', set(FIFTY), { isSet: false }, true],
    ['that keeps what was taken back', set(null), { isSet: true }, true],
    ['that has heard of the taking back', set(null), { isSet: false }, false],
  ])('%s is told again: %#', (_, kept, over, untold) => {
    expect(isUntold(kept, standing(over))).toBe(untold);
  });
});

function two(...windows: readonly (readonly [number, number])[]): Budget {
  return { windows: windows.map(([calls, seconds]) => ({ calls, seconds })), concurrencyMax: null };
}

function twoSet(...windows: readonly (readonly [number, number])[]): Partial<GovernorStanding> {
  return { isSet: true, budget: two(...windows) };
}
