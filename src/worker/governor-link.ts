/** How a worker process reaches a vendor's governor: an update that starts it where nobody has yet. */
import { type Client, type Connection, WithStartWorkflowOperation } from '@temporalio/client';
import { reach } from '../model/crash-point.ts';
import { BOOK_UPDATE, type BookAnswer, type BookRequest, GOVERNOR_WORKFLOW, governorStart } from '../model/governor.ts';

export interface GovernorLinkDeps {
  readonly client: Client;
  readonly connection: Connection;
}

/** An answer that takes longer books times that are over. */
const DEADLINE_MS = 3_000;

/** Rejects where the governor has not answered in time; whatever it has booked is then lost, and nothing else. */
export function createGovernorLink({ client, connection }: GovernorLinkDeps) {
  return async (vendor: string, request: BookRequest): Promise<BookAnswer> => {
    reach('governor.before_booking');
    const startWorkflowOperation = new WithStartWorkflowOperation(GOVERNOR_WORKFLOW, governorStart(vendor));
    const update = (): Promise<BookAnswer> =>
      client.workflow.executeUpdateWithStart(BOOK_UPDATE, { args: [request], startWorkflowOperation });
    const answer = await connection.withDeadline(Date.now() + DEADLINE_MS, update);
    reach('governor.booked');
    return answer;
  };
}
