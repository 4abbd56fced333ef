import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  BOOK_AHEAD_MAX_MS,
  type BookAnswer,
  type BookRequest,
  type Budget,
  SPREAD_MS,
} from '../../../src/model/governor.ts';
import { until } from '../../fixtures/engine-paths.ts';
import { bookingOf, type Governors, slotTimes, startGovernors } from '../../fixtures/governors.ts';

let governors: Governors;
beforeAll(async () => {
  governors = await startGovernors();
});
afterAll(() => governors.stop());

const FIFTY: Budget = { windows: [{ calls: 50, seconds: 1 }], concurrencyMax: null };
const SPACING_MS = (1_000 + SPREAD_MS) / 50;

/** Asks until the governor knows whether there was one before. */
async function firstSlots(vendor: string, request: BookRequest): Promise<BookAnswer> {
  let answer = await governors.book(vendor, request);
  await until(async () => {
    if (slotTimes(answer).length === 0) answer = await governors.book(vendor, request);
    return slotTimes(answer).length > 0;
  });
  return answer;
}

describe('a governor', () => {
  test('is started by the first booking, and books at once where there never was one', async () => {
    const answer = await firstSlots('first', bookingOf('a'));
    const slots = slotTimes(answer);
    expect(slots.length).toBeGreaterThan(0);
    expect(Math.min(...slots)).toBeGreaterThan(answer.nowMs);
    expect(Math.max(...slots)).toBeLessThan(answer.nowMs + BOOK_AHEAD_MAX_MS);
    expect(answer).toMatchObject({ version: 1, places: null, breaker: 'closed', closedUntilMs: 0, adapted: false });
  });

  test('books nothing that a lost one may have booked', async () => {
    const before = slotTimes(await firstSlots('lost', bookingOf('a')));
    await governors.handle('lost').terminate('lost');
    const answer = await firstSlots('lost', bookingOf('a'));
    expect(Math.min(...slotTimes(answer))).toBeGreaterThan(Math.max(...before) + SPACING_MS);
    const { events } = await governors.handle('lost').fetchHistory();
    const beganAtMs = Number(events?.[0]?.eventTime?.seconds ?? 0) * 1_000;
    expect(Math.min(...slotTimes(answer))).toBeGreaterThanOrEqual(beganAtMs + BOOK_AHEAD_MAX_MS);
  });

  test('goes on with the budget that was set when the one before is lost', async () => {
    const budget = { windows: [{ calls: 7, seconds: 1 }], concurrencyMax: 3 };
    const blob = { version: 1, budget, setBy: 'tests', setAt: new Date().toISOString() };
    await governors.store.put('vendors/kept/budget.json', Buffer.from(JSON.stringify(blob)));
    await governors.book('kept', bookingOf('a'));
    await until(async () => (await governors.standing('kept')).isSet);
    expect((await governors.standing('kept')).budget).toEqual(budget);
  });

  test('keeps the spacing over several continue-as-new, however many book at once', async () => {
    const windows = [{ calls: 1_000, seconds: 1 }];
    const all: number[] = [];
    let failures = 0;
    const runs = new Set<string>();
    async function hammer(worker: string): Promise<void> {
      for (let i = 0; i < 110; i++) {
        const request = bookingOf(worker, { wanted: 3, budget: { windows, concurrencyMax: null } });
        const answer = await governors.book('hammered', request).catch(() => null);
        if (answer === null) failures++;
        else all.push(...slotTimes(answer));
        if (i % 10 === 0) runs.add((await governors.handle('hammered').describe()).runId);
      }
    }
    await Promise.all(Array.from({ length: 10 }, (_, i) => hammer(`w${i}`)));
    runs.add((await governors.handle('hammered').describe()).runId);
    all.sort((a, b) => a - b);
    const gaps = all.slice(1).map((at, i) => at - (all[i] ?? 0));
    expect(all.length).toBeGreaterThan(1_000);
    expect(Math.min(...gaps)).toBeGreaterThanOrEqual((1_000 + SPREAD_MS) / 1_000 - 1e-9);
    expect(runs.size).toBeGreaterThan(3);
    expect(failures).toBe(0);
  }, 120_000);

  test('takes a budget while it runs: what is booked after keeps it, what was booked stands', async () => {
    const before = slotTimes(await firstSlots('lowered', bookingOf('a', { wanted: 5 })));
    const set = await governors.setBudget('lowered', { windows: [{ calls: 2, seconds: 1 }], concurrencyMax: null });
    expect(set.budget.windows).toEqual([{ calls: 2, seconds: 1 }]);
    expect(set.effectiveAtMs).toBeGreaterThanOrEqual(Math.max(...before));
    const after = slotTimes(await firstSlots('lowered', bookingOf('b', { wanted: 5 })));
    expect(Math.min(...after) - Math.max(...before)).toBeGreaterThanOrEqual((1_000 + SPREAD_MS) / 2);
    const back = await governors.setBudget('lowered', null);
    expect(back.budget).toEqual(FIFTY);
    expect((await governors.standing('lowered')).isSet).toBe(false);
  });

  test('may be told its budget before any worker has come', async () => {
    const { budget } = await governors.setBudget('told', FIFTY);
    expect(budget).toEqual(FIFTY);
    expect(await governors.standing('told')).toMatchObject({
      isSet: true,
      budget: FIFTY,
      workers: [],
      used: [{ used: 0 }],
    });
  });

  test('says who holds what while bookings go on', async () => {
    await firstSlots('watched', bookingOf('a'));
    const book = Promise.all(['b', 'c', 'd'].map((worker) => governors.book('watched', bookingOf(worker))));
    const seen = await governors.standing('watched');
    await book;
    expect(seen).toMatchObject({ version: 1, breaker: 'closed', budget: FIFTY, callsPerSecond: 49.019 });
    const { workers } = await governors.standing('watched');
    expect(workers.map(({ worker }) => worker).sort()).toEqual(['a', 'b', 'c', 'd']);
  });

  test.each([
    ['an unknown version', { version: 2 }, 'version'],
    ['no name', { worker: '' }, 'worker'],
    ['a negative count', { wanted: -1 }, 'wanted'],
    ['a fraction', { held: 1.5 }, 'held'],
    ['what is no number', { inFlight: Number.NaN }, 'inFlight'],
    ['a huge count', { wanted: 1e9 }, 'wanted'],
    ['a time far off', { sentAtMs: 1e300 }, 'sentAtMs'],
    ['no budget', { budget: null }, 'budget'],
    ['a window of no calls', { budget: { windows: [{ calls: 0, seconds: 1 }], concurrencyMax: null } }, 'calls'],
    ['no report', { report: 'fine' }, 'report'],
    ['half a call that waits', { calls: 0.5 }, 'calls'],
  ])('refuses a booking with %s, and goes on', async (_, junk, word) => {
    const request = { ...bookingOf('junk'), ...junk } as BookRequest;
    await expect(governors.book('refusing', request)).rejects.toMatchObject({
      cause: { message: expect.stringContaining(word) },
    });
    expect((await governors.book('refusing', bookingOf('fine'))).version).toBe(1);
    expect((await governors.standing('refusing')).workers.map(({ worker }) => worker)).toEqual(['fine']);
  });

  test('refuses a budget that is none, and keeps the one it has', async () => {
    await governors.book('refusing', bookingOf('fine'));
    const junk = { windows: [{ calls: 5, seconds: -1 }], concurrencyMax: null };
    await expect(governors.setBudget('refusing', junk)).rejects.toThrow();
    expect((await governors.standing('refusing')).budget).toEqual(FIFTY);
  });

  test('writes nothing while nobody asks', async () => {
    await firstSlots('idle', bookingOf('a', { wanted: 1 }));
    const { historyLength } = await governors.handle('idle').describe();
    const { events } = await governors.handle('idle').fetchHistory();
    expect((events ?? []).some((event) => event.timerStartedEventAttributes)).toBe(false);
    await firstSlots('bystander', bookingOf('a'));
    expect((await governors.handle('idle').describe()).historyLength).toBe(historyLength);
  });
});
