/** One booking, as a pure step: a worker tells how its calls went and gets its next slots. */
import { BOOK_AHEAD_MAX_MS, type BookAnswer, type BookRequest, FREE_MS } from '../../model/governor.ts';
import { brokenUntilMs, judge, mayProbe, probed } from './breaker.ts';
import { type Grant, grantProbe, grantSlots, none } from './grant.ts';
import { arrive, holderOf, leasePlaces, withHolder, withoutGoneHolders } from './holders.ts';
import { withReport } from './last-minute.ts';
import {
  callsPerSecond,
  earliestMs,
  isAdapted,
  paceOf,
  startSlowlyAfterOutage,
  startSlowlyAfterRest,
  withAdaptation,
} from './pace.ts';
import { askRegularly, askWhenInReach, type Rhythm, rhythmOf, spreadOut } from './rhythm.ts';
import { activeUntil } from './shares.ts';
import { afterAnother, type GovernorState, sameBudget, withBudgets } from './state.ts';
import { withoutGone } from './windows.ts';

export interface Booked {
  readonly state: GovernorState;
  readonly answer: BookAnswer;
}

/** A vendor may close itself for an hour at most. */
const CLOSED_MS_MAX = 3_600_000;
/** Nothing is booked as far ahead as this: the clock has gone back. */
const CLOCK_BACK_MS = 2 * BOOK_AHEAD_MAX_MS;
/** While it is not known whether there was a governor before: soon at first. */
const UNREADY_ASK_MS_MAX = 1_000;
/** While calls are in flight: their places are leased. */
const LEASED_ASK_MS_MAX = 1_000;
/** While places change hands. */
const UNSETTLED_ASK_MS_MAX = 250;

export function book(former: GovernorState, request: BookRequest, nowMs: number): Booked {
  const arrived = withBudgetOf(request, arrive(onTime(former, nowMs), request, nowMs));
  const rhythm = rhythmOf(arrived, nowMs);
  const heard = hear(arrived, request, nowMs, rhythm);
  const { state: placed, settled } = leasePlaces(heard, request.worker, nowMs);
  const { state, grant } = serve(placed, request, nowMs, rhythm);
  return conclude(state, request, nowMs, { grant, rhythm, settled });
}

/** Lets go of what is over. */
function onTime(former: GovernorState, nowMs: number): GovernorState {
  const { calendar, holders } = former;
  const now = {
    ...former,
    holders: withoutGoneHolders(holders, nowMs),
    closedUntilMs: Math.min(former.closedUntilMs, nowMs + CLOSED_MS_MAX),
  };
  if (calendar.lastAtMs <= nowMs + CLOCK_BACK_MS) {
    return { ...now, calendar: { ...calendar, tracks: calendar.tracks.map((track) => withoutGone(track, nowMs)) } };
  }
  return afterAnother(now, nowMs);
}

function withBudgetOf({ budget }: BookRequest, state: GovernorState): GovernorState {
  return sameBudget(state.budgetOfWorkers, budget) ? state : withBudgets(state, { budgetOfWorkers: budget });
}

/** How the calls went: what it says about the rate, and about the vendor. */
function hear(state: GovernorState, request: BookRequest, nowMs: number, rhythm: Rhythm): GovernorState {
  const { report } = request;
  const heard = {
    ...withAdaptation(state, report, nowMs, rhythm.askEveryMs),
    lastMinute: withReport(state.lastMinute, report, nowMs),
    closedUntilMs: Math.max(state.closedUntilMs, Math.min(report.closedUntilMs, nowMs + CLOSED_MS_MAX)),
    breaker: judge(state.breaker, request, nowMs),
  };
  const isBack = state.breaker.state !== 'closed' && heard.breaker.state === 'closed';
  return isBack ? startSlowlyAfterOutage(heard, nowMs) : heard;
}

interface Served {
  readonly state: GovernorState;
  /** 'free': calls are not counted. */
  readonly grant: Grant | 'free';
}

function serve(state: GovernorState, request: BookRequest, nowMs: number, rhythm: Rhythm): Served {
  const { worker, wanted, calls = wanted } = request;
  const me = holderOf(state, worker);
  const soonestMs = earliestMs(state, nowMs);
  if (!state.ready || me.places === 0) return { state, grant: none(state, soonestMs) };
  if (state.breaker.state !== 'closed') return serveProbe(state, worker, nowMs);
  const pace = paceOf(state);
  if (pace === null) {
    const isOpen = Math.max(state.closedUntilMs, state.quietUntilMs) <= nowMs;
    if (!isOpen) return { state, grant: none(state, soonestMs + BOOK_AHEAD_MAX_MS) };
    return { state: { ...state, freeUntilMs: nowMs + FREE_MS }, grant: 'free' };
  }
  const started = me.waiting > 0 ? startSlowlyAfterRest(state, nowMs) : state;
  const asked = { me, calls, pace: paceOf(started) ?? pace, rhythm, earliestMs: soonestMs };
  const grant = grantSlots(started, asked, nowMs);
  return { state: { ...started, calendar: grant.calendar }, grant };
}

/** A vendor without windows has slots only for probes. */
const UNCOUNTED = { everyMs: 1_000, counted: [], ramp: null };

function serveProbe(state: GovernorState, worker: string, nowMs: number): Served {
  const { breaker } = state;
  const soonestMs = earliestMs(state, nowMs);
  const isDue = breaker.state === 'open' && nowMs >= breaker.probeAtMs && holderOf(state, worker).waiting > 0;
  if (!isDue) return { state, grant: none(state, soonestMs) };
  const grant = grantProbe(state, paceOf(state) ?? UNCOUNTED, soonestMs, nowMs);
  const [run] = grant.runs;
  if (run === undefined) return { state, grant };
  return { state: { ...state, calendar: grant.calendar, breaker: probed(breaker, worker, run.firstAtMs) }, grant };
}

interface Outcome {
  readonly grant: Grant | 'free';
  readonly rhythm: Rhythm;
  readonly settled: boolean;
}

function conclude(state: GovernorState, request: BookRequest, nowMs: number, outcome: Outcome): Booked {
  const { grant } = outcome;
  const askAgainMs = askAgain(state, request, nowMs, outcome);
  const me = holderOf(state, request.worker);
  const count = grant === 'free' ? 0 : grant.count;
  // Calls that are not counted wait for places, if for anything.
  const waiting = grant === 'free' && me.places === null ? 0 : Math.max(0, me.waiting - count);
  const lastRun = grant === 'free' ? undefined : grant.runs.at(-1);
  const served = withHolder(state, {
    ...me,
    activeUntilMs: activeUntil(nowMs, askAgainMs),
    held: grant === 'free' ? 0 : me.held + count,
    waiting,
    ...(lastRun === undefined ? {} : { grantedAtMs: nowMs, lastSlotAtMs: state.calendar.lastAtMs }),
  });
  const callsNow = callsPerSecond(state);
  const brokenMs = mayProbe(state.breaker, request.worker, nowMs) ? 0 : brokenUntilMs(state.breaker, nowMs);
  const closedUntilMs = Math.max(state.closedUntilMs, brokenMs);
  const answer: BookAnswer = {
    version: 1,
    nowMs,
    slots: grant === 'free' ? 'free' : grant.runs,
    places: me.places,
    placesUntilMs: me.leases.at(-1)?.untilMs ?? 0,
    closedUntilMs: closedUntilMs > nowMs ? closedUntilMs : 0,
    breaker: state.breaker.state,
    callsPerSecond: callsNow === null ? null : Math.round(callsNow * 1000) / 1000,
    adapted: isAdapted(state),
    askAgainMs,
  };
  return { state: served, answer };
}

function askAgain(state: GovernorState, request: BookRequest, nowMs: number, outcome: Outcome): number {
  const { worker, inFlight, held, wanted } = request;
  const { grant, rhythm, settled } = outcome;
  const { asked, places } = holderOf(state, worker);
  if (!state.ready) return spreadOut(Math.min(nowMs - state.beganAtMs, UNREADY_ASK_MS_MAX), worker, asked);
  let waitMs = askRegularly(rhythm, worker, asked);
  const brokenMs = brokenUntilMs(state.breaker, nowMs) - nowMs;
  if (brokenMs > 0) waitMs = spreadOut(brokenMs, worker, asked);
  else if (wanted > 0 && grant !== 'free' && grant.count === 0) {
    const isBusy = held > 0 || inFlight > 0;
    const reachMs = askWhenInReach(grant.nextAtMs, nowMs, { rhythm, holdsNone: held === 0, isBusy });
    if (reachMs > rhythm.askEveryMs) waitMs = spreadOut(reachMs, worker, asked);
  }
  if (places === null) return waitMs;
  if (!settled && (wanted > 0 || inFlight > 0)) return Math.min(waitMs, spreadOut(UNSETTLED_ASK_MS_MAX, worker, asked));
  return inFlight > 0 ? Math.min(waitMs, LEASED_ASK_MS_MAX) : waitMs;
}
