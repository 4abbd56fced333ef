/** What crosses between processes and workflows: names, inputs and answers. Versioned; never item data (DESIGN §2.3). */
import type { OperationOutcome, Progress, Tally, Throttle } from './operation.ts';
import type { Plan } from './plan.ts';

export const TASK_QUEUE = 'tranche';
export const OPERATION_WORKFLOW = 'operation';
export const CHUNK_WORKFLOW = 'chunk';

export const SIGNALS = {
  pause: 'pause',
  resume: 'resume',
  cancel: 'cancel',
  /** Parent → chunk: end your slice, come home with what is undecided. */
  yield: 'yield',
  /** Chunk → parent, at most one per 5 s. */
  progress: 'progress',
} as const;
export const PROGRESS_QUERY = 'progress';

export const SEARCH_ATTRIBUTES = {
  account: 'TrancheAccount',
  target: 'TrancheTarget',
  state: 'TrancheState',
  outcome: 'TrancheOutcome',
} as const;

/** Where an operation's blobs are. `recordKey` holds the inline chunk of a small operation. */
export interface OperationRef {
  readonly account: string;
  readonly id: string;
  readonly uid: string;
  readonly recordKey: string;
}

export interface OperationInput {
  readonly version: 1;
  readonly ref: OperationRef;
  readonly plan: Plan;
  readonly total: number;
  readonly chunkItems: readonly number[];
  readonly inline: boolean;
  readonly run: number;
  readonly priority: number;
  /**
   * `start`: nothing was done before. `resume`: earlier work may stand in the log (the workflow was lost):
   * survey it first. `settle`: an operator ended the workflow; account for what was done and end.
   */
  readonly mode: 'start' | 'resume' | 'settle';
  /** What continue-as-new carries. */
  readonly carried: OperationCarry | null;
}

export interface OperationCarry {
  readonly revision: number;
  readonly startedAt: string;
  /** Tally of the chunks in `finished`. */
  readonly tally: Tally;
  /** Chunks below this ordinal have been begun. */
  readonly nextChunk: number;
  /** Begun and not finished: they go on first. */
  readonly open: readonly ChunkState[];
  readonly paused: boolean;
  readonly meanLatencyMs: number | null;
}

/** Where a chunk stands between two slices. */
export interface ChunkState {
  readonly ordinal: number;
  /** Next segment of its log. */
  readonly seq: number;
  readonly tally: Tally;
  readonly boxMs: number;
  /** The last slice found the vendor down: the next one begins with one call. */
  readonly probe: boolean;
  /** Outage back-off steps in a row. */
  readonly outages: number;
  /** A slice was lost (timed out) since the last one that answered. */
  readonly lost: boolean;
}

export interface ChunkInput {
  readonly version: 1;
  readonly ref: OperationRef;
  readonly plan: Plan;
  readonly run: number;
  readonly items: number;
  readonly inline: boolean;
  readonly window: number;
  readonly state: ChunkState;
}

export interface ChunkAnswer {
  readonly state: ChunkState;
  readonly done: boolean;
  readonly meanLatencyMs: number | null;
}

export interface ChunkProgress {
  readonly ordinal: number;
  readonly tally: Tally;
  readonly throttle: Throttle | null;
  readonly meanLatencyMs: number | null;
}

export interface SliceInput {
  readonly version: 1;
  readonly ref: OperationRef;
  readonly plan: Plan;
  readonly run: number;
  readonly ordinal: number;
  readonly inline: boolean;
  readonly seq: number;
  readonly boxMs: number;
  readonly probe: boolean;
  /** This slice's share of the operation's calls per second; null = no cap. */
  readonly callsPerSecond: number | null;
}

export interface SliceAnswer {
  /** Of the whole chunk so far, this slice included. */
  readonly tally: Tally;
  readonly nextSeq: number;
  readonly done: boolean;
  /** Epoch ms before which no undecided item may be tried; null = at once. */
  readonly waitUntil: number | null;
  readonly vendorDown: boolean;
  /** Other slices waited for this one's slot: do not grow the box. */
  readonly contended: boolean;
  readonly meanLatencyMs: number | null;
}

/** Ends the chunks begun and not finished after a cancel, and writes the summary. */
export interface FinalizeInput {
  readonly version: 1;
  readonly ref: OperationRef;
  readonly plan: Plan;
  readonly run: number;
  readonly total: number;
  readonly chunkItems: readonly number[];
  readonly progress: Progress;
  readonly outcome: OperationOutcome;
}

export interface SettleInput {
  readonly version: 1;
  readonly ref: OperationRef;
  readonly plan: Plan;
  readonly run: number;
  readonly ordinal: number;
  readonly items: number;
}

export interface SurveyAnswer {
  readonly revision: number;
  readonly startedAt: string | null;
  readonly nextChunk: number;
  readonly tally: Tally;
  readonly open: readonly ChunkState[];
}
