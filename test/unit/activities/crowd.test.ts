import { expect, test } from 'vitest';
import { createCrowd } from '../../../src/activities/crowd.ts';

function crowdOf(slicesMax: number, slices: readonly (readonly [vendor: string, account: string])[]) {
  const crowd = createCrowd(slicesMax);
  return { crowd, visits: slices.map(([vendor, account]) => crowd.enter(vendor, account)) };
}

const times = (count: number, vendor: string, account: string) =>
  Array.from({ length: count }, () => [vendor, account] as const);

test('a vendor may have half of the places, its slices beyond them are sent away', () => {
  const { crowd, visits } = crowdOf(8, times(4, 'products', 'a'));
  expect(visits.some((visit) => visit.sendAway())).toBe(false);
  expect(crowd.enter('products', 'a').sendAway()).toBe(true);
  visits[0]?.leave();
  expect(crowd.enter('products', 'a').sendAway()).toBe(false);
});

test('of slices that came together, as many stay as there is room for', () => {
  const { visits } = crowdOf(8, times(8, 'products', 'a'));
  expect(visits.filter((visit) => visit.sendAway())).toHaveLength(4);
  expect(visits.some((visit) => visit.sendAway())).toBe(false);
});

test('who was sent away and then ends has left once', () => {
  const { crowd, visits } = crowdOf(8, times(5, 'products', 'a'));
  expect(visits[0]?.sendAway()).toBe(true);
  visits[0]?.leave();
  expect(crowd.enter('products', 'a').sendAway()).toBe(true);
});

test('a vendor is not sent away for what another one has', () => {
  const { crowd } = crowdOf(8, [...times(6, 'products', 'a'), ...times(1, 'sync', 'a')]);
  expect(crowd.enter('products', 'a').sendAway()).toBe(true);
  expect(crowd.enter('sync', 'a').sendAway()).toBe(false);
  expect(crowd.enter('async', 'a').sendAway()).toBe(false);
});

test('of a crowd, those go whose account has more than its part of the places', () => {
  const { visits } = crowdOf(8, [...times(4, 'products', 'a'), ...times(1, 'products', 'b')]);
  expect(visits[4]?.sendAway()).toBe(false);
  expect(visits[0]?.sendAway()).toBe(true);
});

test('one place is always there for a vendor, and nobody is left behind', () => {
  const { crowd, visits } = crowdOf(1, times(1, 'products', 'a'));
  expect(visits[0]?.sendAway()).toBe(false);
  visits[0]?.leave();
  for (let count = 0; count < 3; count++) crowd.enter('products', 'a').leave();
  expect(crowd.enter('products', 'a').sendAway()).toBe(false);
});
