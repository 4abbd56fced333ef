/** Visibility's side of a list: the query that finds an account's operations, and what its rows say. */
import type { temporal } from '@temporalio/proto';
import { TrancheError } from '../model/errors.ts';
import { OPERATION_STATES, type OperationState } from '../model/operation.ts';
import { OPERATION_WORKFLOW, SEARCH_ATTRIBUTES } from '../model/workflow-contract.ts';
import type { ListRequest, OperationView } from './operations.ts';

export interface Row {
  readonly id: string;
  readonly state: OperationState | null;
}

/**
 * Continued and abnormally closed runs are left out: a run that goes on from them, or the one by which the reconciler
 * settles the operation, stands for it.
 */
export function visibilityQuery({ account, state, outcome, target, createdAfter }: ListRequest): string {
  const { account: accountName, state: stateName, outcome: outcomeName, target: targetName } = SEARCH_ATTRIBUTES;
  const clauses = [
    `WorkflowType = '${OPERATION_WORKFLOW}'`,
    `${accountName} = ${quote('account', account)}`,
    "ExecutionStatus IN ('Running', 'Completed')",
  ];
  if (state !== undefined) clauses.push(`${stateName} = ${quote('state', state)}`);
  if (outcome !== undefined) clauses.push(`${outcomeName} = ${quote('outcome', outcome)}`);
  if (target !== undefined) clauses.push(`${targetName} = ${quote('target', target)}`);
  if (createdAfter !== undefined) clauses.push(`StartTime >= '${new Date(timeOf(createdAfter)).toISOString()}'`);
  return clauses.join(' AND ');
}

/** Rows are seconds behind: what they were found by is checked again on what is shown. */
export function matches({ state, outcome, target, createdAfter }: ListRequest, view: OperationView): boolean {
  if (state !== undefined && view.state !== state) return false;
  if (outcome !== undefined && view.outcome !== outcome) return false;
  if (target !== undefined && view.target !== target) return false;
  return createdAfter === undefined || Date.parse(view.createdAt) >= timeOf(createdAfter);
}

export function rowsOf(account: string, executions: readonly temporal.api.workflow.v1.IWorkflowExecutionInfo[]): Row[] {
  const prefix = `${account}/`;
  return executions.flatMap(({ execution, searchAttributes }) => {
    const workflowId = execution?.workflowId ?? '';
    if (!workflowId.startsWith(prefix)) return [];
    const payload = searchAttributes?.indexedFields?.[SEARCH_ATTRIBUTES.state]?.data;
    return [{ id: workflowId.slice(prefix.length), state: stateOf(payload) }];
  });
}

function stateOf(json: Uint8Array | null | undefined): OperationState | null {
  const text = json === null || json === undefined ? '' : Buffer.from(json).toString('utf8').replaceAll('"', '');
  return OPERATION_STATES.find((state) => state === text) ?? null;
}

const PLAIN_VALUE = /^[A-Za-z0-9._:-]{1,128}$/;

function quote(parameter: string, value: string): string {
  if (PLAIN_VALUE.test(value)) return `'${value}'`;
  throw malformed(parameter, `${parameter} has characters that no such name has`);
}

function timeOf(createdAfter: string): number {
  const time = Date.parse(createdAfter);
  if (Number.isNaN(time)) throw malformed('createdAfter', 'createdAfter must be an RFC 3339 date and time');
  return time;
}

function malformed(parameter: string, detail: string): TrancheError {
  return new TrancheError('malformed_request', detail, { errors: [{ code: 'malformed_request', detail, parameter }] });
}
