/** Starts an operation's workflow, at most one attempt at a time per operation; what fails is left to the reconciler. */
import { createHash } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Client, WorkflowExecutionAlreadyStartedError } from '@temporalio/client';
import { defineSearchAttributeKey, SearchAttributeType, type WorkflowIdReusePolicy } from '@temporalio/common';
import type { Log } from '../../model/log.ts';
import { EMPTY_TALLY, isAhead, type OperationRecord, type RunRecord, sumItems } from '../../model/operation.ts';
import {
  type ChunkSource,
  CREATED_AT_MEMO,
  OPERATION_WORKFLOW,
  type OperationInput,
  RUN_MEMO,
  SEARCH_ATTRIBUTES,
  TASK_QUEUE,
} from '../../model/workflow-contract.ts';
import { chunkPrefix, openName } from '../../storage/keys.ts';
import { createLru } from '../lru.ts';
import { workflowIdOf } from '../submit/operation-id.ts';
import type { Nudges } from './nudges.ts';
import type { TemporalLink } from './temporal-link.ts';

const STARTED_KNOWN_MAX = 10_000;
/** The summary stands a moment before its workflow is closed: a retry may come in between. */
const CLOSING_LOOKS_MAX = 10;
const CLOSING_LOOK_MS = 50;

const accountKey = defineSearchAttributeKey(SEARCH_ATTRIBUTES.account, SearchAttributeType.KEYWORD);
const targetKey = defineSearchAttributeKey(SEARCH_ATTRIBUTES.target, SearchAttributeType.KEYWORD);
const surfaceKey = defineSearchAttributeKey(SEARCH_ATTRIBUTES.surface, SearchAttributeType.KEYWORD);
const stateKey = defineSearchAttributeKey(SEARCH_ATTRIBUTES.state, SearchAttributeType.KEYWORD);

export interface StartRequest {
  readonly record: OperationRecord;
  /** The retry that is to begin; null = the submission itself. */
  readonly run: RunRecord | null;
  readonly mode: OperationInput['mode'];
  /** The workflow before it is closed and the operation has not ended: the same id again. */
  readonly again: boolean;
}

export interface Starter {
  /** True: the server has the workflow, by us or by somebody else. False: the open marker is its outbox. Never throws. */
  start(request: StartRequest): Promise<boolean>;
  /** This process has seen the workflow start. */
  hasStarted(record: { readonly account: string; readonly id: string }, run: number): boolean;
}

export interface StarterDeps {
  readonly client: Client;
  readonly link: TemporalLink;
  readonly nudges: Nudges;
  readonly deadlineMs: number;
  readonly log: Log;
}

export function createStarter({ client, link, nudges, deadlineMs, log }: StarterDeps): Starter {
  const started = createLru<true>(STARTED_KNOWN_MAX);
  const starting = new Map<string, Promise<boolean>>();

  async function attempt(request: StartRequest, workflowId: string, name: string): Promise<boolean> {
    const run = request.run?.run ?? 1;
    try {
      for (let looks = 1; !(await tryToStart(request, workflowId, run)); looks++) {
        if (looks === CLOSING_LOOKS_MAX) throw new Error('the workflow of an earlier run is still open');
        await sleep(CLOSING_LOOK_MS);
      }
    } catch (error) {
      nudges.add(openName(request.record.uid, run));
      if (!link.isDown()) log('warn', 'a workflow could not be started and will be later', { workflowId, run, error });
      return false;
    }
    started.set(name, true);
    return true;
  }

  /** False: the workflow that stands there is that of an earlier run. */
  async function tryToStart(request: StartRequest, workflowId: string, run: number): Promise<boolean> {
    try {
      await link.call(deadlineMs, () => startWorkflow(client, request, workflowId));
      return true;
    } catch (error) {
      if (!(error instanceof WorkflowExecutionAlreadyStartedError)) throw error;
    }
    if (run === 1) return true;
    const standing = await link.call(deadlineMs, () => client.workflow.getHandle(workflowId).describe());
    return runOfMemo(standing.memo) >= run;
  }

  return {
    start(request) {
      const workflowId = workflowIdOf(request.record.account, request.record.id);
      const name = nameOf(workflowId, request.run?.run ?? 1);
      const running = starting.get(name);
      if (running !== undefined) return running;
      const attempting = attempt(request, workflowId, name).finally(() => starting.delete(name));
      starting.set(name, attempting);
      return attempting;
    },
    hasStarted: ({ account, id }, run) => started.get(nameOf(workflowIdOf(account, id), run)) === true,
  };
}

function nameOf(workflowId: string, run: number): string {
  return `${workflowId}#${run}`;
}

/** Which run a workflow works on. */
export function runOfMemo(memo: Readonly<Record<string, unknown>> | undefined): number {
  const run = memo?.[RUN_MEMO];
  return typeof run === 'number' ? run : 1;
}

function startWorkflow(client: Client, request: StartRequest, workflowId: string): Promise<unknown> {
  const { record, run, again } = request;
  const reuse: WorkflowIdReusePolicy = again ? 'ALLOW_DUPLICATE' : 'REJECT_DUPLICATE';
  return client.workflow.start(OPERATION_WORKFLOW, {
    workflowId,
    taskQueue: TASK_QUEUE,
    args: [inputOf(request)],
    workflowIdReusePolicy: reuse,
    workflowIdConflictPolicy: 'FAIL',
    typedSearchAttributes: [
      { key: accountKey, value: record.account },
      { key: targetKey, value: record.target },
      { key: surfaceKey, value: record.surface },
      { key: stateKey, value: run === null && isAhead(record.scheduledAt, Date.now()) ? 'scheduled' : 'queued' },
    ],
    priority: { priorityKey: record.priority, fairnessKey: fairnessKeyOf(record.account) },
    memo: { [CREATED_AT_MEMO]: record.createdAt, ...(run === null ? {} : { [RUN_MEMO]: run.run }) },
    staticSummary: summaryOf(request),
  });
}

function summaryOf({ record, run }: StartRequest): string {
  if (run === null) return `${record.target}: ${record.total} items`;
  return `${record.target}: ${sumItems(run.chunkItems)} of ${record.total} items, run ${run.run}`;
}

function inputOf({ record, run, mode }: StartRequest): OperationInput {
  const { account, id, uid, plan, total, priority } = record;
  const whole = { version: 1, plan, total, priority, mode, carried: null } as const;
  if (run !== null) {
    const { chunkItems, base, prefix, traceId, doubts, deadline } = run;
    const ref = { account, id, uid, traceId };
    const chosen = doubts === undefined ? { chunkItems } : { chunkItems, doubts };
    const times = { scheduledAt: null, ...(deadline === undefined ? {} : { deadline }) };
    return { ...whole, ref, run: run.run, base, ...chosen, source: { kind: 'blobs', prefix }, ...times };
  }
  const { traceId, chunkItems, scheduledAt, deadline } = record;
  const ref = { account, id, uid, traceId };
  const source: ChunkSource =
    record.inlineChunk === null ? { kind: 'blobs', prefix: chunkPrefix(uid) } : { kind: 'record' };
  const times = { scheduledAt, ...(deadline === undefined ? {} : { deadline }) };
  return { ...whole, ref, run: 1, base: EMPTY_TALLY, chunkItems, source, ...times };
}

/** At most 64 bytes, and nothing that names the account in a metric. */
function fairnessKeyOf(account: string): string {
  return createHash('sha256').update(account).digest('hex').slice(0, 32);
}
