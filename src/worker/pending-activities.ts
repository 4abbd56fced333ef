/** How a worker asks the server what it holds of a workflow's activities. */
import type { Connection } from '@temporalio/client';
import { defaultPayloadConverter } from '@temporalio/common';
import type { PendingActivity } from '../activities/begun.ts';
import type { ActivityDeps } from '../activities/deps.ts';

/** Whoever pauses or cancels waits for it: better asked again than waited for. */
const DEADLINE_MS = 1_200;
/** `PendingActivityState`: those that no worker holds, one of them because an operator has paused it. */
const SCHEDULED = 1;
const PAUSED = 4;

export function createPendingActivities(connection: Connection, namespace: string): ActivityDeps['pendingActivities'] {
  return async (execution) => {
    const ask = () => connection.workflowService.describeWorkflowExecution({ namespace, execution });
    const { pendingActivities } = await connection.withDeadline(Date.now() + DEADLINE_MS, ask);
    return (pendingActivities ?? []).map(
      ({ activityId, attempt, state, heartbeatDetails }): PendingActivity => ({
        id: activityId ?? '',
        attempt: attempt ?? 1,
        waits: state === SCHEDULED || state === PAUSED,
        details: decoded(heartbeatDetails?.payloads?.[0]),
      }),
    );
  };
}

/** Details that cannot be read say nothing. */
function decoded(payload: Parameters<typeof defaultPayloadConverter.fromPayload>[0] | undefined): unknown {
  if (payload === undefined) return undefined;
  try {
    return defaultPayloadConverter.fromPayload(payload);
  } catch {
    return undefined;
  }
}
