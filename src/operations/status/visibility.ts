/** Visibility's side of a list: the query that finds an account's operations, and what its rows say. */
import type { temporal } from '@temporalio/proto';
import { TrancheError } from '../../model/errors.ts';
import { OPERATION_STATES, type OperationState } from '../../model/operation.ts';
import { CREATED_AT_MEMO, OPERATION_WORKFLOW, RUN_MEMO, SEARCH_ATTRIBUTES } from '../../model/workflow-contract.ts';
import type { ListRequest, OperationView, PageRequest } from '../operations.ts';

export interface Row {
  readonly id: string;
  readonly state: OperationState | null;
  /** Of the operation. */
  readonly run: number;
}

/**
 * Continued and abnormally closed runs are left out: a run that goes on from them, or the one by which the reconciler
 * settles the operation, stands for it.
 */
export function visibilityQuery({ account, state, outcome, target, createdAfter }: ListRequest): string {
  const { account: accountName, state: stateName, outcome: outcomeName, target: targetName } = SEARCH_ATTRIBUTES;
  const clauses = [...OPERATION_RUNS, `${accountName} = ${quote('account', account)}`];
  if (state !== undefined) clauses.push(`${stateName} = ${quote('state', state)}`);
  if (outcome !== undefined) clauses.push(`${outcomeName} = ${quote('outcome', outcome)}`);
  if (target !== undefined) clauses.push(`${targetName} = ${quote('target', target)}`);
  if (createdAfter !== undefined) clauses.push(`StartTime >= '${new Date(timeOf(createdAfter)).toISOString()}'`);
  return clauses.join(' AND ');
}

const OPERATION_RUNS = [`WorkflowType = '${OPERATION_WORKFLOW}'`, "ExecutionStatus IN ('Running', 'Completed')"];

export type PageFilter = Omit<PageRequest, 'page' | 'limit'>;

export function pageQuery({ account, surface, states, outcomes }: PageFilter): string {
  const { account: accountName, surface: surfaceName, state, outcome } = SEARCH_ATTRIBUTES;
  const clauses = [...OPERATION_RUNS, `${surfaceName} = ${quote('surface', surface)}`];
  if (account !== null) clauses.push(`${accountName} = ${quote('account', account)}`);
  if (states !== null) clauses.push(oneOf(state, 'states', states));
  if (outcomes !== null) clauses.push(oneOf(outcome, 'outcomes', outcomes));
  return clauses.join(' AND ');
}

function oneOf(attribute: string, parameter: string, words: readonly string[]): string {
  return `${attribute} IN (${words.map((word) => quote(parameter, word)).join(', ')})`;
}

export function matchesPage({ states, outcomes }: PageFilter, view: OperationView): boolean {
  if (states !== null && !states.includes(view.state)) return false;
  return outcomes === null || (view.outcome !== null && outcomes.includes(view.outcome));
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
  return executions.flatMap(({ execution, searchAttributes, memo }) => {
    const workflowId = execution?.workflowId ?? '';
    if (!workflowId.startsWith(prefix)) return [];
    const run = Number(Buffer.from(memo?.fields?.[RUN_MEMO]?.data ?? []).toString('utf8')) || 1;
    const payload = searchAttributes?.indexedFields?.[SEARCH_ATTRIBUTES.state]?.data;
    return [{ id: workflowId.slice(prefix.length), state: stateOf(payload), run }];
  });
}

export interface AccountRow extends Row {
  readonly account: string;
  readonly createdAtMs: number;
}

export function accountRowsOf(executions: readonly temporal.api.workflow.v1.IWorkflowExecutionInfo[]): AccountRow[] {
  return executions.flatMap((execution) => {
    const account = /^([a-z0-9-]{1,40})\//.exec(execution.execution?.workflowId ?? '')?.[1];
    if (account === undefined) return [];
    const createdAtMs = createdAtOf(execution);
    return rowsOf(account, [execution]).map((row) => ({ ...row, account, createdAtMs }));
  });
}

/** The memo's, which every run carries; a run's own start is later. */
function createdAtOf({ memo, startTime }: temporal.api.workflow.v1.IWorkflowExecutionInfo): number {
  const payload = memo?.fields?.[CREATED_AT_MEMO]?.data;
  const noted = payload ? Date.parse(Buffer.from(payload).toString('utf8').replaceAll('"', '')) : Number.NaN;
  return Number.isNaN(noted) ? Number(startTime?.seconds ?? 0) * 1_000 : noted;
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
