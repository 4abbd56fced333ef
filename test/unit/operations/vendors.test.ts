/** What is set for a vendor is written down first, told second, and never lost between the two. */
import { describe, expect, it } from 'vitest';
import type { SetBudget } from '../../../src/model/budget.ts';
import type { Budget, GovernorStanding } from '../../../src/model/governor.ts';
import { noLog } from '../../../src/model/log.ts';
import type { GovernorClient } from '../../../src/operations/vendors/governor-client.ts';
import { createVendors } from '../../../src/operations/vendors/vendors.ts';

const FIFTY: Budget = { windows: [{ calls: 50, seconds: 1 }], concurrencyMax: null };
const TEN: Budget = { windows: [{ calls: 10, seconds: 1 }], concurrencyMax: null };
const ACTOR = { subject: 'ann', traceId: 'trace' };

/** A store and governors in memory, and in which order they were used. */
function room(over: Partial<GovernorClient> = {}, statusCacheMs = 0) {
  const steps: string[] = [];
  const kept = new Map<string, SetBudget>();
  const governed = new Map<string, Budget | null>();
  const vendors = createVendors({
    configured: { products: FIFTY, sync: null },
    budgets: {
      read: async (vendor) => kept.get(vendor) ?? null,
      async put(vendor, set) {
        steps.push('kept');
        kept.set(vendor, set);
      },
    },
    governors: {
      async standing() {
        steps.push('asked');
        return null;
      },
      async setBudget(vendor, budget) {
        steps.push('told');
        governed.set(vendor, budget);
        return { budget, effectiveAtMs: Date.now() + 1_000 };
      },
      async clearBudget(vendor) {
        steps.push('told');
        governed.set(vendor, null);
        return null;
      },
      ...over,
    },
    settings: { statusCacheMs, statusDeadlineMs: 100, storeDeadlineMs: 100 },
    log: noLog,
  });
  return { vendors, steps, kept, governed };
}

describe('a budget that is set', () => {
  it('is kept before the governor is told, with who said so', async () => {
    const { vendors, steps, kept } = room();
    const { vendor } = await vendors.setBudget({ vendor: 'products', budget: TEN, actor: ACTOR });
    expect(steps).toEqual(['kept', 'told', 'asked']);
    expect(kept.get('products')).toMatchObject({ version: 1, budget: TEN, setBy: 'ann' });
    expect(vendor).toMatchObject({ budget: TEN, budgetDefault: FIFTY, budgetSet: { setBy: 'ann' } });
    vendors.stop();
  });

  it('is kept although no governor is reached, and that is said', async () => {
    const away = async () => Promise.reject(new Error('away'));
    const { vendors, kept } = room({ setBudget: away, standing: away });
    await expect(vendors.setBudget({ vendor: 'products', budget: TEN, actor: ACTOR })).rejects.toMatchObject({
      code: 'unavailable',
      message: expect.stringContaining('is kept'),
    });
    expect(kept.get('products')?.budget).toEqual(TEN);
    expect(await vendors.get('products')).toMatchObject({ budget: TEN, live: false });
    vendors.stop();
  });

  it('takes effect only when workers that called freely have looked', async () => {
    const { vendors } = room();
    const before = Date.now();
    const governed = await vendors.setBudget({ vendor: 'products', budget: TEN, actor: ACTOR });
    expect(Date.parse(governed.effectiveAt)).toBeLessThan(before + 5_000);
    const free = await vendors.setBudget({ vendor: 'sync', budget: TEN, actor: ACTOR });
    expect(Date.parse(free.effectiveAt)).toBeGreaterThanOrEqual(before + 5_000);
    vendors.stop();
  });

  it('that is overtaken by another leaves the governor with the one that is kept', async () => {
    const slow = Promise.withResolvers<void>();
    let told = 0;
    const { vendors, governed, kept } = room({
      async setBudget(vendor, budget) {
        told += 1;
        if (told === 1) await slow.promise;
        governed.set(vendor, budget);
        return { budget, effectiveAtMs: Date.now() };
      },
    });
    const first = vendors.setBudget({ vendor: 'products', budget: TEN, actor: ACTOR });
    await expect.poll(() => told).toBe(1);
    await vendors.setBudget({ vendor: 'products', budget: FIFTY, actor: ACTOR });
    slow.resolve();
    await first;
    expect(kept.get('products')?.budget).toEqual(FIFTY);
    expect(governed.get('products')).toEqual(FIFTY);
    vendors.stop();
  });

  it('is taken back to the setting', async () => {
    const { vendors, governed } = room();
    await vendors.setBudget({ vendor: 'products', budget: TEN, actor: ACTOR });
    const { vendor } = await vendors.setBudget({ vendor: 'products', budget: null, actor: ACTOR });
    expect(vendor).toMatchObject({ budget: FIFTY, budgetSet: null });
    expect(governed.get('products')).toBeNull();
    vendors.stop();
  });

  it.each<[string, Budget, string]>([
    ['nothing', { windows: [], concurrencyMax: null }, 'budget'],
    ['half a call', { windows: [{ calls: 0.5, seconds: 1 }], concurrencyMax: null }, 'budget.windows.0.calls'],
    ['no calls', { windows: [{ calls: 0, seconds: 1 }], concurrencyMax: null }, 'budget.windows.0.calls'],
    ['a month and a day', { windows: [{ calls: 1, seconds: 32 * 86_400 }], concurrencyMax: null }, 'windows.0.seconds'],
    ['no place', { windows: [], concurrencyMax: 0 }, 'budget.concurrencyMax'],
    ['one window twice', { windows: [...FIFTY.windows, ...TEN.windows], concurrencyMax: null }, 'budget.windows.1'],
  ])('and allows %s is refused, and nothing is kept', async (_, budget, place) => {
    const { vendors, steps } = room();
    await expect(vendors.setBudget({ vendor: 'products', budget, actor: ACTOR })).rejects.toMatchObject({
      code: 'invalid_policy',
      message: expect.stringContaining(place),
    });
    expect(steps).toEqual([]);
  });

  it('for no vendor is not found', async () => {
    const { vendors, steps } = room();
    const asked = vendors.setBudget({ vendor: 'toString', budget: TEN, actor: ACTOR });
    await expect(asked).rejects.toMatchObject({ code: 'not_found' });
    expect(steps).toEqual([]);
  });
});

describe('reading vendors', () => {
  it('asks a governor once for all who ask at once, and not again while its answer is young', async () => {
    const { vendors, steps } = room({}, 10_000);
    await Promise.all([vendors.get('products'), vendors.get('products'), vendors.list()]);
    await vendors.get('products');
    // Two vendors.
    expect(steps).toEqual(['asked', 'asked']);
  });

  it('leaves a silent governor alone for a moment', async () => {
    let asked = 0;
    const standing = async (): Promise<GovernorStanding> => {
      asked += 1;
      throw new Error('busy');
    };
    const { vendors } = room({ standing });
    expect(await vendors.get('products')).toMatchObject({ state: 'unknown', budget: FIFTY, live: false });
    await vendors.get('products');
    expect(asked).toBe(1);
  });

  it('shows what was set at once, whatever was read a moment before', async () => {
    const { vendors } = room({}, 10_000);
    expect(await vendors.get('products')).toMatchObject({ budget: FIFTY });
    await vendors.setBudget({ vendor: 'products', budget: TEN, actor: ACTOR });
    expect(await vendors.get('products')).toMatchObject({ budget: TEN });
  });
});
