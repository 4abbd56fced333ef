/** Starts an operation's workflow, at most one attempt at a time per operation; what fails is left to the reconciler. */
import { createHash } from 'node:crypto';
import { type Client, WorkflowExecutionAlreadyStartedError } from '@temporalio/client';
import { defineSearchAttributeKey, SearchAttributeType, type WorkflowIdReusePolicy } from '@temporalio/common';
import type { Log } from '../model/log.ts';
import { EMPTY_TALLY, isAhead, type OperationRecord } from '../model/operation.ts';
import {
  type ChunkSource,
  CREATED_AT_MEMO,
  OPERATION_WORKFLOW,
  type OperationInput,
  SEARCH_ATTRIBUTES,
  TASK_QUEUE,
} from '../model/workflow-contract.ts';
import { chunkPrefix } from '../storage/keys.ts';
import { createLru } from './lru.ts';
import type { Nudges } from './nudges.ts';
import { workflowIdOf } from './operation-id.ts';
import type { TemporalLink } from './temporal-link.ts';

const STARTED_KNOWN_MAX = 10_000;

const accountKey = defineSearchAttributeKey(SEARCH_ATTRIBUTES.account, SearchAttributeType.KEYWORD);
const targetKey = defineSearchAttributeKey(SEARCH_ATTRIBUTES.target, SearchAttributeType.KEYWORD);
const surfaceKey = defineSearchAttributeKey(SEARCH_ATTRIBUTES.surface, SearchAttributeType.KEYWORD);
const stateKey = defineSearchAttributeKey(SEARCH_ATTRIBUTES.state, SearchAttributeType.KEYWORD);

export interface StartRequest {
  readonly record: OperationRecord;
  readonly mode: OperationInput['mode'];
  /** The workflow before it is closed and the operation has not ended: the same id again. */
  readonly again: boolean;
}

export interface Starter {
  /** True: the server has the workflow, by us or by somebody else. False: the open marker is its outbox. Never throws. */
  start(request: StartRequest): Promise<boolean>;
  /** This process has seen the workflow start. */
  hasStarted(record: { readonly account: string; readonly id: string }): boolean;
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

  async function attempt(request: StartRequest, workflowId: string): Promise<boolean> {
    try {
      await link.call(deadlineMs, () => startWorkflow(client, request, workflowId));
    } catch (error) {
      if (!(error instanceof WorkflowExecutionAlreadyStartedError)) {
        nudges.add(request.record.uid);
        if (!link.isDown()) log('warn', 'a workflow could not be started and will be later', { workflowId, error });
        return false;
      }
    }
    started.set(workflowId, true);
    return true;
  }

  return {
    start(request) {
      const workflowId = workflowIdOf(request.record.account, request.record.id);
      const running = starting.get(workflowId);
      if (running !== undefined) return running;
      const attempting = attempt(request, workflowId).finally(() => starting.delete(workflowId));
      starting.set(workflowId, attempting);
      return attempting;
    },
    hasStarted: ({ account, id }) => started.get(workflowIdOf(account, id)) === true,
  };
}

function startWorkflow(client: Client, { record, mode, again }: StartRequest, workflowId: string): Promise<unknown> {
  const reuse: WorkflowIdReusePolicy = again ? 'ALLOW_DUPLICATE' : 'REJECT_DUPLICATE';
  return client.workflow.start(OPERATION_WORKFLOW, {
    workflowId,
    taskQueue: TASK_QUEUE,
    args: [inputOf(record, mode)],
    workflowIdReusePolicy: reuse,
    workflowIdConflictPolicy: 'FAIL',
    typedSearchAttributes: [
      { key: accountKey, value: record.account },
      { key: targetKey, value: record.target },
      { key: surfaceKey, value: record.surface },
      { key: stateKey, value: isAhead(record.scheduledAt, Date.now()) ? 'scheduled' : 'queued' },
    ],
    priority: { priorityKey: record.priority, fairnessKey: fairnessKeyOf(record.account) },
    memo: { [CREATED_AT_MEMO]: record.createdAt },
    staticSummary: `${record.target}: ${record.total} items`,
  });
}

function inputOf(record: OperationRecord, mode: OperationInput['mode']): OperationInput {
  const { account, id, uid, traceId, plan, total, chunkItems, priority, scheduledAt } = record;
  const ref = { account, id, uid, traceId };
  const source: ChunkSource =
    record.inlineChunk === null ? { kind: 'blobs', prefix: chunkPrefix(uid) } : { kind: 'record' };
  const run = { run: 1, base: EMPTY_TALLY, chunkItems, source };
  return { version: 1, ref, plan, total, ...run, priority, scheduledAt, mode, carried: null };
}

/** At most 64 bytes, and nothing that names the account in a metric. */
function fairnessKeyOf(account: string): string {
  return createHash('sha256').update(account).digest('hex').slice(0, 32);
}
