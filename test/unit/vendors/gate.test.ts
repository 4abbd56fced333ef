import { expect, test } from 'vitest';
import { createGate } from '../../../src/vendors/gate.ts';

const never = new AbortController().signal;

test('who waits is admitted in the order of coming, and who was aborted is passed over', async () => {
  const gate = createGate(1);
  expect(gate.enter(never)).toBe(true);
  const stop = new AbortController();
  const admitted: string[] = [];
  const waits = (['a', 'b', 'c'] as const).map(async (name) => {
    if (await gate.enter(name === 'b' ? stop.signal : never)) admitted.push(name);
  });
  stop.abort();
  gate.leave();
  gate.leave();
  await Promise.all(waits);
  expect(admitted).toEqual(['a', 'c']);
});

test('places come back, through ten thousand waiters', async () => {
  const gate = createGate(3);
  let inside = 0;
  let insideMax = 0;
  await Promise.all(
    Array.from({ length: 10_000 }, async () => {
      await gate.enter(never);
      inside += 1;
      insideMax = Math.max(insideMax, inside);
      await Promise.resolve();
      inside -= 1;
      gate.leave();
    }),
  );
  expect(insideMax).toBe(3);
  expect([gate.enter(never), gate.enter(never), gate.enter(never)]).toEqual([true, true, true]);
  expect(gate.enter(never)).toBeInstanceOf(Promise);
});

test('an aborted signal does not wait', async () => {
  const gate = createGate(1);
  gate.enter(never);
  expect(await gate.enter(AbortSignal.abort())).toBe(false);
});
