/** The words for one accepted bulk request: its life, its counts, and the record that is its point of acceptance. */
import type { Halt, Standing } from './failure-policy.ts';
import type { Plan } from './plan.ts';

/** Where an operation is in its life (DESIGN §4). Says nothing about how the items went. */
export const OPERATION_STATES = ['scheduled', 'queued', 'running', 'pausing', 'paused', 'cancelling', 'ended'] as const;
export type OperationState = (typeof OPERATION_STATES)[number];

/** How the items of an ended operation went; null until it has ended. */
export const OPERATION_OUTCOMES = ['succeeded', 'partially_succeeded', 'failed', 'cancelled'] as const;
export type OperationOutcome = (typeof OPERATION_OUTCOMES)[number];

/** Decided items by outcome. Unit: items. */
export interface Tally {
  readonly succeeded: number;
  readonly failed: number;
  readonly skipped: number;
  readonly cancelled: number;
  readonly unknown: number;
}

/** What every reader sees: `total` is always the sum of the other seven. Unit: items. */
export interface Counts extends Tally {
  readonly total: number;
  readonly pending: number;
  readonly running: number;
}

export const EMPTY_TALLY: Tally = { succeeded: 0, failed: 0, skipped: 0, cancelled: 0, unknown: 0 };

export function addTallies(a: Tally, b: Tally): Tally {
  return {
    succeeded: a.succeeded + b.succeeded,
    failed: a.failed + b.failed,
    skipped: a.skipped + b.skipped,
    cancelled: a.cancelled + b.cancelled,
    unknown: a.unknown + b.unknown,
  };
}

/** For `Progress`: what a run finds done is not of its doing, and says nothing of its pace. */
export function earlierItemsOf(base: Tally): Pick<Progress, 'earlierItems'> {
  const items = decidedItems(base);
  return items === 0 ? {} : { earlierItems: items };
}

/** Of so many chunks together. */
export function sumItems(chunkItems: readonly number[]): number {
  return chunkItems.reduce((sum, items) => sum + items, 0);
}

export function decidedItems(tally: Tally): number {
  return tally.succeeded + tally.failed + tally.skipped + tally.cancelled + tally.unknown;
}

/** `running` is capped at what is undecided, so that the sum holds whatever a worker last reported. */
export function toCounts(total: number, tally: Tally, running: number): Counts {
  const undecided = Math.max(0, total - decidedItems(tally));
  const inFlight = Math.min(running, undecided);
  return { total, pending: undecided - inFlight, running: inFlight, ...tally };
}

/**
 * Derives the outcome of an ended operation from its counts (DESIGN §4). `cancelled` wins where the
 * operation was ended early, by whomever; it needs no cancelled item (a cancel may come too late to spare one).
 */
export function outcomeOf(tally: Tally, endedEarly: boolean): OperationOutcome {
  if (endedEarly) return 'cancelled';
  // Cancelled items of an operation that was not ended early: of an earlier run, and not chosen by this one.
  if (tally.failed + tally.unknown + tally.cancelled === 0) return 'succeeded';
  if (tally.succeeded === 0 && tally.skipped === 0) return 'failed';
  return 'partially_succeeded';
}

/** The HTTP dialect that an operation came in by; some answers depend on it. */
export type Surface = 'v1' | 'product-bulk' | 'bulk-actions' | 'jobs';

/** What came over the wire: decoded bytes and their SHA-256 (hex). */
export interface InputFacts {
  readonly mediaType: string;
  readonly bytes: number;
  readonly sha256: string;
}

/**
 * `operation.json`: created exclusively, never rewritten. Its existence is the acceptance.
 * `uid` is a ULID fixed at acceptance and never reused; it names the blobs and is part of every vendor idempotency key.
 */
export interface OperationRecord {
  readonly version: 1;
  readonly id: string;
  readonly account: string;
  readonly uid: string;
  /** The client's idempotency key as sent (without quotes); null where there was none. */
  readonly key: string | null;
  /** SHA-256 (hex) over target, decoded payload and canonical policy. */
  readonly fingerprint: string;
  readonly surface: Surface;
  readonly target: string;
  readonly plan: Plan;
  /** Items of each chunk, in order; their sum is `total`. */
  readonly chunkItems: readonly number[];
  readonly total: number;
  readonly input: InputFacts;
  readonly metadata: Readonly<Record<string, unknown>>;
  readonly priority: number;
  readonly createdAt: string;
  readonly scheduledAt: string | null;
  /** RFC 3339: what the first run has not begun by then is cancelled; absent = none. */
  readonly deadline?: string;
  readonly expiresAt: string;
  readonly submittedBy: string | null;
  readonly traceId: string;
  /** The only chunk of a small operation, base64; then no chunk blob exists. */
  readonly inlineChunk: string | null;
}

/**
 * `run-<n>.json`, n ≥ 2: created exclusively, it is the acceptance of a retry. Its chunks hold the chosen items only,
 * each with its index (`ChunkHeader.sparse`), in input order.
 */
export interface RunRecord {
  readonly version: 1;
  readonly run: number;
  /** SHA-256 (hex) of what was asked for: the same request again is the same retry. */
  readonly fingerprint: string;
  /** Blob prefix of its chunks. */
  readonly prefix: string;
  readonly chunkItems: readonly number[];
  /** Index in the input of each chunk's first item: an item is found by reading one chunk. */
  readonly firstIndexes: readonly number[];
  /** Items of each chunk that an earlier run may have had applied (`ChunkHeader.inDoubt`); absent = none. */
  readonly doubts?: readonly number[];
  /** Corrected payloads as they came, as chunks of the same kind; null where none were given. */
  readonly corrections: RunLayer | null;
  /** Outcomes of the items that were not chosen. */
  readonly base: Tally;
  /** Of this run, RFC 3339; absent = none. */
  readonly deadline?: string;
  readonly createdAt: string;
  readonly requestedBy: string | null;
  readonly traceId: string;
}

/** Sparse chunks beside those of a run. */
export interface RunLayer {
  readonly prefix: string;
  readonly firstIndexes: readonly number[];
}

/** What was changed of an operation since it was accepted; absent members stand as the record and its plan say. */
export interface Amendment {
  readonly concurrency?: number;
  /** null: no cap any more. */
  readonly callsPerSecond?: number | null;
  readonly priority?: number;
  /** RFC 3339. */
  readonly scheduledAt?: string;
  /** null: no such limit any more. */
  readonly maxFailures?: number | null;
  readonly maxFailurePercent?: number | null;
  /** RFC 3339; null: none any more. */
  readonly deadline?: string | null;
}

/** True where the operation's time has not come: it has not begun, and nothing of it may. */
export function isAhead(scheduledAt: string | null, nowMs: number): boolean {
  return scheduledAt !== null && Date.parse(scheduledAt) > nowMs;
}

/** Why an operation's calls are slower than its plan; null where nothing holds it back. */
export interface Throttle {
  readonly cause: 'vendor_unavailable' | 'vendor_limit' | 'rate_limit';
  readonly vendor: string;
  readonly until: string | null;
  readonly currentRate: number | null;
}

/**
 * What changes while an operation runs: the answer of the `progress` query, the content of the checkpoint
 * (rewritten at most every 5 s) and of the summary (created exclusively at the end).
 * `revision` rises with every change and never falls within a run; a later run is newer whatever its revision.
 */
export interface Progress {
  readonly version: 1;
  readonly run: number;
  readonly revision: number;
  readonly state: OperationState;
  readonly outcome: OperationOutcome | null;
  readonly tally: Tally;
  /** Of those, decided before this run began; absent where none were. */
  readonly earlierItems?: number;
  readonly running: number;
  readonly throttle: Throttle | null;
  readonly amended: Amendment;
  /** Paused before its time came: it will be `paused` then. */
  readonly pausedAhead?: true;
  /** Of this run, as amended; absent = none. */
  readonly deadline?: string;
  /** Why the service paused or ended it; gone when it is resumed. */
  readonly halt?: Halt;
  /** Failures are counted beyond this standing, the base included; null: from when work goes on; absent = beyond the base. */
  readonly countedFrom?: Standing | null;
  readonly startedAt: string | null;
  readonly endedAt: string | null;
  readonly asOf: string;
}
