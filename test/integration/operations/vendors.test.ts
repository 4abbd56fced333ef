/** Budgets that are set while a governor runs, starts, is lost, or cannot be reached. */
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { Budget } from '../../../src/model/governor.ts';
import { noLog } from '../../../src/model/log.ts';
import { createTemporalLink } from '../../../src/operations/running/temporal-link.ts';
import { createGovernorClient } from '../../../src/operations/vendors/governor-client.ts';
import { createVendors, type Vendors } from '../../../src/operations/vendors/vendors.ts';
import { createVendorBudgets } from '../../../src/storage/vendor-budgets.ts';
import { bookingOf, type Governors, startGovernors } from '../../fixtures/governors.ts';
import { eventually, lazyClient, openFolder, startTemporal } from '../../fixtures/operations-under-test.ts';

const ACTOR = { subject: 'ann', traceId: 'trace' };
const perSecond = (calls: number): Budget => ({ windows: [{ calls, seconds: 1 }], concurrencyMax: null });

let governors: Governors;
const opened: (Vendors & { stop(): void })[] = [];
beforeAll(async () => {
  governors = await startGovernors();
});
afterAll(() => governors.stop());
afterEach(() => {
  for (const vendors of opened.splice(0)) vendors.stop();
});

/** As one API process has them. */
function vendorsOf(
  configured: Readonly<Record<string, Budget | null>>,
  client = governors.env.client,
  store = governors.store,
) {
  const vendors = createVendors({
    configured,
    budgets: createVendorBudgets(store),
    governors: createGovernorClient(client, createTemporalLink(client)),
    settings: { statusCacheMs: 0, statusDeadlineMs: 1_500, storeDeadlineMs: 5_000 },
    log: noLog,
  });
  opened.push(vendors);
  return vendors;
}

const ANSWER_MS_MAX = 9_000;

/** What it came to, an error too, and whether anybody would have waited too long for it. */
async function timed(work: Promise<object>): Promise<object> {
  const began = performance.now();
  const answer = await work.catch((error: { readonly code: string }) => ({ code: error.code }));
  return { ...answer, isLate: performance.now() - began > ANSWER_MS_MAX };
}

describe('a budget', () => {
  test('that is set before anybody called starts a governor, which keeps it', async () => {
    const vendors = vendorsOf({ early: perSecond(50) });
    expect(await vendors.get('early')).toMatchObject({ state: 'idle', live: true, budget: perSecond(50) });
    const { vendor } = await vendors.setBudget({ vendor: 'early', budget: perSecond(7), actor: ACTOR });
    expect(vendor).toMatchObject({ state: 'idle', live: true, budget: perSecond(7), budgetSet: { setBy: 'ann' } });
    expect(await governors.standing('early')).toMatchObject({ isSet: true, budget: perSecond(7) });
    await governors.book('early', bookingOf('a', { budget: perSecond(50) }));
    expect(await vendors.get('early')).toMatchObject({
      state: 'active',
      budget: perSecond(7),
      allowedPerSecond: 6.863,
    });
  });

  test('that is set while calls are booked says from when on it is kept', async () => {
    const vendors = vendorsOf({ busy: perSecond(50) });
    await eventually(async () => (await governors.book('busy', bookingOf('a'))).slots.length > 0);
    const before = await vendors.get('busy');
    expect(before).toMatchObject({ state: 'active', adapted: false, breaker: { state: 'closed' } });
    expect(before.workers).toMatchObject([{ name: 'a' }]);
    const { effectiveAt } = await vendors.setBudget({ vendor: 'busy', budget: perSecond(5), actor: ACTOR });
    expect(Date.parse(effectiveAt)).toBeGreaterThanOrEqual(Date.parse(before.bookedUntil ?? before.asOf));
    expect(Date.parse(effectiveAt)).toBeLessThan(Date.now() + 6_000);
    await vendors.setBudget({ vendor: 'busy', budget: null, actor: ACTOR });
    expect(await vendors.get('busy')).toMatchObject({ budget: perSecond(50), budgetSet: null });
  });

  test('outlives its governor', async () => {
    const vendors = vendorsOf({ lost: perSecond(50) });
    await vendors.setBudget({ vendor: 'lost', budget: perSecond(9), actor: ACTOR });
    await governors.handle('lost').terminate('lost');
    expect(await vendors.get('lost')).toMatchObject({ state: 'idle', live: true, budget: perSecond(9) });
    await governors.book('lost', bookingOf('a'));
    await eventually(async () => (await governors.standing('lost')).isSet);
    expect(await vendors.get('lost')).toMatchObject({ state: 'active', budget: perSecond(9) });
  });

  test('is taken back although no governor runs', async () => {
    const vendors = vendorsOf({ nobody: null });
    const { vendor } = await vendors.setBudget({ vendor: 'nobody', budget: null, actor: ACTOR });
    expect(vendor).toMatchObject({ state: 'ungoverned', budget: null, live: true });
    await expect(governors.standing('nobody')).rejects.toThrow();
  });

  test('set by several at once ends as the one that is kept', async () => {
    const [one, other] = [vendorsOf({ crowd: null }), vendorsOf({ crowd: null })];
    const asked = Array.from({ length: 10 }, (_, n) =>
      (n % 2 === 0 ? one : other).setBudget({ vendor: 'crowd', budget: perSecond(n + 1), actor: ACTOR }),
    );
    await Promise.all(asked);
    const { budgetSet, budget } = await one.get('crowd');
    expect(budgetSet?.budget).toEqual(budget);
    expect((await governors.standing('crowd')).budget).toEqual(budget);
  });
});

describe('while nobody answers', () => {
  test('a vendor is shown as configured within 2 s, a budget is kept, and the governor hears of it later', async () => {
    const away = vendorsOf({ away: perSecond(50) }, lazyClient(1));
    const began = performance.now();
    expect(await away.get('away')).toMatchObject({ state: 'unknown', live: false, budget: perSecond(50) });
    const asked = away.setBudget({ vendor: 'away', budget: perSecond(3), actor: ACTOR });
    await expect(asked).rejects.toMatchObject({
      code: 'unavailable',
      facts: { retryAfterSeconds: expect.any(Number) },
    });
    expect(performance.now() - began).toBeLessThan(8_000);
    expect(await away.get('away')).toMatchObject({ live: false, budget: perSecond(3), budgetSet: { setBy: 'ann' } });
    // Any process that looks sees that a governor which runs has not heard of it, and has it told.
    await governors.book('away', bookingOf('a'));
    await eventually(async () => (await governors.standing('away')).isSet);
  });

  test('a governor that runs and was not reached is told as soon as somebody looks', async () => {
    const vendors = vendorsOf({ untold: perSecond(50) });
    await governors.book('untold', bookingOf('a'));
    await eventually(async () => (await governors.book('untold', bookingOf('a'))).slots.length > 0);
    const set = { version: 1 as const, budget: perSecond(2), setBy: 'ann', setAt: new Date().toISOString() };
    await createVendorBudgets(governors.store).put('untold', set);
    expect(await vendors.get('untold')).toMatchObject({ budget: perSecond(50), budgetSet: { budget: perSecond(2) } });
    await eventually(async () => (await governors.standing('untold')).isSet);
    expect(await vendors.get('untold')).toMatchObject({ budget: perSecond(2) });
  });

  test('a budget that is set while no worker runs governors is told to the one that comes', async () => {
    const env = await startTemporal();
    const folder = await openFolder();
    const vendors = vendorsOf({ alone: perSecond(50) }, env.client, folder.store);
    try {
      const asked = timed(vendors.setBudget({ vendor: 'alone', budget: perSecond(4), actor: ACTOR }));
      expect(await asked).toMatchObject({ code: 'unavailable', isLate: false });
      const looked = await timed(vendors.get('alone'));
      expect(looked).toMatchObject({ state: 'unknown', live: false, budget: perSecond(4), isLate: false });
      const late = await startGovernors(env);
      try {
        await eventually(async () => (await late.standing('alone')).isSet);
        expect((await late.standing('alone')).budget).toEqual(perSecond(4));
      } finally {
        await late.stop();
      }
    } finally {
      vendors.stop();
      await env.teardown();
      await folder.remove();
    }
  });

  test('a store that is down is said to be', async () => {
    const vendors = createVendors({
      configured: { products: null },
      budgets: { read: () => Promise.reject(new Error('gone')), put: () => Promise.reject(new Error('gone')) },
      governors: createGovernorClient(governors.env.client, createTemporalLink(governors.env.client)),
      settings: { statusCacheMs: 0, statusDeadlineMs: 1_500, storeDeadlineMs: 500 },
      log: noLog,
    });
    opened.push(vendors);
    await expect(vendors.get('products')).rejects.toMatchObject({ code: 'unavailable' });
    const asked = vendors.setBudget({ vendor: 'products', budget: perSecond(1), actor: ACTOR });
    await expect(asked).rejects.toMatchObject({ code: 'unavailable' });
    await expect(governors.standing('products')).rejects.toThrow();
  });
});
