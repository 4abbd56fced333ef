/** The activities as workflows see them: types only, with the time-outs and retries that the promises rest on. */
import {
  ActivityCancellationType,
  type ActivityOptions,
  proxyActivities,
  proxyLocalActivities,
  workflowInfo,
} from '@temporalio/workflow';
import type { Activities } from '../activities/index.ts';
import type { Amendment } from '../model/operation.ts';
import type { Plan } from '../model/plan.ts';

/** A lost slice is replaced at once; a failing store is asked ever more slowly, but for ever: accepted is accepted. */
const RETRY = { initialInterval: '100ms', backoffCoefficient: 2, maximumInterval: '10s' } as const;

/** The longest box, calls still in flight at its end, and a store that is slow to commit. */
const SLICE_MARGIN_MS = 5 * 60_000;

/** What activities and children take instead of the priority that they inherit; nothing where that was not changed. */
export function prioritize({ priority }: Amendment): Pick<ActivityOptions, 'priority'> {
  if (priority === undefined) return {};
  const fairnessKey = workflowInfo().priority?.fairnessKey;
  return { priority: { priorityKey: priority, ...(fairnessKey === undefined ? {} : { fairnessKey }) } };
}

/**
 * Slices return what they did when they are cancelled, so their cancellation is waited for. The server itself replaces
 * those that were timed out, or failed before their first call; any other failure is the workflow's to hear of.
 */
export function sliceActivity(plan: Plan, amended: Amendment) {
  return proxyActivities<Activities>({
    ...prioritize(amended),
    heartbeatTimeout: plan.heartbeatTimeoutMs,
    startToCloseTimeout: plan.boxMaxMs + plan.callTimeoutMs + SLICE_MARGIN_MS,
    cancellationType: ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
    retry: RETRY,
  }).slice;
}

/** As long as it takes, replaced as soon as a slice where it is lost; who is called home need not wait for it. */
export function prepareActivity(plan: Plan, amended: Amendment) {
  return proxyActivities<Activities>({
    ...prioritize(amended),
    heartbeatTimeout: plan.heartbeatTimeoutMs,
    startToCloseTimeout: '1 day',
    retry: RETRY,
  }).prepare;
}

/** As long as they take, replaced as soon as a slice where their worker is lost: a cancel must not hang on it. */
export function careActivities({ heartbeatTimeoutMs }: Plan) {
  return proxyActivities<Pick<Activities, 'settle' | 'survey'>>({
    startToCloseTimeout: '1 day',
    heartbeatTimeout: heartbeatTimeoutMs,
    retry: RETRY,
  });
}

/** Small writes run in the worker that decides them: no trip over the server, one marker in the history. */
export const { checkpoint, finalize, tellHalt } = proxyLocalActivities<Activities>({
  startToCloseTimeout: '30s',
  retry: RETRY,
});

/** Whoever pauses or cancels waits for it; while the server is away nothing is decided anyway. */
export const { begunActivities } = proxyLocalActivities<Activities>({
  startToCloseTimeout: '1500ms',
  scheduleToCloseTimeout: '4s',
  retry: RETRY,
});
