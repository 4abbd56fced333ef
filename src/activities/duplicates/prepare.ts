/** Before the first slice of a run whose target dedupes: marks every item whose key an earlier one holds. */

import {
  ApplicationFailure,
  activityInfo,
  CancelledFailure,
  cancellationSignal,
  heartbeat,
} from '@temporalio/activity';
import type { PrepareAnswer, PrepareInput } from '../../model/activity-contract.ts';
import { sumItems } from '../../model/operation.ts';
import { chunkPrefix } from '../../storage/keys.ts';
import type { ActivityDeps } from '../deps.ts';
import { type Lease, startLease } from '../lease.ts';
import { targetOf } from '../target-of.ts';
import { markDuplicates, type Pace, planPasses, type RunChunks } from './duplicates.ts';
import { createTableRoom } from './table-room.ts';

export interface PrepareLimits {
  /** Keys in one operation's table: 191 MiB; more items take several passes over the chunks. */
  readonly tableKeysMax: number;
  /** Keys in all tables of this process, so that others get on beside a large operation: 229 MiB. */
  readonly processKeysMax: number;
}

const LIMITS: PrepareLimits = { tableKeysMax: 10_000_000, processKeysMax: 12_000_000 };

type PrepareDeps = Pick<ActivityDeps, 'store' | 'records' | 'segments' | 'findTarget' | 'stopping' | 'heartbeat'>;

export function createPrepare(deps: PrepareDeps, limits: PrepareLimits = LIMITS) {
  const room = createTableRoom(limits.processKeysMax);
  return async function prepare(input: PrepareInput): Promise<PrepareAnswer> {
    const target = targetOf(deps, input.plan.target);
    const ending = endSignal(deps.stopping);
    const lease = keepLease(deps, input, ending);
    let leave = () => {};
    try {
      const earlier = await runsBefore(deps, input);
      // What a retry chose had not succeeded, so keys taken and chosen items together are at most the items of run 1.
      const items = sumItems((earlier[0] ?? input).chunkItems);
      const passes = planPasses(items, limits.tableKeysMax);
      leave = await room.enter(passes.keysMax, ending.signal);
      const pace = createPace(ending.signal);
      const attempt = attemptName();
      return { duplicates: await markDuplicates({ deps, input, earlier, target, passes, attempt, pace }) };
    } finally {
      lease.stop();
      leave();
      ending.done();
    }
  };
}

/** The event loop is given back after this long, so that heartbeats go out and slices beside it get on. */
const BURST_MS = 10;
/** The clock is looked at once for so many items. */
const ITEMS_A_LOOK = 32;

function createPace(signal: AbortSignal): Pace {
  let burstEndMs = performance.now() + BURST_MS;
  let calls = 0;
  return {
    due: () => (++calls & (ITEMS_A_LOOK - 1)) === 0 && performance.now() > burstEndMs,
    async breathe() {
      await new Promise(setImmediate);
      signal.throwIfAborted();
      burstEndMs = performance.now() + BURST_MS;
    },
  };
}

type Ending = ReturnType<typeof endSignal>;

/** Nothing depends on holding it, for marks are the same whoever makes them; but who has lost it should not go on. */
function keepLease(deps: PrepareDeps, { plan }: PrepareInput, ending: Ending): Lease {
  const info = activityInfo();
  return startLease({
    taskToken: info.taskToken,
    heartbeatTimeoutMs: info.heartbeatTimeoutMs ?? plan.heartbeatTimeoutMs,
    grantedAtMs: info.currentAttemptScheduledTimestampMs,
    beat: deps.heartbeat,
    beatSdk: heartbeat,
    onCalledHome: ending.cancel,
    onLost: ending.lose,
    onRenewed: () => undefined,
  });
}

/** Aborted where the workflow no longer wants the marks, or another worker makes them or shall make them. */
function endSignal(stopping: AbortSignal) {
  const end = new AbortController();
  const cancelled = cancellationSignal();
  const onCancel = () => end.abort(new CancelledFailure('the operation no longer waits for its marks'));
  const onLost = () => end.abort(ApplicationFailure.retryable('another worker marks the duplicates', 'lease_lost'));
  const onStop = () => end.abort(ApplicationFailure.retryable('this worker stops', 'worker_stops'));
  // A worker that stops cancels what it runs: that is not the workflow's wish.
  if (stopping.aborted) onStop();
  if (cancelled.aborted) onCancel();
  stopping.addEventListener('abort', onStop);
  cancelled.addEventListener('abort', onCancel);
  return {
    signal: end.signal,
    cancel: onCancel,
    lose: onLost,
    done() {
      stopping.removeEventListener('abort', onStop);
      cancelled.removeEventListener('abort', onCancel);
    },
  };
}

/** Where the chunks of the runs before this one stand; none for the first. */
async function runsBefore(deps: PrepareDeps, { ref, run }: PrepareInput): Promise<readonly RunChunks[]> {
  if (run === 1) return [];
  const record = await deps.records.readRecord(ref.account, ref.id);
  if (record?.uid !== ref.uid) throw missing(`operation ${ref.id} has no record in this store`);
  const source = record.inlineChunk === null ? blobsUnder(chunkPrefix(ref.uid)) : ({ kind: 'record' } as const);
  const runs: RunChunks[] = [{ run: 1, source, chunkItems: record.chunkItems }];
  for (let number = 2; number < run; number++) {
    const found = await deps.records.readRun(ref.account, ref.id, number);
    if (found === null) throw missing(`run ${number} of operation ${ref.id} has no record in this store`);
    runs.push({ run: number, source: blobsUnder(found.prefix), chunkItems: found.chunkItems });
  }
  return runs;
}

const blobsUnder = (prefix: string) => ({ kind: 'blobs', prefix }) as const;

function missing(message: string): ApplicationFailure {
  return ApplicationFailure.retryable(message, 'record_missing');
}

function attemptName(): string {
  const { activityId, attempt, workflowExecution } = activityInfo();
  return `${workflowExecution?.runId ?? 'none'}-${activityId}-${attempt}`;
}
