/** How an operation is to be worked on: resolved at submit, fixed in the record, carried in the workflow input. */

import type { FailurePolicy } from './failure-policy.ts';

/** Temporal's terms. Intervals in ms. `maximumAttempts` counts only attempts that say something about the item. */
export interface RetryPolicy {
  readonly initialIntervalMs: number;
  readonly backoffCoefficient: number;
  readonly maximumIntervalMs: number;
  readonly maximumAttempts: number;
  readonly nonRetryableCodes: readonly string[];
}

/** What a target promises about effects (DESIGN §3). */
export type Guarantee = 'exactly_once' | 'idempotent' | 'at_least_once';

export interface Plan {
  readonly version: 1;
  readonly target: string;
  /** The vendor whose budget the calls use; null for targets that call nobody. */
  readonly vendor: string | null;
  readonly guarantee: Guarantee;
  /** What a call without an answer means: send it again under the same key, or call the outcome unknown. */
  readonly onDoubt: 'resend' | 'unknown';
  /** Items in flight within one slice. */
  readonly sliceConcurrency: number;
  /** Items per `applyBatch`; null where the target applies one by one. */
  readonly batchItemsMax: number | null;
  /** Chunks worked on at once, at most. */
  readonly windowMax: number;
  /** Calls per second that this operation may make, over all its slices; null = no cap of its own. */
  readonly callsPerSecond: number | null;
  /** Time box of a chunk's first slice, and the longest it grows to. */
  readonly boxMs: number;
  readonly boxMaxMs: number;
  readonly heartbeatTimeoutMs: number;
  readonly callTimeoutMs: number;
  /** How long an asynchronous vendor may take from its acceptance to its callback; null where the target has none. */
  readonly callbackTimeoutMs: number | null;
  /** A `prepare` activity marks duplicates before the first slice. */
  readonly dedupe: boolean;
  /** False only where a lost slice leaves nothing behind (no outside effect): then nothing is journalled. */
  readonly journal: boolean;
  readonly retry: RetryPolicy;
  /** Absent where the client gave no limit. */
  readonly failure?: FailurePolicy;
  /** Operations of up to this many chunks run their slices themselves, without child workflows. */
  readonly directChunksMax: number;
  /** History events after which a workflow brings its work home and continues as new. */
  readonly historyEventsMax: number;
}
