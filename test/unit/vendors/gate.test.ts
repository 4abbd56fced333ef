import { expect, test } from 'vitest';
import { createGate } from '../../../src/vendors/gate.ts';

function gateOf(places: number) {
  const admitted: string[] = [];
  const over = new Set<string>();
  const gate = createGate<string>({
    places,
    admit: (call) => void admitted.push(call),
    isOver: (call) => over.has(call),
    accountOf: (call) => call.split('/')[0] ?? '',
  });
  return { gate, admitted, over };
}

test('who waits is admitted in the order of coming, and who is over by then is passed over', () => {
  const { gate, admitted, over } = gateOf(1);
  expect(['first', 'a', 'b', 'c'].map((call) => gate.enter(call))).toEqual([true, false, false, false]);
  over.add('b');
  expect(gate.waiting()).toEqual(['a', 'c']);
  gate.leave();
  expect(admitted).toEqual(['a']);
  gate.leave();
  expect(admitted).toEqual(['a', 'c']);
});

test('places come back when nobody waits', () => {
  const { gate, admitted } = gateOf(2);
  expect([gate.enter('a'), gate.enter('b'), gate.enter('c')]).toEqual([true, true, false]);
  for (let i = 0; i < 3; i++) gate.leave();
  expect(admitted).toEqual(['c']);
  expect([gate.enter('d'), gate.enter('e'), gate.enter('f')]).toEqual([true, true, false]);
});

test('a hundred thousand waiters that leave while they are admitted do not nest', () => {
  const waiters = 100_000;
  let admitted = 0;
  const gate = createGate<number>({
    places: 1,
    admit() {
      admitted += 1;
      gate.leave();
    },
    isOver: () => false,
    accountOf: () => 'a',
  });
  for (let call = 0; call <= waiters; call++) gate.enter(call);
  gate.leave();
  expect(admitted).toBe(waiters);
  expect([gate.enter(0), gate.enter(1)]).toEqual([true, false]);
});

test('a long queue that never runs empty admits in order', () => {
  const order: number[] = [];
  const gate = createGate<number>({
    places: 1,
    admit: (call) => void order.push(call),
    isOver: () => false,
    accountOf: () => 'a',
  });
  gate.enter(-1);
  gate.enter(0);
  for (let call = 1; call < 5_000; call++) {
    gate.enter(call);
    gate.leave();
  }
  expect(order).toEqual(Array.from({ length: 4_999 }, (_, call) => call));
});

test('accounts that wait take turns, each in the order of coming', () => {
  const { gate, admitted } = gateOf(1);
  for (const call of ['first', 'big/1', 'big/2', 'big/3', 'small/1', 'small/2']) gate.enter(call);
  for (let i = 0; i < 5; i++) gate.leave();
  expect(admitted).toEqual(['big/1', 'small/1', 'big/2', 'small/2', 'big/3']);
});
