/** A budget that is set while calls are made binds every worker process, is shown, outlives a restart, and is taken back. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { LedgerRow } from '../../../src/mock-vendor/ledger.ts';
import type { VendorView } from '../../../src/operations/vendors/vendor-view.ts';
import { largestWindow } from '../../check/windows.ts';
import { productLines } from '../../fixtures/stack/items.ts';
import { type Stack, startStack } from '../../fixtures/stack/stack.ts';

const CALLS = 40;
const BUDGET = { windows: [{ calls: CALLS, seconds: 1 }], concurrencyMax: null };
const JUDGED_CALLS = 200;

let stack: Stack;
beforeAll(async () => {
  stack = await startStack({ VENDOR_SEND_TIMES: 'on' });
  await stack.addWorker({ VENDOR_SEND_TIMES: 'on' });
});
afterAll(() => stack?.stop());

async function products(): Promise<VendorView> {
  const { body } = await stack.client.send('GET', '/v1/vendors/products');
  return body as VendorView;
}

async function patch(budget: unknown): Promise<VendorView & { readonly effectiveAt: string }> {
  const answer = await fetch(`${stack.url}/v1/vendors/products`, {
    method: 'PATCH',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ budget }),
  });
  expect(answer.status).toBe(200);
  return (await answer.json()) as VendorView & { readonly effectiveAt: string };
}

const sentAfter = (rows: readonly LedgerRow[], atMs: number): number[] =>
  rows.flatMap(({ sentAtMs }) => (sentAtMs !== null && sentAtMs >= atMs ? [sentAtMs] : []));

test('calls of all workers keep to it from the time that the answer names', async () => {
  const { client, vendor } = stack;
  await vendor.reset();
  await vendor.configure({ latencyMs: 40 });
  expect(await products()).toMatchObject({ state: 'ungoverned', budget: null, live: true });
  for (const account of ['one', 'two', 'three', 'four']) {
    await client.accept({ body: productLines(20_000), account });
  }
  await expect.poll(() => vendor.calls(), { timeout: 30_000 }).toBeGreaterThan(2 * CALLS);

  const set = await patch(BUDGET);
  const effectiveAtMs = Date.parse(set.effectiveAt);
  expect(set).toMatchObject({ budget: BUDGET, budgetDefault: null, budgetSet: { budget: BUDGET } });
  expect(effectiveAtMs).toBeLessThan(Date.now() + 12_000);
  const judged = async () => sentAfter(await vendor.ledger(), effectiveAtMs).length;
  await expect.poll(judged, { timeout: 60_000, interval: 500 }).toBeGreaterThan(JUDGED_CALLS);
  const times = sentAfter(await vendor.ledger(), effectiveAtMs);
  expect(largestWindow(times, 1_000).count).toBeLessThanOrEqual(CALLS);

  const now = await products();
  expect(now).toMatchObject({ state: 'active', live: true, budget: BUDGET, adapted: false, allowedPerSecond: 39.216 });
  expect(now.workers).toHaveLength(2);
  expect(now.lastMinute?.answered).toBeGreaterThan(0);
  expect(JSON.stringify(now)).not.toMatch(/"one"|"four"/);
});

test('it stands after a restart of the whole stack, and goes when it is taken back', async () => {
  await stack.restart();
  expect(await products()).toMatchObject({ budget: BUDGET, budgetSet: { budget: BUDGET } });
  const back = await patch(null);
  expect(back).toMatchObject({ budgetSet: null });
  const fullest = async () => largestWindow(sentAfter(await stack.vendor.ledger(), 0), 1_000).count;
  await expect.poll(fullest, { timeout: 60_000, interval: 500 }).toBeGreaterThan(2 * CALLS);
});
