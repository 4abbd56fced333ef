/** All kinds of history, and which of them get to a point. */
import { CRASH_POINTS, type CrashPoint } from '../../../../src/model/crash-point.ts';
import type { Scenario } from '../scenario.ts';
import * as controls from './controls.ts';
import * as ends from './ends.ts';
import * as runs from './runs.ts';

export const SCENARIOS: readonly Scenario[] = [
  ...Object.values(runs),
  ...Object.values(controls),
  ...Object.values(ends),
];

export interface Way {
  readonly scenario: Scenario;
  /** It gets there so many times for sure. */
  readonly times: number;
}

export function waysTo(point: CrashPoint): readonly Way[] {
  return SCENARIOS.flatMap((scenario) => {
    const times = scenario.reaches[point];
    return times === undefined ? [] : [{ scenario, times }];
  });
}

/** Points that no history gets to. */
export function pointsWithoutWay(): readonly CrashPoint[] {
  return CRASH_POINTS.filter((point) => waysTo(point).length === 0);
}
