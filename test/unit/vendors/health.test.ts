import { expect, test } from 'vitest';
import type { Transient } from '../../../src/model/outcome.ts';
import { createVendorHealth } from '../../../src/vendors/health.ts';

const transient = (code: string): Transient => ({ kind: 'transient', code, message: '', doubt: false, counts: true });

function failing(times: number, items: number, code = 'vendor_error') {
  const health = createVendorHealth();
  for (let count = 0; count < times; count++) health.failure(count % items, transient(code));
  return health;
}

test.each([
  [20, 10, true],
  [19, 19, false],
  [500, 9, false],
  [500, 1, false],
])('%i failures in a row over %i items: down is %s', (times, items, down) => {
  expect(failing(times, items).down).toBe(down);
});

test('one success closes an outage at once, and counting begins anew', () => {
  const health = failing(40, 40);
  health.success();
  expect(health.down).toBe(false);
  for (let item = 0; item < 19; item++) health.failure(item, transient('vendor_error'));
  expect(health.down).toBe(false);
  health.failure(20, transient('vendor_error'));
  expect(health.down).toBe(true);
});

test('a success between failures keeps the vendor up', () => {
  const health = createVendorHealth();
  for (let item = 0; item < 200; item++) {
    health.failure(item, transient('vendor_error'));
    if (item % 19 === 18) health.success();
    expect(health.down).toBe(false);
  }
});

test('three calls in a row that reach nobody are enough, even for one item', () => {
  expect(failing(2, 1, 'vendor_unreachable').down).toBe(false);
  expect(failing(3, 1, 'vendor_unreachable').down).toBe(true);
});

test('another failure between them breaks the row', () => {
  const health = failing(2, 1, 'vendor_unreachable');
  health.failure(0, transient('vendor_timeout'));
  health.failure(0, transient('vendor_unreachable'));
  expect(health.down).toBe(false);
});

test.each(['vendor_rate_limited', 'vendor_key_in_use', 'aborted'])('%s says nothing about health', (code) => {
  expect(failing(500, 500, code).down).toBe(false);
});
