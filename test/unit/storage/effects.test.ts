import { expect, test } from 'vitest';
import { decode, encode, type Placed } from '../../../src/storage/effects.ts';

const plain = { outcome: 'succeeded', attempts: 1, result: { action: 'created' } };
const other = { outcome: 'failed', attempts: 2, error: { code: 'x', message: 'é \u0000 \ud800', retryable: true } };

test('outcomes read back as they were written, wherever they stand', () => {
  let seed = 7;
  const random = () => {
    seed = (seed * 48_271) % 2_147_483_647;
    return seed / 2_147_483_647;
  };
  for (let round = 0; round < 200; round++) {
    const placed: Placed<unknown>[] = [];
    for (let position = Math.floor(random() * 20_000); placed.length < 1 + random() * 50; position++) {
      if (random() < 0.8) placed.push({ position, decision: random() < 0.5 ? plain : other });
    }
    expect(decode(encode(placed))).toEqual(placed);
  }
});

test('a slot whose items went alike takes a few bytes', () => {
  const placed = Array.from({ length: 500 }, (_, i) => ({ position: 19_500 + i, decision: plain }));
  expect(encode(placed).length).toBeLessThan(120);
});

test('a slot of nothing is something else than a claimed one', () => {
  expect(encode([])).not.toBe('');
  expect(decode(encode([]))).toEqual([]);
});

test('a damaged row is told, never guessed', () => {
  expect(() => decode('{"kinds":[],"runs":[0,1,0]}')).toThrow('damaged');
  expect(() => decode('')).toThrow();
});
