/** A small operation of one account gets through while a large one of another keeps the same vendor busy. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { productLines } from '../../fixtures/stack/items.ts';
import { type Stack, startStack } from '../../fixtures/stack/stack.ts';

const LARGE = 20_000;
const SMALL = 100;
const CALLS_PER_SECOND = 500;

let stack: Stack;
beforeAll(async () => {
  stack = await startStack({ VENDOR_BUDGETS: `products=${CALLS_PER_SECOND}/s` });
});
afterAll(() => stack?.stop());

test('under a budget that one account could fill for long, the accounts take turns', async () => {
  const { client, vendor } = stack;
  await vendor.reset();
  const large = await client.accept({ body: productLines(LARGE), account: 'large' });
  await expect.poll(() => vendor.calls(), { timeout: 30_000 }).toBeGreaterThan(CALLS_PER_SECOND);
  const small = await client.accept({ body: productLines(SMALL), account: 'small' });
  expect(await client.ended(small.id, 60_000, 'small')).toMatchObject({ outcome: 'succeeded' });
  expect(await client.get(large.id, 'large')).toMatchObject({ state: 'running' });

  // While both waited, calls came by turns: not one of the small one's had to wait for more than a few of the other's.
  const rows = await vendor.ledger();
  const uids = [...new Set(rows.map(({ key }) => key?.split(':')[0]))];
  const isSmall = rows.map(({ key }) => key?.split(':')[0] === uids[1]);
  const begin = isSmall.indexOf(true);
  const end = isSmall.lastIndexOf(true);
  expect(isSmall.filter(Boolean)).toHaveLength(SMALL);
  expect(end - begin).toBeLessThan(6 * SMALL);
  await client.send('POST', `/v1/operations/${large.id}/cancel`, 'large');
  expect(await client.ended(large.id, 60_000, 'large')).toMatchObject({ outcome: 'cancelled' });
});
