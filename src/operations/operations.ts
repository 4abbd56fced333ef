/** The verbs that every surface calls. Surfaces parse and render; what happens, happens here. */
import type { Readable } from 'node:stream';
import type { Counts, InputFacts, OperationOutcome, OperationState, Surface, Throttle } from '../model/operation.ts';
import type { ItemOutcome } from '../model/outcome.ts';

/** Policy as the client gives it (query or form fields), already parsed by the surface. Absent = the target's. */
export interface SubmitPolicy {
  readonly concurrency?: number;
  readonly callsPerSecond?: number;
  readonly maximumAttempts?: number;
  readonly priority?: number;
}

export interface SubmitRequest {
  readonly account: string;
  readonly surface: Surface;
  /** null: it comes as a form field `target`. */
  readonly target: string | null;
  /** The idempotency key, quotes stripped and checked by the surface; null where there is none. */
  readonly key: string | null;
  /** An identical body without a key within this time is the same request; 0 = never. */
  readonly keylessReplayWindowMs: number;
  readonly body: Readable;
  readonly contentType: string | null;
  readonly contentEncoding: string | null;
  readonly policy: SubmitPolicy;
  readonly metadata: Readonly<Record<string, unknown>>;
  readonly submittedBy: string | null;
  readonly traceId: string;
  readonly signal: AbortSignal;
}

/** An operation as readers see it (SURFACES §1), without links. */
export interface OperationView {
  readonly id: string;
  readonly target: string;
  readonly account: string;
  readonly state: OperationState;
  readonly outcome: OperationOutcome | null;
  readonly run: number;
  readonly revision: number;
  readonly counts: Counts;
  readonly progress: {
    readonly percent: number;
    readonly itemsPerSecond: number | null;
    readonly etaSeconds: number | null;
  };
  readonly throttle: Throttle | null;
  readonly input: InputFacts;
  readonly metadata: Readonly<Record<string, unknown>>;
  readonly priority: number;
  readonly createdAt: string;
  readonly scheduledAt: string | null;
  readonly startedAt: string | null;
  readonly endedAt: string | null;
  readonly expiresAt: string;
  readonly asOf: string;
  /** False where the workflow did not answer and this is the last known state. */
  readonly live: boolean;
  readonly traceId: string;
}

export interface ListRequest {
  readonly account: string;
  readonly state?: OperationState;
  readonly outcome?: OperationOutcome;
  readonly target?: string;
  /** RFC 3339. */
  readonly createdAfter?: string;
  /** 1–1,000. */
  readonly limit: number;
  /** Opaque, from an earlier answer. */
  readonly cursor?: string;
}

export interface ResultsRequest {
  readonly account: string;
  readonly id: string;
  readonly outcome?: ItemOutcome;
}

/** Results so far, in input order. `lines` yields NDJSON: whole lines, many per buffer. */
export interface Results {
  readonly operation: OperationView;
  /** True once the operation has ended: each index exactly once. */
  readonly complete: boolean;
  readonly lines: AsyncIterable<Buffer>;
}

export interface ErrorGroup {
  readonly code: string;
  readonly count: number;
  readonly sample: string;
  readonly firstIndex: number;
  readonly retryable: boolean;
}

export interface Health {
  readonly ok: boolean;
  readonly parts: Readonly<Record<string, { readonly ok: boolean; readonly detail: string; readonly tookMs: number }>>;
}

/** Every verb throws TrancheError: `not_found` (unknown or another account's), `illegal_transition`, `unavailable`, … */
export interface Operations {
  submit(request: SubmitRequest): Promise<{ readonly operation: OperationView; readonly replayed: boolean }>;
  get(account: string, id: string): Promise<OperationView>;
  list(request: ListRequest): Promise<{ readonly data: readonly OperationView[]; readonly nextCursor: string | null }>;
  /** `settled`: the operation is there already (200), else in transition (202). */
  pause(account: string, id: string): Promise<ControlAnswer>;
  resume(account: string, id: string): Promise<ControlAnswer>;
  cancel(account: string, id: string): Promise<ControlAnswer>;
  results(request: ResultsRequest): Promise<Results>;
  errors(account: string, id: string): Promise<readonly ErrorGroup[]>;
  /** The items' raw bytes as they came: NDJSON for JSON inputs, CSV with its header for CSV. */
  input(account: string, id: string): Promise<{ readonly mediaType: string; readonly body: AsyncIterable<Buffer> }>;
  health(): Promise<Health>;
}

export interface ControlAnswer {
  readonly operation: OperationView;
  readonly settled: boolean;
}
