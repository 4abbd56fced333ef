import { expect, test } from 'vitest';
import { createCrowd } from '../../../src/activities/crowd.ts';

function crowdOf(slicesMax: number, slices: readonly (readonly [vendor: string, account: string])[]) {
  const crowd = createCrowd(slicesMax);
  const leave = slices.map(([vendor, account]) => crowd.enter(vendor, account));
  return { crowd, leave };
}

const times = (count: number, vendor: string, account: string) =>
  Array.from({ length: count }, () => [vendor, account] as const);

test('a vendor may have half of the places, its slices beyond them are too many', () => {
  const { crowd, leave } = crowdOf(8, times(4, 'products', 'a'));
  expect(crowd.isTooMany('products', 'a')).toBe(false);
  leave.push(crowd.enter('products', 'a'));
  expect(crowd.isTooMany('products', 'a')).toBe(true);
  leave.pop()?.();
  expect(crowd.isTooMany('products', 'a')).toBe(false);
});

test('a vendor is not too many for what another one has', () => {
  const { crowd } = crowdOf(8, [...times(6, 'products', 'a'), ...times(1, 'sync', 'a')]);
  expect(crowd.isTooMany('products', 'a')).toBe(true);
  expect(crowd.isTooMany('sync', 'a')).toBe(false);
  expect(crowd.isTooMany('async', 'a')).toBe(false);
});

test('of a crowd, those go whose account has more than its part of the places', () => {
  const { crowd } = crowdOf(8, [...times(4, 'products', 'a'), ...times(1, 'products', 'b')]);
  expect(crowd.isTooMany('products', 'a')).toBe(true);
  expect(crowd.isTooMany('products', 'b')).toBe(false);
});

test('one place is always there for a vendor, and nobody is left behind', () => {
  const { crowd, leave } = crowdOf(1, times(1, 'products', 'a'));
  expect(crowd.isTooMany('products', 'a')).toBe(false);
  for (const go of leave) go();
  for (let count = 0; count < 3; count++) crowd.enter('products', 'a')();
  expect(crowd.isTooMany('products', 'a')).toBe(false);
});
