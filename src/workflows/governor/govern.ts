/** What happens to a governor beside bookings: it begins, its budget is set, somebody looks at it. */
import {
  BOOK_AHEAD_MAX_MS,
  type Budget,
  type BudgetAnswer,
  FREE_MS,
  type GovernorStanding,
  SPREAD_MS,
  type WorkerHolding,
} from '../../model/governor.ts';
import { lastMinuteOf } from './last-minute.ts';
import { allowedPerSecond, callsPerSecond, paceOf } from './pace.ts';
import { heldNow } from './shares.ts';
import { afterAnother, budgetOf, type GovernorState, type Holder, withBudgets } from './state.ts';
import { usedIn } from './windows.ts';

/** What is known of the time before this governor. */
export interface Past {
  /** False: a governor before may have granted slots that lie ahead. */
  readonly firstEver: boolean;
  /** As it was last set. */
  readonly budget: Budget | null;
}

export function remember(state: GovernorState, past: Past, nowMs: number): GovernorState {
  const begun = { ...(past.firstEver ? state : afterAnother(state, nowMs)), ready: true };
  return state.wasSet ? begun : withBudgets(begun, { budgetSet: past.budget });
}

/** Null: the workers' budget holds again. */
export function setBudget(
  state: GovernorState,
  budget: Budget | null,
  nowMs: number,
): { readonly state: GovernorState; readonly answer: BudgetAnswer } {
  const next = withBudgets(state, { budgetSet: budget, wasSet: true });
  // Before it knows better, one that was lost may have booked as far as any may.
  const bookedUntilMs = state.ready ? state.calendar.lastAtMs : nowMs + BOOK_AHEAD_MAX_MS;
  const freeUntilMs = Math.min(state.freeUntilMs ?? 0, nowMs + FREE_MS);
  const effectiveAtMs = Math.max(nowMs, bookedUntilMs + SPREAD_MS, freeUntilMs + SPREAD_MS);
  return { state: next, answer: { budget: budgetOf(next), effectiveAtMs } };
}

const SHOWN_MS = 60_000;

export function standingOf(state: GovernorState, nowMs: number): GovernorStanding {
  const budget = budgetOf(state);
  const { breaker, calendar } = state;
  return {
    version: 1,
    asOfMs: nowMs,
    budget,
    isSet: state.budgetSet !== null,
    allowedPerSecond: rounded(allowedPerSecond(budget)),
    callsPerSecond: rounded(callsPerSecond(state)),
    breaker: breaker.state,
    breakerSinceMs: breaker.sinceMs,
    probeAtMs: breaker.state === 'closed' ? null : breaker.probeAtMs,
    closedUntilMs: state.closedUntilMs > nowMs ? state.closedUntilMs : 0,
    bookedUntilMs: calendar.lastAtMs,
    used: budget.windows.map((window) => {
      const track = calendar.tracks.find(({ seconds }) => seconds === window.seconds);
      return { ...window, used: track === undefined ? 0 : Math.min(window.calls, usedIn(track, nowMs)) };
    }),
    workers: state.holders.filter(({ seenAtMs }) => seenAtMs + SHOWN_MS >= nowMs).map(holdingOf(state, nowMs)),
    lastMinute: lastMinuteOf(state.lastMinute, nowMs),
  };
}

function holdingOf(state: GovernorState, nowMs: number): (holder: Holder) => WorkerHolding {
  const everyMs = paceOf(state)?.everyMs ?? 1;
  return (holder) => ({
    worker: holder.worker,
    seenAtMs: holder.seenAtMs,
    held: heldNow(holder, nowMs, everyMs),
    waiting: holder.waiting,
    inFlight: holder.inFlight,
    places: holder.places,
  });
}

function rounded(perSecond: number | null): number | null {
  return perSecond === null ? null : Math.round(perSecond * 1000) / 1000;
}
