/** Knows under which id the server keeps each slice: the SDK gives the ids, and tells them to interceptors alone. */
import type { WorkflowInterceptorsFactory } from '@temporalio/workflow';

const ids = new WeakMap<object, string>();

/** The id of the activity that was given this very input; undefined where none was. */
export function activityIdOf(input: object): string | undefined {
  return ids.get(input);
}

/** Read by the bundle (`worker/bundle.ts`). */
export const interceptors: WorkflowInterceptorsFactory = () => ({
  outbound: [
    {
      scheduleActivity(activity, next) {
        const [input] = activity.args;
        const id = activity.options.activityId ?? String(activity.seq);
        if (typeof input === 'object' && input !== null) ids.set(input, id);
        return next(activity);
      },
    },
  ],
});
