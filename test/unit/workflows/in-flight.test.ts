import { expect, test } from 'vitest';
import { createInFlight } from '../../../src/workflows/in-flight.ts';

test('chunks that have said nothing yet are taken to be like those that have', () => {
  const busy = createInFlight();
  expect(busy.sum(4)).toBeNull();
  busy.report(0, 2);
  busy.report(1, 4);
  expect(busy.sum(2)).toBe(6);
  expect(busy.sum(4)).toBe(12);
});

test('the last word of a chunk counts, and none of one that has ended', () => {
  const busy = createInFlight();
  busy.report(0, 2);
  busy.report(0, 5);
  expect(busy.sum(1)).toBe(5);
  busy.report(0, undefined);
  expect(busy.sum(1)).toBeNull();
  busy.report(1, 0);
  expect(busy.sum(3)).toBe(0);
  busy.forget(1);
  expect(busy.sum(3)).toBeNull();
});
