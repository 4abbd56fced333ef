/** Which of a workflow's activities some worker has begun: asked before they are cancelled, for then the server forgets. */
import { activityInfo, heartbeat } from '@temporalio/activity';
import type { ActivityDeps } from './deps.ts';

/** What the server holds of an activity that has not ended. */
export interface PendingActivity {
  readonly id: string;
  /** 1 first: the one that a worker holds, or that waits for one. */
  readonly attempt: number;
  /** No worker holds it. */
  readonly waits: boolean;
  /** What its latest attempt said last. */
  readonly details: unknown;
}

/** Of the workflow that asks: the answer holds the ids of its activities. */
export interface BegunInput {
  readonly version: 1;
}

export function createBegunActivities({ pendingActivities }: ActivityDeps) {
  return async function begunActivities(_input: BegunInput): Promise<readonly string[]> {
    const { workflowExecution } = activityInfo();
    if (workflowExecution === undefined) throw new Error('an activity without a workflow');
    const pending = await pendingActivities(workflowExecution);
    return pending.filter(isBegun).map(({ id }) => id);
  };
}

function isBegun({ attempt, waits, details }: PendingActivity): boolean {
  return !waits || !nothingBegunBefore(attempt, details);
}

/** No attempt before this one has done anything; `details` are the last of the one before. */
export function nothingBegunBefore(attempt: number, details: unknown): boolean {
  return attempt === 1 || (Object(details) as { readonly nothingBegun?: unknown }).nothingBegun === attempt - 1;
}

/** The last words of an attempt that fails before it has done anything, and so did all before it. */
export function sayNothingBegun(): void {
  heartbeat({ nothingBegun: activityInfo().attempt });
}
