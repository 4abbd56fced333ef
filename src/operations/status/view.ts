/** Record and progress → what a reader sees (SURFACES §1). */
import { amendedPolicy } from '../../model/failure-policy.ts';
import { decidedItems, isAhead, type OperationRecord, type Progress, toCounts } from '../../model/operation.ts';
import type { OperationView } from '../operations.ts';
import { firstRun, type RunStart } from '../results/runs.ts';

/** A record without what only the work needs: small enough to remember thousands. */
export type KnownRecord = Omit<OperationRecord, 'inlineChunk' | 'chunkItems'>;

export function knownRecord(record: OperationRecord): KnownRecord {
  const { inlineChunk: _inlineChunk, chunkItems: _chunkItems, ...known } = record;
  return known;
}

/** What is true of an operation of which only the record is known, or that of its latest run. */
export function queuedProgress(record: KnownRecord, start: RunStart = firstRun(record)): Progress {
  const { run, base, deadline, createdAt } = start;
  return {
    version: 1,
    run,
    revision: 0,
    state: run > 1 || record.scheduledAt === null ? 'queued' : 'scheduled',
    outcome: null,
    tally: base,
    running: 0,
    throttle: null,
    amended: {},
    ...(deadline === undefined ? {} : { deadline }),
    startedAt: null,
    endedAt: null,
    asOf: createdAt,
  };
}

/** RFC 3339: when what ended at `endedAt` may go. Of what goes on, counted from its beginning: the earliest. */
export function expiryOf(endedAt: string, retentionMs: number): string {
  return new Date(Date.parse(endedAt) + retentionMs).toISOString();
}

export function toView(record: KnownRecord, progress: Progress, live: boolean): OperationView {
  const { id, target, account, input, metadata, createdAt, expiresAt, traceId } = record;
  const { outcome, run, revision, throttle, startedAt, endedAt, asOf } = progress;
  const { priority, scheduledAt } = { ...record, ...progress.amended };
  // Its time may have come with nobody there to say so.
  const state = progress.state === 'scheduled' && !isAhead(scheduledAt, Date.now()) ? 'queued' : progress.state;
  return {
    id,
    target,
    account,
    state,
    outcome,
    run,
    revision,
    counts: toCounts(record.total, progress.tally, state === 'ended' ? 0 : progress.running),
    progress: paceOf(record.total, progress),
    throttle,
    policy: amendedPolicy(record.plan.failure, progress.amended),
    deadline: progress.deadline ?? null,
    halt: progress.halt ?? null,
    input,
    metadata,
    priority,
    createdAt,
    scheduledAt,
    startedAt,
    endedAt,
    expiresAt,
    asOf,
    live,
    traceId,
  };
}

/** The mean since the start of the run. Percent is cut, never rounded up: 100 means all. */
function paceOf(total: number, progress: Progress): OperationView['progress'] {
  const decided = decidedItems(progress.tally);
  const percent = total === 0 ? 100 : Math.floor((decided / total) * 1_000) / 10;
  const itemsPerSecond = rateOf(decided - (progress.earlierItems ?? 0), progress);
  if (progress.state === 'ended') return { percent, itemsPerSecond, etaSeconds: 0 };
  const moves = progress.state === 'running' && itemsPerSecond !== null && itemsPerSecond > 0;
  return { percent, itemsPerSecond, etaSeconds: moves ? Math.ceil((total - decided) / itemsPerSecond) : null };
}

function rateOf(decided: number, { startedAt, endedAt, asOf }: Progress): number | null {
  if (startedAt === null || decided === 0) return null;
  const seconds = (Date.parse(endedAt ?? asOf) - Date.parse(startedAt)) / 1_000;
  return seconds > 0 ? Math.round((decided / seconds) * 10) / 10 : null;
}
