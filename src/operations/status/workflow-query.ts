/** Asks an open workflow where it stands: one query, one more where it was too busy, all in time. */
import { type Client, WorkflowClient } from '@temporalio/client';
import { faultOf, type TemporalLink } from '../running/temporal-link.ts';

const BUSY_RETRY_MS = 100;
/** Left for the query where what came before took most of the deadline. */
const QUERY_MIN_MS = 50;

/** Rejects with what `faultOf` tells apart; `not_found`: there is no such workflow, or it is closed. */
export type WorkflowQuery = <Answer>(workflowId: string, name: string, deadlineAt: number) => Promise<Answer>;

export function createWorkflowQuery(client: Client, link: TemporalLink): WorkflowQuery {
  // Closed workflows are not replayed for a query: what they left behind says how they ended.
  const { connection, options } = client;
  const workflows = new WorkflowClient({
    connection,
    namespace: options.namespace,
    dataConverter: options.loadedDataConverter,
    queryRejectCondition: 'NOT_OPEN',
  });

  return async <Answer>(workflowId: string, name: string, deadlineAt: number) => {
    const query = (): Promise<Answer> => {
      const timeoutMs = Math.max(QUERY_MIN_MS, deadlineAt - Date.now());
      return link.call(timeoutMs, () => workflows.getHandle(workflowId).query<Answer>(name));
    };
    try {
      return await query();
    } catch (error) {
      if (faultOf(error) !== 'busy' || deadlineAt - Date.now() < 2 * BUSY_RETRY_MS) throw error;
      await new Promise((wake) => setTimeout(wake, BUSY_RETRY_MS));
      return await query();
    }
  };
}
