/** Asks an operation's workflow where it stands. */
import type { Client } from '@temporalio/client';
import type { Progress } from '../../model/operation.ts';
import { PROGRESS_QUERY } from '../../model/workflow-contract.ts';
import type { TemporalLink } from '../running/temporal-link.ts';
import { workflowIdOf } from '../submit/operation-id.ts';
import { createWorkflowQuery } from './workflow-query.ts';

export type ProgressQuery = (account: string, id: string, deadlineAt: number) => Promise<Progress>;

export function createProgressQuery(client: Client, link: TemporalLink): ProgressQuery {
  const query = createWorkflowQuery(client, link);
  return (account, id, deadlineAt) => query<Progress>(workflowIdOf(account, id), PROGRESS_QUERY, deadlineAt);
}
