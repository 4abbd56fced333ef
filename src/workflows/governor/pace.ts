/** How fast a vendor's slots follow each other: by its budget, by what it has shown, and slowly after a rest. */
import { type Budget, type CallReport, SPREAD_MS } from '../../model/governor.ts';
import { adapt } from './adaptation.ts';
import { countedWindows, type Pace, roundUp, spacingMs } from './calendar.ts';
import { budgetOf, type GovernorState } from './state.ts';

/** After a rest of so long its connections and its caches are cold: half of the rate for a second. */
const REST_MS = 10_000;
const AFTER_REST = 0.5;
const AFTER_OUTAGE = 0.25;
/** Slots further apart than this bunch nothing: no slow start. */
const RAMP_EVERY_MS_MAX = 250;
/** An answer is on its way for so long: slots before it are lost. */
const ANSWER_MS = 50;

/** Null where calls are not counted. */
export function paceOf(state: GovernorState): Pace | null {
  const budget = budgetOf(state);
  const spacing = spacingMs(budget);
  if (spacing === null) return null;
  const { rate } = state.adaptation;
  const everyMs = rate === null ? spacing : Math.max(spacing, roundUp(1000 / rate));
  return { everyMs, counted: countedWindows(budget), ramp: everyMs > RAMP_EVERY_MS_MAX ? null : state.ramp };
}

export function allowedPerSecond(budget: Budget): number | null {
  const spacing = spacingMs(budget);
  return spacing === null ? null : 1000 / spacing;
}

/** Null where calls are not counted. */
export function callsPerSecond(state: GovernorState): number | null {
  const pace = paceOf(state);
  return pace === null ? null : 1000 / pace.everyMs;
}

export function isAdapted(state: GovernorState): boolean {
  const allowed = allowedPerSecond(budgetOf(state));
  return state.adaptation.rate !== null && allowed !== null && state.adaptation.rate < allowed;
}

export function earliestMs(state: GovernorState, nowMs: number): number {
  return Math.max(nowMs + ANSWER_MS, state.closedUntilMs);
}

/** What the calls that ended tell about the rate. */
export function withAdaptation(
  state: GovernorState,
  report: CallReport,
  nowMs: number,
  askEveryMs: number,
): GovernorState {
  const allowed = allowedPerSecond(budgetOf(state));
  if (allowed === null) return state;
  const bookedUntilMs = state.calendar.lastAtMs + SPREAD_MS;
  const around = { nowMs, allowed, bookedUntilMs, askEveryMs, busy: bookedUntilMs > nowMs };
  return { ...state, adaptation: adapt(state.adaptation, report, around) };
}

export function startSlowlyAfterOutage(state: GovernorState, nowMs: number): GovernorState {
  return { ...state, ramp: { fromMs: earliestMs(state, nowMs), factor: AFTER_OUTAGE } };
}

/** To be asked before slots are booked. */
export function startSlowlyAfterRest(state: GovernorState, nowMs: number): GovernorState {
  const every = paceOf(state)?.everyMs ?? 0;
  const fromMs = earliestMs(state, nowMs);
  const rampIsLater = state.ramp !== null && state.ramp.fromMs >= nowMs;
  if (rampIsLater || fromMs < state.calendar.lastAtMs + REST_MS + every) return state;
  return { ...state, ramp: { fromMs, factor: AFTER_REST } };
}
