/** Which history is the n-th of a seed: rounds over all points, each in an order, a way and at a time of its own. */
import type { CrashPoint } from '../../../src/model/crash-point.ts';
import { CRASH_POINTS } from '../../../src/model/crash-point.ts';
import { createRandom, type Random } from '../random.ts';
import type { Plan } from './crash.ts';
import { waysTo } from './scenarios/index.ts';

/** The points that some history gets to. */
export const REACHABLE: readonly CrashPoint[] = CRASH_POINTS.filter((point) => waysTo(point).length > 0);

/** The same for the same seed and number, whatever else is run. */
export function planOf(seed: number, number: number): Plan {
  const round = Math.floor(number / REACHABLE.length);
  const point = shuffled(REACHABLE, createRandom(seed).fork(`round ${round}`))[number % REACHABLE.length];
  if (point === undefined) throw new Error('there is no point to crash at');
  const random = randomOf(seed, number);
  const { scenario, times } = random.pick(waysTo(point));
  // The first and the last time are where edges are.
  const nth = random.chance(0.3) ? 1 : random.chance(0.2) ? times : random.whole(1, times);
  return { number, order: { point, nth }, scenario };
}

export function randomOf(seed: number, number: number): Random {
  return createRandom(seed).fork(`history ${number}`);
}

/** Numbers of the first `count` histories that are at one of `points`; all points where none is named. */
export function numbersOf(seed: number, count: number, points: readonly CrashPoint[]): readonly number[] {
  const numbers: number[] = [];
  for (let number = 0; numbers.length < count; number++) {
    if (points.length === 0 || points.includes(planOf(seed, number).order.point)) numbers.push(number);
  }
  return numbers;
}

function shuffled<Value>(values: readonly Value[], random: Random): Value[] {
  const left = [...values];
  const order: Value[] = [];
  while (left.length > 0) order.push(...left.splice(random.whole(0, left.length - 1), 1));
  return order;
}
