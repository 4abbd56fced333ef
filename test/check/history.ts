/** What a run against the service left to judge it by: what clients sent and saw, what vendors and tables had done to them. */
import type { Counts, OperationOutcome, OperationState } from '../../src/model/operation.ts';
import type { ItemOutcome } from '../../src/model/outcome.ts';

/**
 * Every time is in epoch ms with fraction, by the monotonic clock of the process that wrote it (`timeOrigin + now()`).
 * Lines may come in any order; one line is one JSON document, so a history is NDJSON.
 */
export type HistoryLine =
  | Frame
  | Exchange
  | Reading
  | Download
  | VendorCall
  | VendorFacts
  | BudgetInForce
  | TableEffects
  | Fault;

export interface History {
  readonly lines: readonly HistoryLine[];
}

/** What holds for the whole of it. The first line. */
export interface Frame {
  readonly kind: 'frame';
  readonly version: 1;
  /** Of what chose the faults; null where nothing was drawn. */
  readonly seed: number | null;
  readonly startedAtMs: number;
  /** After the last reading: what has not ended by then never does. */
  readonly endedAtMs: number;
  /** How long after the last fault (or the last thing asked) an operation may take to end. */
  readonly endsWithinMs: number;
  readonly store: 'fs' | 's3';
  /** How late the recorder's own timers came, 99 of 100 of them no later: how long any process here waits for its turn. Absent = 0. */
  readonly machineLagMs?: number;
}

/** What a client asks for. `look`: a status, list or stream; `read`: anything else that changes nothing. */
export type Action =
  | 'submit'
  | 'look'
  | 'download'
  | 'read'
  | 'pause'
  | 'resume'
  | 'cancel'
  | 'retry'
  | 'amend'
  | 'purge'
  | 'other';

/** One request, with its answer or the absence of one. */
export interface Exchange {
  readonly kind: 'exchange';
  /** Unique in the history. */
  readonly id: number;
  readonly client: string;
  /** Who was asked: one API process, or a proxy before it. Faults name it as `whom`. */
  readonly server: string;
  readonly account: string;
  readonly action: Action;
  readonly method: string;
  readonly path: string;
  readonly sentAtMs: number;
  /** By the wall clock: a step of it shows beside `sentAtMs`. */
  readonly sentWallMs: number;
  /** When the last byte of the answer was there, or the client knew that none would come. */
  readonly endedAtMs: number;
  /** null: no (whole) answer. */
  readonly status: number | null;
  /** A problem's `code`, or that of the socket's error where there was no answer. */
  readonly code: string | null;
  readonly retryAfter: boolean;
  /** That the client sent along; vendors are told it by calls made for a submission or a retry. */
  readonly traceId: string | null;
  /** `Idempotent-Replayed: true`. */
  readonly replayed: boolean;
  /** The operation that the path names, or that the answer to a submission does; null where neither does. */
  readonly operationId: string | null;
  readonly submitted: Submitted | null;
  readonly retried: Retried | null;
  /** Accounts of whom something stood in the answer: their marks, or their names as an operation's account. */
  readonly owners: readonly string[];
}

/** The facts of a submission's body. */
export interface Submitted {
  readonly surface: 'v1' | 'product-bulk' | 'bulk-actions' | 'jobs';
  readonly target: string;
  readonly key: string | null;
  /** Hash of what counts for "the same request": target, decoded payload, policy. */
  readonly payload: string;
  readonly items: number;
  /** Epoch ms; null = at once. */
  readonly scheduledAtMs: number | null;
  /** It has a failure policy or a deadline: it may pause or end with nobody asking. */
  readonly mayStopItself: boolean;
}

/** What a retry asked for. */
export interface Retried {
  readonly fromRun: number | null;
  /** Empty: all three, or with corrections alone just these. */
  readonly outcomes: readonly ItemOutcome[];
  readonly codes: readonly string[] | null;
  readonly indexes: readonly number[] | null;
  /** Indexes of corrected items. */
  readonly corrected: readonly number[] | null;
}

/** One sight of one operation, whichever answer it stood in. */
export interface Reading {
  readonly kind: 'reading';
  readonly via: 'submit' | 'status' | 'list' | 'events' | 'control' | 'retry' | 'other';
  readonly client: string;
  readonly server: string;
  /** Of who asked. */
  readonly account: string;
  readonly operationId: string;
  /** Of the operation, as the answer says; null where the surface does not. */
  readonly owner: string | null;
  readonly traceId: string | null;
  /** When the request was sent; of an event: when its stream was asked for. */
  readonly beganAtMs: number;
  /** When it was there. */
  readonly seenAtMs: number;
  /** Of the readings of one event stream the same, else null: these came in the order of their times. */
  readonly stream: number | null;
  /** null: the surface has no such member. */
  readonly state: OperationState | null;
  readonly outcome: OperationOutcome | null;
  readonly run: number | null;
  readonly revision: number | null;
  readonly counts: ReadingCounts;
  readonly live: boolean;
}

/** `total` is the sum of the others. Surfaces that know fewer words say `undecided` for pending and running. */
export type ReadingCounts = Readonly<Partial<Counts>> & { readonly total: number; readonly undecided?: number };

/** A download of results. */
export interface Download {
  readonly kind: 'download';
  readonly client: string;
  readonly server: string;
  readonly account: string;
  readonly operationId: string;
  readonly beganAtMs: number;
  readonly endedAtMs: number;
  /** `Results-Complete: ?1`. */
  readonly complete: boolean;
  /** Its indexes in the order in which they came, as `[first, last]` of each rising stretch without a gap. */
  readonly stretches: readonly (readonly [first: number, last: number])[];
  /** One letter a line, in the same order: `OUTCOME_LETTERS`. */
  readonly outcomes: string;
  /** Error code or reason by place in the download, where a line has one. */
  readonly codes: readonly (readonly [place: number, code: string])[];
}

export const OUTCOME_LETTERS = {
  succeeded: 's',
  failed: 'f',
  skipped: 'k',
  cancelled: 'c',
  unknown: 'u',
} as const satisfies Readonly<Record<ItemOutcome, string>>;

/** A row of a vendor's ledger. */
export interface VendorCall {
  readonly kind: 'call';
  readonly vendor: string;
  /** Arrival. */
  readonly at: number;
  /** When its bytes went out, as the worker says; null where it does not. */
  readonly sentAtMs: number | null;
  readonly key: string | null;
  readonly traceId: string | null;
  readonly method: string;
  /** null: no answer was sent. */
  readonly status: number | null;
  /** It had its effect. */
  readonly applied: boolean;
  readonly replayed: boolean;
  /** Of the vendor's own event loop: `at` may be late by it. */
  readonly lagMs: number;
}

/** How a vendor behaves, and how far its ledger can be trusted. */
export interface VendorFacts {
  readonly kind: 'vendor';
  readonly vendor: string;
  /** False: it executes every call, whatever its key. */
  readonly honoursKeys: boolean;
  /** False: rows may be missing (it was killed, or rows were dropped). */
  readonly isComplete: boolean;
  /** Longest that an answer takes where no fault says otherwise. */
  readonly latencyMaxMs: number;
}

/** What a vendor allowed between two moments. */
export interface BudgetInForce {
  readonly kind: 'budget';
  readonly vendor: string;
  readonly fromMs: number;
  readonly toMs: number;
  readonly windows: readonly { readonly calls: number; readonly seconds: number }[];
}

/** What a database target's table had done to it for one operation: committed writes by item. */
export interface TableEffects {
  readonly kind: 'effects';
  readonly account: string;
  readonly operationId: string;
  /** As the stretches of a download: items with exactly one. */
  readonly once: readonly (readonly [first: number, last: number])[];
  /** Items with more, and how many. */
  readonly more: readonly (readonly [index: number, times: number])[];
}

/**
 * Something that was done to the system, or befell it. `stall`: the machine had no time for us (the recorder's own
 * event loop stood still), which is nobody's fault and explains the same things.
 */
export interface Fault {
  readonly kind: 'fault';
  readonly what: FaultKind;
  /** A process, a link `a→b`, a vendor. */
  readonly whom: string;
  readonly fromMs: number;
  readonly toMs: number;
  readonly detail?: string;
}

export const FAULT_KINDS = [
  'api',
  'worker',
  'temporal',
  'database',
  'store',
  'vendor',
  'link_client',
  'link_temporal',
  'link_store',
  'link_database',
  'link_vendor',
  'link_callback',
  'stall',
] as const;
export type FaultKind = (typeof FAULT_KINDS)[number];

/** As an NDJSON file holds it. */
export function renderHistory({ lines }: History): string {
  return lines.map((line) => `${JSON.stringify(line)}\n`).join('');
}

/** Throws where a line is no JSON, or the frame is missing or of another version. */
export function parseHistory(ndjson: string): History {
  const texts = ndjson.split('\n').filter((text) => text !== '');
  const lines = texts.map((text) => JSON.parse(text) as HistoryLine);
  const frame = lines.find((line) => line.kind === 'frame');
  if (frame?.version !== 1) throw new Error('not a history of version 1');
  return { lines };
}
