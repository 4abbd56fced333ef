import { expect, test, vi } from 'vitest';
import { UNGOVERNED_LOOK_MS } from '../../../src/model/budget.ts';
import type { BookAnswer, Budget } from '../../../src/model/governor.ts';
import { createGovernedSlots } from '../../../src/vendors/governed-slots.ts';
import { FREE } from '../../../src/vendors/local-slots.ts';

const BUDGET: Budget = { windows: [{ calls: 1, seconds: 60 }], concurrencyMax: null };
const never = new AbortController().signal;

function governedSlots(readSetBudget: () => Promise<Budget | null>) {
  const book = () => new Promise<BookAnswer>(() => undefined);
  return createGovernedSlots({ vendor: 'v', budget: null, worker: 'w', book, readSetBudget, log: () => undefined });
}

test('calls that wait for a slot are not left behind where the budget is taken back', async () => {
  let set: Budget | null = BUDGET;
  const slots = governedSlots(async () => set);
  const waiting = Promise.resolve(slots.take('v', never, 'a'));
  await vi.waitFor(() => expect(slots.take('v', AbortSignal.abort(), 'a')).toBeNull());
  const startedMs = performance.now();
  const now = vi.spyOn(performance, 'now').mockImplementation(() => startedMs + 2 * UNGOVERNED_LOOK_MS);
  set = null;
  void slots.take('v', never, 'b');
  expect(await waiting).toBeNull();
  expect(await slots.take('v', never, 'a')).toBe(FREE);
  now.mockRestore();
  slots.stop();
});

test('a call that does not know yet whether there is a budget can be given up', async () => {
  const slots = governedSlots(() => new Promise(() => undefined));
  const giveUp = new AbortController();
  const waiting = slots.take('v', giveUp.signal, 'a');
  giveUp.abort();
  expect(await waiting).toBeNull();
  slots.stop();
});
