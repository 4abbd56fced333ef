/** What the activities beside slices are given and answer: what is read before work begins, and written when it ends. */
import type { Halt, Standing } from './failure-policy.ts';
import type { Amendment, Progress, Tally } from './operation.ts';
import type { Plan } from './plan.ts';
import type { ChunkSource, ChunkState, ChunkTask, OperationRef } from './workflow-contract.ts';

/** Rewrites the last known standing, for readers who find no worker. */
export interface CheckpointInput {
  readonly version: 1;
  readonly ref: OperationRef;
  readonly progress: Progress;
}

/** Writes into the audit trail that the service has halted the operation. The same halt again is the same entry. */
export interface TellHaltInput {
  readonly version: 1;
  readonly ref: OperationRef;
  readonly run: number;
  readonly halt: Halt;
}

/** Writes the summary: the operation has ended, and this is what it came to. */
export interface FinalizeInput {
  readonly version: 1;
  readonly ref: OperationRef;
  readonly summary: Progress;
}

/** Decides what is left of a chunk that nobody works on any more: `cancelled`, or `unknown` where a call may have gone out. */
export interface SettleInput extends ChunkTask {
  /** A slice of this chunk did not return: what it may have reached is in doubt. */
  readonly lost: boolean;
}

export interface SettleAnswer {
  readonly tally: Tally;
}

/** What the log says of an operation whose workflow was lost. */
export interface SurveyInput {
  readonly version: 1;
  readonly ref: OperationRef;
  readonly run: number;
  readonly chunkItems: readonly number[];
  readonly windowMax: number;
  readonly boxMs: number;
  /** Nothing was begun before a checkpoint said so. */
  readonly scheduled: boolean;
}

export interface SurveyAnswer {
  /** The operation has ended already: its summary stands. */
  readonly ended: boolean;
  /** It was paused, or about to be, when it was last heard of. */
  readonly paused: boolean;
  /** Somebody had cancelled it. */
  readonly cancelled: boolean;
  readonly revision: number;
  readonly startedAt: string | null;
  readonly amended: Amendment;
  /** As in `Progress`. */
  readonly halt?: Halt;
  readonly countedFrom?: Standing | null;
  readonly nextChunk: number;
  /** Of the chunks below `nextChunk` that are not in `open`. */
  readonly tally: Tally;
  readonly open: readonly ChunkState[];
}

/** Marks the duplicates of a run, chunk by chunk, in input order (`storage/marks.ts`). Repeating it changes nothing. */
export interface PrepareInput {
  readonly version: 1;
  readonly ref: OperationRef;
  readonly plan: Plan;
  readonly run: number;
  readonly source: ChunkSource;
  readonly chunkItems: readonly number[];
}

export interface PrepareAnswer {
  readonly duplicates: number;
}
