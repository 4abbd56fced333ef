/** What crosses between processes and workflows: names, inputs and answers. Versioned; never item data (DESIGN §2.3). */
import type { FailureAllowance, Halt, Standing } from './failure-policy.ts';
import type { Amendment, Progress, Tally, Throttle } from './operation.ts';
import type { Plan } from './plan.ts';

export const TASK_QUEUE = 'tranche';
export const OPERATION_WORKFLOW = 'operation';

export const SIGNALS = {
  pause: 'pause',
  resume: 'resume',
  cancel: 'cancel',
  /** Parent → chunk: come home with what is undecided (`YieldRequest`). */
  yield: 'yield',
  /** Chunk → parent, at most one per 5 s. */
  progress: 'progress',
  /** Live policy (`Amendment`). */
  amend: 'amend',
  /** Callbacks have come for these chunks (`Arrival`). At most one per second. */
  arrived: 'arrived',
} as const;
/** `now`: the running slice is cut short (pause, cancel); `after_slice`: it may end its box (continue-as-new). */
export type YieldRequest = 'now' | 'after_slice';
export interface Arrival {
  readonly ordinals: readonly number[];
}
export const PROGRESS_QUERY = 'progress';

export const SEARCH_ATTRIBUTES = {
  account: 'TrancheAccount',
  target: 'TrancheTarget',
  state: 'TrancheState',
  outcome: 'TrancheOutcome',
  surface: 'TrancheSurface',
} as const;

/** RFC 3339: when the operation was accepted, whatever run a row of visibility is of. */
export const CREATED_AT_MEMO = 'createdAt';
/** Memo beside it: the run that the workflow works on; absent = 1. */
export const RUN_MEMO = 'run';

/** Names an operation and its blobs (`storage/keys.ts`), and the trace that all its work belongs to. */
export interface OperationRef {
  readonly account: string;
  readonly id: string;
  readonly uid: string;
  /** 32 hex digits: that of the request which began the run. */
  readonly traceId: string;
}

/** Where a run's chunks stand: the only one in the record, or each as a blob under a prefix (`chunkKey`). */
export type ChunkSource = { readonly kind: 'record' } | { readonly kind: 'blobs'; readonly prefix: string };

export interface OperationInput {
  readonly version: 1;
  readonly ref: OperationRef;
  readonly plan: Plan;
  /** Of the whole operation, whatever this run works on. */
  readonly total: number;
  /** Outcomes of the items that this run does not touch; a retry's counts begin here. */
  readonly base: Tally;
  /** Of this run's chunks. */
  readonly chunkItems: readonly number[];
  /** Of each: items that an earlier run left in doubt, and that stay so where they are never begun. Absent = none. */
  readonly doubts?: readonly number[];
  readonly source: ChunkSource;
  readonly run: number;
  /** 1–5, 1 first. */
  readonly priority: number;
  /** RFC 3339; the run sleeps until then. Null = at once. */
  readonly scheduledAt: string | null;
  /** RFC 3339: what is not begun by then is cancelled. Absent = none. */
  readonly deadline?: string;
  /**
   * `start`: nothing was done before. `resume`: earlier work may stand in the log (the workflow was lost):
   * survey it first. `settle`: an operator ended the workflow; account for what was done and end.
   * `settle_untouched`: the same for a workflow that no worker had ever taken up.
   */
  readonly mode: 'start' | 'resume' | 'settle' | 'settle_untouched';
  /** What continue-as-new carries. */
  readonly carried: OperationCarry | null;
}

export interface OperationCarry {
  readonly revision: number;
  /** Null while it is scheduled. */
  readonly startedAt: string | null;
  /** Tally of the chunks in `finished`. */
  readonly tally: Tally;
  /** Chunks below this ordinal have been begun. */
  readonly nextChunk: number;
  /** Begun and not finished: they go on first. */
  readonly open: readonly ChunkState[];
  readonly paused: boolean;
  /** Duplicates are marked. */
  readonly prepared: boolean;
  readonly amended: Amendment;
  /** As in `Progress`. */
  readonly halt?: Halt;
  readonly countedFrom?: Standing | null;
}

/** Where a chunk stands between two slices. */
export interface ChunkState {
  readonly ordinal: number;
  readonly tally: Tally;
  readonly boxMs: number;
  /** The last slice found the vendor down: the next one begins with one call. */
  readonly probe: boolean;
  /** Outage back-off steps in a row. */
  readonly outages: number;
  /** A slice was lost (timed out) since the last one that answered. */
  readonly lost: boolean;
  /** Nothing can be done for what is left but wait for callbacks; absent where that is not so. */
  readonly awaits?: Awaits;
}

/** What a chunk waits for that only waits for callbacks. */
export interface Awaits {
  readonly items: number;
  /** Epoch ms: the earliest deadline. */
  readonly until: number;
  readonly looks?: Looks;
}

/** How a waiting chunk has been looked at so far: it goes on at that pace, whatever interrupts the work. */
export interface Looks {
  readonly firstAtMs: number;
  /** Items awaited at the last look, and when that was. */
  readonly items: number;
  readonly atMs: number;
  readonly gapMs: number;
  readonly patienceMs: number;
}

export interface ChunkInput {
  readonly version: 1;
  readonly ref: OperationRef;
  readonly plan: Plan;
  readonly run: number;
  readonly items: number;
  readonly source: ChunkSource;
  /** This chunk's share of the operation's calls per second; null = no cap. */
  readonly callsPerSecond: number | null;
  readonly state: ChunkState;
  /** What it may add to the operation's failures before it comes home; absent = anything. */
  readonly allowance?: FailureAllowance;
}

export interface ChunkAnswer {
  readonly state: ChunkState;
  readonly done: boolean;
  readonly summary: Progress | null;
}

export interface ChunkProgress extends ChunkNews {
  readonly ordinal: number;
  readonly tally: Tally;
}

/** What the last slice of a chunk said of its vendor. */
export interface ChunkNews {
  readonly throttle: Throttle | null;
  /** As in `VendorPressure`. */
  readonly inFlight?: number;
}

/** One chunk, and the run that it is worked on in. */
export interface ChunkTask {
  readonly version: 1;
  readonly ref: OperationRef;
  readonly plan: Plan;
  readonly run: number;
  readonly ordinal: number;
  readonly source: ChunkSource;
}

export interface SliceInput extends ChunkTask {
  readonly boxMs: number;
  readonly probe: boolean;
  /** An earlier slice of this chunk did not return. */
  readonly lost: boolean;
  /** This slice's share of the operation's calls per second; null = no cap. */
  readonly callsPerSecond: number | null;
  /** The only chunk of its operation: the slice that leaves nothing undecided writes the summary, too. */
  readonly ends: OperationEnd | null;
  /** Ends its box by itself as soon as this is spent; absent = never. */
  readonly limit?: SliceLimit;
}

export interface SliceLimit {
  readonly allowance: FailureAllowance;
  /** Of the chunk, as its workflow knows it: what is beyond it is spent. */
  readonly from: Standing;
}

/** What a summary says beside its tally. */
export interface OperationEnd {
  readonly startedAt: string;
  /** Outcomes of the items that the run did not touch. */
  readonly base: Tally;
  readonly amended: Amendment;
  /** As in `Progress`. */
  readonly deadline?: string;
  /** Above every revision that readers may be shown before. */
  readonly revision: number;
}

export interface VendorPressure {
  /** What the vendor grants over all workers; null: places lack, not calls. */
  readonly callsPerSecond: number | null;
  /** The vendor has shown less than its budget. */
  readonly adapted: boolean;
  /** Calls that the slice had with the vendor at one time, on average: those that waited for a slot were none. Absent = nobody knows. */
  readonly inFlight?: number;
}

export interface SliceAnswer {
  /** Of the whole chunk so far, this slice included. */
  readonly tally: Tally;
  readonly done: boolean;
  /** Epoch ms before which no undecided item may be tried; null = at once. */
  readonly waitUntil: number | null;
  readonly vendorDown: boolean;
  /** Items that a vendor has taken and owes a callback for: an `arrived` signal ends the wait. */
  readonly awaiting: number;
  /** The vendor's budget made calls wait; absent = it did not. */
  readonly pressure?: VendorPressure;
  /** Other slices waited for this one's slot: do not grow the box. */
  readonly contended: boolean;
  /** The summary that the slice wrote; null where it was not its to write. */
  readonly summary: Progress | null;
}
