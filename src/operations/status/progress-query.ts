/** Asks an operation's workflow where it stands: one query, one more where the workflow was too busy, all in time. */
import { type Client, WorkflowClient } from '@temporalio/client';
import type { Progress } from '../../model/operation.ts';
import { PROGRESS_QUERY } from '../../model/workflow-contract.ts';
import { faultOf, type TemporalLink } from '../running/temporal-link.ts';
import { workflowIdOf } from '../submit/operation-id.ts';

const BUSY_RETRY_MS = 100;
/** Left for the query where the store took most of the deadline. */
const QUERY_MIN_MS = 50;

export type ProgressQuery = (account: string, id: string, deadlineAt: number) => Promise<Progress>;

export function createProgressQuery(client: Client, link: TemporalLink): ProgressQuery {
  // Closed workflows are not replayed for a query: the summary says how they ended.
  const { connection, options } = client;
  const workflows = new WorkflowClient({
    connection,
    namespace: options.namespace,
    dataConverter: options.loadedDataConverter,
    queryRejectCondition: 'NOT_OPEN',
  });

  function query(workflowId: string, deadlineAt: number): Promise<Progress> {
    const timeoutMs = Math.max(QUERY_MIN_MS, deadlineAt - Date.now());
    return link.call(timeoutMs, () => workflows.getHandle(workflowId).query<Progress>(PROGRESS_QUERY));
  }

  return async (account, id, deadlineAt) => {
    const workflowId = workflowIdOf(account, id);
    try {
      return await query(workflowId, deadlineAt);
    } catch (error) {
      if (faultOf(error) !== 'busy' || deadlineAt - Date.now() < 2 * BUSY_RETRY_MS) throw error;
      await new Promise((wake) => setTimeout(wake, BUSY_RETRY_MS));
      return await query(workflowId, deadlineAt);
    }
  };
}
