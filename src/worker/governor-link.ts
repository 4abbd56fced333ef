/** How a worker process reaches a vendor's governor: an update that starts it where nobody has yet. */
import { type Client, type Connection, WithStartWorkflowOperation } from '@temporalio/client';
import { reach } from '../model/crash-point.ts';
import {
  BOOK_UPDATE,
  type BookAnswer,
  type BookRequest,
  GOVERNOR_TASK_QUEUE,
  GOVERNOR_WORKFLOW,
  type GovernorStart,
  governorId,
} from '../model/governor.ts';

export interface GovernorLinkDeps {
  readonly client: Client;
  readonly connection: Connection;
}

/** An answer that takes longer books times that are over. */
const DEADLINE_MS = 3_000;
/** A task that a lost worker took is given to another after this. */
const WORKFLOW_TASK_TIMEOUT = '2s';

/** Rejects where the governor has not answered in time; whatever it has booked is then lost, and nothing else. */
export function createGovernorLink({ client, connection }: GovernorLinkDeps) {
  return async (vendor: string, request: BookRequest): Promise<BookAnswer> => {
    reach('governor.before_booking');
    const start: GovernorStart = { version: 1, vendor };
    const startWorkflowOperation = new WithStartWorkflowOperation(GOVERNOR_WORKFLOW, {
      workflowId: governorId(vendor),
      taskQueue: GOVERNOR_TASK_QUEUE,
      workflowTaskTimeout: WORKFLOW_TASK_TIMEOUT,
      workflowIdConflictPolicy: 'USE_EXISTING',
      workflowIdReusePolicy: 'ALLOW_DUPLICATE',
      args: [start],
    });
    const update = (): Promise<BookAnswer> =>
      client.workflow.executeUpdateWithStart(BOOK_UPDATE, { args: [request], startWorkflowOperation });
    const answer = await connection.withDeadline(Date.now() + DEADLINE_MS, update);
    reach('governor.booked');
    return answer;
  };
}
