/** The settings by which tests make a process die where it is named to; they mean nothing in production. */
import { z } from 'zod';
import { CRASH_POINTS, type CrashPoint } from './model/crash-point.ts';
import { setting } from './setting.ts';

/** Where a process kills itself: at the `nth` time that it gets to `point`. */
export interface CrashOrder {
  readonly point: CrashPoint;
  readonly nth: number;
}

/** `slice.committed:3`; without a number the first time. Null where none is set. */
const crashOrder = () =>
  z.string().transform((text, context): CrashOrder | null => {
    if (text === '') return null;
    const [, name, count = '1'] = /^([a-z_.]+)(?::([1-9]\d{0,6}))?$/.exec(text) ?? [];
    const point = CRASH_POINTS.find((known) => known === name);
    if (point !== undefined) return { point, nth: Number(count) };
    context.addIssue({
      code: 'custom',
      message: `must be one of ${CRASH_POINTS.join(', ')}, and \`:<nth>\` or nothing`,
    });
    return z.NEVER;
  });

export const DIAGNOSIS_SETTINGS = {
  diagnosis: {
    crashPoint: setting(
      'CRASH_POINT',
      '',
      crashOrder(),
      'Kills an API or worker process (SIGKILL) where it gets to this point of `src/model/crash-point.ts`: `<point>` or `<point>:<nth time>`. Refused unless `CRASH_POINTS_ALLOWED=yes`.',
    ),
    crashPointsAllowed: setting(
      'CRASH_POINTS_ALLOWED',
      '',
      z.enum(['', 'yes'], 'must be yes, or empty').transform((word) => word === 'yes'),
      '`yes`: processes may be killed by `CRASH_POINT`. Never set it where data matters.',
    ),
  },
} as const;
