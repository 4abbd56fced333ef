/** Deletes what Temporal keeps of a purged operation: every run of its workflow, and of its chunks' workflows. */
import type { Client } from '@temporalio/client';
import { mapBounded } from '../deadline.ts';
import { faultOf, type TemporalLink } from '../running/temporal-link.ts';
import { workflowIdOf } from '../submit/operation-id.ts';

export interface WorkflowRuns {
  /** Resolves to how many runs were found: 0 = nothing is left that can be seen. Rejects where Temporal does not answer. */
  delete(account: string, id: string): Promise<number>;
}

export interface WorkflowRunsDeps {
  readonly client: Client;
  readonly link: TemporalLink;
  readonly callDeadlineMs: number;
}

const PAGE = 200;
/** An operation of a million chunks is deleted in several passes. */
const PAGES_MAX = 25;
const CONCURRENCY = 8;
const NO_TOKEN: Uint8Array = new Uint8Array(0);

interface Execution {
  readonly workflowId?: string | null;
  readonly runId?: string | null;
}

export function createWorkflowRuns({ client, link, callDeadlineMs }: WorkflowRunsDeps): WorkflowRuns {
  const { namespace } = client.options;
  const { workflowService } = client;

  async function deleteOne({ workflowId, runId }: Execution): Promise<void> {
    const workflowExecution = { workflowId: workflowId ?? '', runId: runId ?? '' };
    try {
      await link.call(callDeadlineMs, () => workflowService.deleteWorkflowExecution({ namespace, workflowExecution }));
    } catch (error) {
      if (faultOf(error) !== 'not_found') throw error;
    }
  }

  async function listPage(query: string, nextPageToken: Uint8Array) {
    const asked = { namespace, query, pageSize: PAGE, nextPageToken };
    const answer = await link.call(callDeadlineMs, () => workflowService.listWorkflowExecutions(asked));
    const executions: Execution[] = (answer.executions ?? []).map(({ execution }) => execution ?? {});
    return { executions, next: answer.nextPageToken ?? NO_TOKEN };
  }

  return {
    async delete(account, id) {
      const workflowId = workflowIdOf(account, id);
      // Its latest run may be too young for visibility.
      await deleteOne({ workflowId });
      // Neither part has a quote.
      const query = `RootWorkflowId = '${workflowId}' OR WorkflowId = '${workflowId}'`;
      let found = 0;
      for (let page = 0, token = NO_TOKEN; page < PAGES_MAX; page++) {
        const { executions, next } = await listPage(query, token);
        found += executions.length;
        await mapBounded(executions, CONCURRENCY, deleteOne);
        if (next.length === 0) break;
        token = next;
      }
      return found;
    },
  };
}
