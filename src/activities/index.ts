/** Activities as closures over what they need; workflows import only the type. */
import { createBegunActivities } from './begun.ts';
import type { ActivityDeps } from './deps.ts';
import { createPrepare } from './duplicates/prepare.ts';
import { createFinalize } from './finalize.ts';
import { withPulse } from './pulse.ts';
import { createSettle } from './settle.ts';
import { createSlice } from './slice.ts';
import { createSurvey } from './survey.ts';
import { createTellHalt } from './tell-halt.ts';

export type Activities = ReturnType<typeof createActivities>;

export function createActivities(deps: ActivityDeps) {
  return {
    prepare: createPrepare(deps),
    slice: createSlice(deps),
    settle: withPulse(createSettle(deps)),
    survey: withPulse(createSurvey(deps)),
    begunActivities: createBegunActivities(deps),
    tellHalt: createTellHalt(deps),
    ...createFinalize(deps),
  };
}
