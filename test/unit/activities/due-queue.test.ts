import fc from 'fast-check';
import { expect, test } from 'vitest';
import { createDueQueue } from '../../../src/activities/due-queue.ts';

test('hands out what is due, soonest first, and nothing early', () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 0, max: 1_000 })), fc.integer({ min: 0, max: 1_000 }), (dues, now) => {
      const queue = createDueQueue<{ dueMs: number }>();
      for (const dueMs of dues) queue.add({ dueMs });
      const taken: number[] = [];
      for (let next = queue.takeDue(now); next !== null; next = queue.takeDue(now)) taken.push(next.dueMs);
      expect(taken).toEqual(dues.filter((due) => due <= now).sort((a, b) => a - b));
      expect(
        queue
          .drain()
          .map(({ dueMs }) => dueMs)
          .sort((a, b) => a - b),
      ).toEqual(dues.filter((due) => due > now).sort((a, b) => a - b));
    }),
  );
});
