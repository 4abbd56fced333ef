import { expect, test } from 'vitest';
import type { BookAnswer, BookRequest, Budget } from '../../../src/model/governor.ts';
import { createBookedSlots } from '../../../src/vendors/booked-slots.ts';
import { book } from '../../../src/workflows/governor/book.ts';
import { remember } from '../../../src/workflows/governor/govern.ts';
import { freshState } from '../../../src/workflows/governor/state.ts';
import { createFakeClock, EPOCH_MS, type FakeClock } from '../../fixtures/booking-clock.ts';

const ONE_WAY_MS = 5;

/** A real governor, a few ms away. */
function governorOn(clock: FakeClock) {
  let state = remember(freshState(EPOCH_MS), { firstEver: true, budget: null }, EPOCH_MS);
  const pass = () => new Promise<void>((resolve) => void clock.wait(clock.now() + ONE_WAY_MS, resolve));
  return async (_vendor: string, request: BookRequest): Promise<BookAnswer> => {
    await pass();
    const booked = book(state, request, clock.wall());
    state = booked.state;
    await pass();
    return booked.answer;
  };
}

/** So many callers, each calling again as soon as it is answered; answers how many calls were made. */
async function callsMade(
  budget: Budget,
  { callers, latencyMs, seconds }: Record<'callers' | 'latencyMs' | 'seconds', number>,
) {
  const clock = createFakeClock();
  const heard = { onClosed: () => undefined, isDown: () => false, log: () => undefined };
  const slots = createBookedSlots({ vendor: 'v', budget, worker: 'w', clock, book: governorOn(clock), ...heard });
  const signal = new AbortController().signal;
  let calls = 0;
  async function call(): Promise<void> {
    for (;;) {
      const slot = await slots.take(signal, 'a');
      if (slot === null) return;
      await new Promise<void>((resolve) => void clock.wait(clock.now() + latencyMs, resolve));
      slot.done({ kind: 'answer', status: 200, body: '' });
      calls++;
    }
  }
  for (let nth = 0; nth < callers; nth++) void call();
  await clock.advanceTo(seconds * 1_000);
  slots.stop();
  return calls;
}

test.each([
  [1, 20, 40],
  [5, 20, 200],
  [10, 100, 85],
])('%i callers of %i ms alone with a vendor of 1,000/s call as fast as they can', async (callers, latencyMs, least) => {
  const budget = { windows: [{ calls: 1_000, seconds: 1 }], concurrencyMax: null };
  expect(await callsMade(budget, { callers, latencyMs, seconds: 10 })).toBeGreaterThan(10 * least);
});

test('callers enough for the whole budget use it', async () => {
  const budget = { windows: [{ calls: 200, seconds: 1 }], concurrencyMax: null };
  expect(await callsMade(budget, { callers: 50, latencyMs: 50, seconds: 10 })).toBeGreaterThan(1_750);
});

test.each([
  [5, 20],
  [10, 20],
  [20, 100],
])('of the calls of a day %i callers of %i ms waste none', async (callers, latencyMs) => {
  const budget = { windows: [{ calls: 1_000, seconds: 86_400 }], concurrencyMax: null };
  expect(await callsMade(budget, { callers, latencyMs, seconds: 120 })).toBeGreaterThan(980);
});
