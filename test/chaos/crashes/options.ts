/** `npm run chaos -- --crashes N`: what may be asked of the campaign of crashes. */
import { parseArgs } from 'node:util';
import type { CrashPoint } from '../../../src/model/crash-point.ts';
import { REACHABLE } from './plan.ts';

export interface Options {
  readonly crashes: number;
  readonly seed: number;
  /** Empty: all. */
  readonly points: readonly CrashPoint[];
  /** One history, by its number; null = as many as asked. */
  readonly only: number | null;
  readonly lanes: number;
  /** Appended to; null = nothing is kept. */
  readonly out: string | null;
  /** What stands in `out` is not done again. */
  readonly resume: boolean;
  /** Begins no history after so many minutes; null = no limit. */
  readonly minutes: number | null;
  /** Page that the table of `out` is written to. */
  readonly report: string | null;
}

const USAGE =
  'usage: npm run chaos -- --crashes N [--seed S] [--points a,b] [--only NUMBER] [--lanes L] [--minutes M] [--out FILE [--resume]] [--report FILE]';

/** Throws with the usage. */
export function readOptions(args: readonly string[], seed: number): Options {
  const text = { type: 'string' } as const;
  const { values } = parseArgs({
    args: [...args],
    options: {
      ...{ crashes: text, seed: text, points: text, only: text, lanes: text, out: text, minutes: text, report: text },
      resume: { type: 'boolean', default: false },
    },
  });
  return {
    crashes: whole('crashes', values.crashes ?? '0'),
    seed: values.seed === undefined ? seed : whole('seed', values.seed),
    points: readPoints(values.points),
    only: values.only === undefined ? null : whole('only', values.only),
    lanes: Math.max(1, whole('lanes', values.lanes ?? '2')),
    out: values.out ?? null,
    resume: values.resume,
    minutes: values.minutes === undefined ? null : whole('minutes', values.minutes),
    report: values.report ?? null,
  };
}

function whole(name: string, text: string): number {
  if (/^\d{1,9}$/.test(text)) return Number(text);
  throw new Error(`--${name} must be a whole number\n${USAGE}`);
}

function readPoints(text: string | undefined): readonly CrashPoint[] {
  const names = (text ?? '').split(',').filter((name) => name !== '');
  return names.map((name) => {
    const point = REACHABLE.find((known) => known === name);
    if (point === undefined) throw new Error(`no history gets to ${name}; known: ${REACHABLE.join(', ')}`);
    return point;
  });
}
