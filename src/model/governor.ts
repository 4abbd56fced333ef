/** What workers and a vendor's governor say to each other: how many calls, at which times, how it went (DESIGN §6). */

/** Its own queue and Worker: a booking must not wait behind slices. */
export const GOVERNOR_TASK_QUEUE = 'tranche-governor';
export const GOVERNOR_WORKFLOW = 'governor';
/** No account id holds a colon, so no operation has such a workflow id. */
export const governorId = (vendor: string): string => `governor:${vendor}`;

/** Update, by update-with-start: `BookRequest` → `BookAnswer`. */
export const BOOK_UPDATE = 'book';
/** Update: `Budget | null` (null = as the workers' settings say) → `BudgetAnswer`. */
export const BUDGET_UPDATE = 'budget';
/** Query: `GovernorStanding`. */
export const GOVERNOR_QUERY = 'standing';

/** What whoever books first starts the workflow with, on `GOVERNOR_TASK_QUEUE`. */
export interface GovernorStart {
  readonly version: 1;
  readonly vendor: string;
}

/** Options of the update with start, the same for all who may be first. A lost worker's task is given to another after 2 s. */
export function governorStart(vendor: string) {
  const start: GovernorStart = { version: 1, vendor };
  return {
    workflowId: governorId(vendor),
    taskQueue: GOVERNOR_TASK_QUEUE,
    workflowTaskTimeout: '2s' as const,
    workflowIdConflictPolicy: 'USE_EXISTING' as const,
    workflowIdReusePolicy: 'ALLOW_DUPLICATE' as const,
    args: [start] as [GovernorStart],
  };
}

/** At most `calls` in any span of `seconds`, wherever it begins. */
export interface CallWindow {
  readonly calls: number;
  readonly seconds: number;
}

/** What a vendor allows, over all worker processes together. */
export interface Budget {
  /** All of them hold at once; none = calls are not counted. */
  readonly windows: readonly CallWindow[];
  /** Calls in flight at once; null = no bound. */
  readonly concurrencyMax: number | null;
}

/**
 * J: how far apart two calls may come closer than their slots, by late dispatch, clocks and the way to the vendor
 * together. A window of W seconds therefore holds slots of W + J.
 */
export const SPREAD_MS = 20;
/** A slot that a call cannot leave at within this time is given up; the rest of J is for clocks and the way. */
export const SLOT_LATE_MAX_MS = 12;
/** No slot is booked further ahead, however many workers there are: what a lost governor may have granted. */
export const BOOK_AHEAD_MAX_MS = 5_000;

/** 'free' lasts so long, by the governor's clock. */
export const FREE_MS = 5_000;

/** Calls that ended since the last booking that was answered. */
export interface CallReport {
  /** Definite answers. */
  readonly answered: number;
  /** 429. */
  readonly limited: number;
  /** Of the vendor: 5xx, time-outs, resets, unreachable. */
  readonly failed: number;
  /** Slots that no call left at. */
  readonly unused: number;
  /** Epoch ms until which the vendor has asked not to be called (`Retry-After`); 0 = it has not. */
  readonly closedUntilMs: number;
  /** This worker takes the vendor to be down (`vendors/health.ts`). */
  readonly down: boolean;
  /** Mean of the answered calls; null where none was. */
  readonly latencyMs: number | null;
}

export interface BookRequest {
  readonly version: 1;
  /** Unique per process start. */
  readonly worker: string;
  /** Epoch ms by the worker's clock. */
  readonly sentAtMs: number;
  /** Slots that it would use beside those it holds; 0 = a report only. */
  readonly wanted: number;
  /** Calls that wait and have none: of these `wanted`, the others are for calls to come. Absent = all of them. */
  readonly calls?: number;
  /** Slots that it holds and that lie ahead. */
  readonly held: number;
  readonly inFlight: number;
  /** `placesUntilMs` of the last answer that came: larger leases from before are over. Absent = as long as they last. */
  readonly placesUntilMs?: number;
  /** What its settings say. Another budget, once set (`BUDGET_UPDATE`), comes first. */
  readonly budget: Budget;
  readonly report: CallReport;
}

/** Evenly apart, the first at `firstAtMs`. Epoch ms, with fractions. */
export interface SlotRun {
  readonly firstAtMs: number;
  readonly everyMs: number;
  readonly count: number;
}

export interface BookAnswer {
  readonly version: 1;
  /** The governor's clock. Outside of what the round trip allows, the worker books nothing. */
  readonly nowMs: number;
  /** Rising; 'free' where the budget has no windows. */
  readonly slots: readonly SlotRun[] | 'free';
  /** Calls that this worker may have in flight until `placesUntilMs`; null = no bound. */
  readonly places: number | null;
  readonly placesUntilMs: number;
  /** No slot is booked before: the vendor asked for it, or its breaker is open. 0 = it is not closed. */
  readonly closedUntilMs: number;
  readonly breaker: BreakerState;
  /** What is booked now over all workers; null where calls are not counted. */
  readonly callsPerSecond: number | null;
  /** True where it is less than the budget allows: the vendor has shown its limit. */
  readonly adapted: boolean;
  /** When to ask again while calls wait. */
  readonly askAgainMs: number;
}

/** `closed`: calls go out. `open`: none do. `half_open`: a probe is out. */
export type BreakerState = 'closed' | 'open' | 'half_open';

export interface BudgetAnswer {
  readonly budget: Budget;
  /** Epoch ms from which no window that begins later goes over it: slots booked before stand. */
  readonly effectiveAtMs: number;
}

/** Who holds what, and why: as `GET /v1/vendors` shows it. */
export interface GovernorStanding {
  readonly version: 1;
  readonly asOfMs: number;
  readonly budget: Budget;
  /** True where it was set while it ran. */
  readonly isSet: boolean;
  /** By the budget alone; null where calls are not counted. */
  readonly allowedPerSecond: number | null;
  readonly callsPerSecond: number | null;
  readonly breaker: BreakerState;
  readonly breakerSinceMs: number | null;
  readonly probeAtMs: number | null;
  readonly closedUntilMs: number;
  /** Slots are booked up to here. */
  readonly bookedUntilMs: number;
  /** What stands in each window now, of its `calls`. */
  readonly used: readonly (CallWindow & { readonly used: number })[];
  /** Seen within the last minute. */
  readonly workers: readonly WorkerHolding[];
  /** Over the last minute. */
  readonly lastMinute: Omit<CallReport, 'closedUntilMs' | 'down'>;
}

export interface WorkerHolding {
  readonly worker: string;
  readonly seenAtMs: number;
  /** Slots ahead. */
  readonly held: number;
  /** Asked for and not granted. */
  readonly waiting: number;
  readonly inFlight: number;
  readonly places: number | null;
}
