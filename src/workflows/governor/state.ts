/** What a governor knows: it is carried from run to run, so it is plain data, bounded, and has a version. */
import { BOOK_AHEAD_MAX_MS, type Budget } from '../../model/governor.ts';
import { type Adaptation, UNADAPTED } from './adaptation.ts';
import { type Breaker, CLOSED } from './breaker.ts';
import type { Calendar, Ramp } from './calendar.ts';
import type { Stretch } from './last-minute.ts';
import type { Lease } from './places.ts';
import { tracksOf } from './windows.ts';

export interface GovernorState {
  readonly version: 1;
  /** False until it is known whether there was a governor before. */
  readonly ready: boolean;
  readonly beganAtMs: number;
  /** No place is leased before, and no call is free: a lost governor may have granted as much. */
  readonly quietUntilMs: number;
  /** As the workers' settings say; null = no worker has come yet. */
  readonly budgetOfWorkers: Budget | null;
  readonly budgetSet: Budget | null;
  /** True: `budgetSet` is newer than what is remembered. */
  readonly wasSet: boolean;
  readonly calendar: Calendar;
  /** `Retry-After`. */
  readonly closedUntilMs: number;
  /** Calls that are not counted may be made up to here; absent = none was allowed. */
  readonly freeUntilMs?: number;
  readonly ramp: Ramp | null;
  readonly adaptation: Adaptation;
  readonly breaker: Breaker;
  readonly holders: readonly Holder[];
  readonly lastMinute: readonly Stretch[];
}

/** One worker process, as it was when last seen. */
export interface Holder {
  readonly worker: string;
  readonly seenAtMs: number;
  /** Counts for the shares until then. */
  readonly activeUntilMs: number;
  /** Slots ahead. */
  readonly held: number;
  readonly lastSlotAtMs: number;
  /** Asked for and not granted. */
  readonly waiting: number;
  /** When it last was granted a slot; 0 = never. */
  readonly grantedAtMs: number;
  readonly inFlight: number;
  readonly leases: readonly Lease[];
  readonly places: number | null;
  readonly asked: number;
}

export const NO_BUDGET: Budget = { windows: [], concurrencyMax: null };
export const HOLDERS_MAX = 1_000;

export function freshState(nowMs: number): GovernorState {
  return {
    version: 1,
    ready: false,
    beganAtMs: nowMs,
    quietUntilMs: 0,
    budgetOfWorkers: null,
    budgetSet: null,
    wasSet: false,
    calendar: { lastAtMs: 0, tracks: [] },
    closedUntilMs: 0,
    ramp: null,
    adaptation: UNADAPTED,
    breaker: CLOSED,
    holders: [],
    lastMinute: [],
  };
}

/** Slots of a lost governor, or of another time, may lie up to here: as if the last of them were the last one booked. */
export function afterAnother(state: GovernorState, nowMs: number): GovernorState {
  const lastAtMs = nowMs + BOOK_AHEAD_MAX_MS;
  const tracks = state.calendar.tracks.map((track) => ({ ...track, buckets: [] }));
  const ramp = { fromMs: lastAtMs, factor: 0.5 };
  return { ...state, quietUntilMs: lastAtMs, ramp, calendar: { lastAtMs, tracks } };
}

export function budgetOf({ budgetSet, budgetOfWorkers }: GovernorState): Budget {
  return budgetSet ?? budgetOfWorkers ?? NO_BUDGET;
}

/** Slots that are booked stand; a window of a length that was there before keeps its count. */
export function withBudgets(
  state: GovernorState,
  budgets: Partial<Pick<GovernorState, 'budgetOfWorkers' | 'budgetSet' | 'wasSet'>>,
): GovernorState {
  const next = { ...state, ...budgets };
  const windows = [...(next.budgetOfWorkers ?? NO_BUDGET).windows, ...(next.budgetSet ?? NO_BUDGET).windows];
  return { ...next, calendar: { ...next.calendar, tracks: tracksOf(windows, next.calendar.tracks) } };
}

export function sameBudget(one: Budget | null, other: Budget | null): boolean {
  if (one === null || other === null) return one === other;
  return (
    one.concurrencyMax === other.concurrencyMax &&
    one.windows.length === other.windows.length &&
    one.windows.every(({ calls, seconds }, i) => {
      const it = other.windows[i];
      return it?.calls === calls && it.seconds === seconds;
    })
  );
}
