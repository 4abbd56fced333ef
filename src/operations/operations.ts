/** The verbs that every surface calls. Surfaces parse and render; what happens, happens here. */
import type { Readable } from 'node:stream';
import type { AuditEntry } from '../model/audit.ts';
import type { FailureLimits, FailurePolicy, Halt } from '../model/failure-policy.ts';
import type {
  Amendment,
  Counts,
  InputFacts,
  OperationOutcome,
  OperationState,
  Surface,
  Throttle,
} from '../model/operation.ts';
import type { ItemError, ItemOutcome } from '../model/outcome.ts';
import type { QuotaStanding } from '../model/quota.ts';
import type { TargetView } from '../targets/target-views.ts';
import type { Vendors } from './vendors/vendors.ts';

export type { TargetView } from '../targets/target-views.ts';

/** Policy as the client gives it (query or form fields), already parsed by the surface. Absent = the target's. */
export interface SubmitPolicy extends FailureLimits {
  readonly concurrency?: number;
  readonly callsPerSecond?: number;
  readonly maximumAttempts?: number;
  readonly priority?: number;
  /** RFC 3339; beyond it nothing is begun. */
  readonly deadline?: string;
}

export interface SubmitRequest {
  readonly account: string;
  readonly surface: Surface;
  /** Names the operation instead of the key, where a surface's ids have a form of their own; null elsewhere. */
  readonly id: string | null;
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
  /** RFC 3339; null = at once. */
  readonly scheduledAt: string | null;
  /** What a form's fields mean on this surface; absent = as `SUBMIT_FIELDS` says. Called once the body is read. */
  readonly readFields?: (fields: Readonly<Record<string, string>>) => FormFields;
  /** Items of one body; beyond them 413. null = no bound of the surface's own. */
  readonly itemsMax: number | null;
  /** How this surface takes a body, where it differs; absent = as everywhere. */
  readonly intake?: Intake;
  readonly metadata: Readonly<Record<string, unknown>>;
  readonly submittedBy: string | null;
  readonly traceId: string;
  readonly signal: AbortSignal;
}

export interface Intake {
  /** Of the decoded payload (a form's `file` part alone); beyond them 413. */
  readonly payloadBytesMax?: number;
  /** Items of every chunk, instead of chunks that grow. */
  readonly chunkItems?: number;
  /** Media type of a `file` part whose type and name do not tell. */
  readonly plainFileType?: string;
}

/** What a form says beside its file; absent members are the request's. */
export interface FormFields {
  readonly target?: string;
  /** Must be the caller's, which the surface has checked. */
  readonly account?: string;
  readonly policy?: SubmitPolicy;
  readonly scheduledAt?: string | null;
  readonly metadata?: Readonly<Record<string, unknown>>;
}

/** Who does something to an operation, and in which trace. */
export interface Actor {
  readonly subject: string | null;
  readonly traceId: string;
}

export interface RetryRequest {
  readonly account: string;
  readonly id: string;
  /** The run that is to be followed; null = the latest, which is not safe to repeat. */
  readonly fromRun: number | null;
  /** Empty: all three; beside corrections without codes and indexes, exactly the items that are corrected. */
  readonly outcomes: readonly ('failed' | 'unknown' | 'cancelled')[];
  readonly codes: readonly string[] | null;
  readonly indexes: readonly number[] | null;
  /** Corrected items, as NDJSON or CSV, their indexes rising; null where none are given. */
  readonly corrections: {
    readonly body: Readable;
    readonly contentType: string;
    readonly contentEncoding: string | null;
  } | null;
  /** RFC 3339, of the new run alone; absent = none. */
  readonly deadline?: string;
  readonly actor: Actor;
  readonly signal: AbortSignal;
}

/** One item: its result line so far, its last attempts, its payload. */
export interface ItemView {
  readonly index: number;
  readonly line: number;
  /** `pending` and `running` where nothing is decided. */
  readonly outcome: ItemOutcome | 'pending' | 'running';
  /** The whole result line, as JSON, once it is decided. */
  readonly result: Readonly<Record<string, unknown>> | null;
  readonly run: number;
  /** Newest last; at most three are kept. */
  readonly lastAttempts: readonly { readonly at: string; readonly code: string }[];
}

/** An operation of the surface `/jobs`: one item, and what became of it. */
export interface JobView {
  readonly operation: OperationView;
  readonly status: 'pending' | 'processing' | 'complete' | 'failed';
  /** What the vendor answered, numbers digit for digit (`JSON.stringify` it); undefined until it is complete. */
  readonly result: unknown;
  readonly error: ItemError | null;
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
  /** As amended; null where it has none. */
  readonly policy: FailurePolicy | null;
  /** Of the run that is shown. */
  readonly deadline: string | null;
  /** Why the service itself paused or ended it; null where it did not, or where it was resumed. */
  readonly halt: Halt | null;
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
  /** Once ended, lines of items below it need not come: a page far behind is found without all that is before it. */
  readonly fromIndex?: number;
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

/** Every verb throws TrancheError: `not_found` (unknown or another account's), `gone`, `illegal_transition`, `unavailable`, … */
export interface Operations {
  submit(request: SubmitRequest): Promise<{
    readonly operation: OperationView;
    readonly replayed: boolean;
    /** How the account's limits stand after it; absent where none was asked. */
    readonly limits?: readonly QuotaStanding[];
  }>;
  /** How the account's limits stand; empty where there are none. */
  limits(account: string): Promise<readonly QuotaStanding[]>;
  get(account: string, id: string): Promise<OperationView>;
  list(request: ListRequest): Promise<{ readonly data: readonly OperationView[]; readonly nextCursor: string | null }>;
  /** `settled`: the operation is there already (200), else in transition (202). */
  pause(account: string, id: string, actor: Actor): Promise<ControlAnswer>;
  resume(account: string, id: string, actor: Actor): Promise<ControlAnswer>;
  cancel(account: string, id: string, actor: Actor): Promise<ControlAnswer>;
  /** An ended operation goes, with all that it held: from then on every verb throws `gone`. Idempotent. `illegal_transition`. */
  purge(account: string, id: string, actor: Actor): Promise<void>;
  /** Changes the live policy; `settled`: the workflow has said so. */
  amend(account: string, id: string, amendment: Amendment, actor: Actor): Promise<ControlAnswer>;
  /** `replayed`: this retry had been accepted before. `illegal_transition` where it has not ended or nothing is chosen. */
  retry(request: RetryRequest): Promise<{ readonly operation: OperationView; readonly replayed: boolean }>;
  /** `not_found` where the operation has no such index. */
  item(account: string, id: string, index: number): Promise<ItemView>;
  /** The item's latest payload as it came (a correction replaces the original). */
  itemInput(account: string, id: string, index: number): Promise<{ readonly mediaType: string; readonly body: Buffer }>;
  /** Failed, unknown and (where asked for) cancelled items with their payload, to be corrected and sent back. */
  deadLetters(request: DeadLettersRequest): Promise<DeadLetters>;
  /** `not_found` for what did not come in by `/jobs`, too. */
  job(account: string, id: string): Promise<JobView>;
  /** An asynchronous vendor's answer. Late and double ones change nothing (`ignored`, or kept for a retry). `not_found` for a forged token, `malformed_body`. */
  takeCallback(vendor: string, token: string, body: Buffer): Promise<'taken' | 'ignored'>;
  /** Oldest first. */
  audit(account: string, id: string): Promise<readonly AuditEntry[]>;
  /** Of an ended operation: its skipped items by reason. */
  skipReasons(operation: OperationView): Promise<Readonly<Record<string, number>>>;
  /** Newest first, by page. */
  page(request: PageRequest): Promise<Page>;
  targets(): readonly TargetView[];
  /** What each vendor allows, and what is called now. */
  readonly vendors: Vendors;
  results(request: ResultsRequest): Promise<Results>;
  errors(account: string, id: string): Promise<readonly ErrorGroup[]>;
  /** The items' raw bytes as they came: NDJSON for JSON inputs, CSV with its header for CSV. */
  input(account: string, id: string): Promise<{ readonly mediaType: string; readonly body: AsyncIterable<Buffer> }>;
  health(): Promise<Health>;
}

export interface DeadLettersRequest {
  readonly account: string;
  readonly id: string;
  readonly outcomes: readonly ('failed' | 'unknown' | 'cancelled')[];
  readonly format: 'csv' | 'ndjson';
}

export interface DeadLetters {
  readonly operation: OperationView;
  readonly mediaType: string;
  readonly body: AsyncIterable<Buffer>;
}

export interface PageRequest {
  /** null = every account's, for where nobody signs in. */
  readonly account: string | null;
  readonly surface: Surface;
  /** What the surface's word for a status stands for; null = any. */
  readonly states: readonly OperationState[] | null;
  readonly outcomes: readonly OperationOutcome[] | null;
  /** From 1. */
  readonly page: number;
  readonly limit: number;
}

export interface Page {
  readonly data: readonly OperationView[];
  readonly total: number;
}

export interface ControlAnswer {
  readonly operation: OperationView;
  readonly settled: boolean;
}
