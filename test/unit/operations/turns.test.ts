import { expect, it } from 'vitest';
import { createTurns } from '../../../src/operations/retry/turns.ts';

it('work goes on a few at a time, in order, whether it ends well or not', async () => {
  const turns = createTurns(2);
  const gates = Array.from({ length: 6 }, () => Promise.withResolvers<void>());
  const begun: number[] = [];
  const ends = gates.map((gate, n) =>
    turns.take(async () => {
      begun.push(n);
      await gate.promise;
    }),
  );
  const settled = Promise.allSettled(ends);
  expect(begun).toEqual([0, 1]);
  gates[1]?.reject(new Error('no'));
  await ends[1]?.catch(() => {});
  gates[0]?.resolve();
  await ends[0];
  expect(begun).toEqual([0, 1, 2, 3]);
  for (const gate of gates) gate.resolve();
  expect((await settled).map(({ status }) => status).filter((status) => status === 'rejected')).toHaveLength(1);
  await turns.take(async () => begun.push(6));
  expect(begun).toEqual([0, 1, 2, 3, 4, 5, 6]);
});
