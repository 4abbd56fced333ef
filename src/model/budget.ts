/** What a budget may say, wherever it comes from: a setting at start-up, or a client while calls are made. */
import { type Budget, type CallWindow, SPREAD_MS } from './governor.ts';

/** Beyond them a governor's calendar would not be bounded (windows), or the budget would say nothing (the rest). */
export const BUDGET_BOUNDS = {
  windowsMax: 8,
  calls: { from: 1, to: 1_000_000 },
  seconds: { from: 1, to: 31 * 86_400 },
  concurrency: { from: 1, to: 100_000 },
} as const;

/** As a client set it while calls were made: the truth that outlives a governor. */
export interface SetBudget {
  readonly version: 1;
  /** Null: it was taken back, and what the setting says is in force. */
  readonly budget: Budget | null;
  /** The client's subject; null where nobody signs in. */
  readonly setBy: string | null;
  /** RFC 3339. */
  readonly setAt: string;
}

/** A worker that calls a vendor ungoverned looks this often whether a budget was set for it. */
export const UNGOVERNED_LOOK_MS = 5_000;

export type BudgetPlace =
  | 'budget'
  | 'windows'
  | `windows.${number}`
  | `windows.${number}.${keyof CallWindow}`
  | 'concurrencyMax';

export interface BudgetFault {
  readonly place: BudgetPlace;
  readonly message: string;
}

/** Every fault of a budget, each with its place; empty = it is in order. */
export function faultsOfBudget({ windows, concurrencyMax }: Budget): readonly BudgetFault[] {
  const { windowsMax, calls, seconds, concurrency } = BUDGET_BOUNDS;
  const faults: BudgetFault[] = [];
  const check = (place: BudgetPlace, value: number, { from, to }: { readonly from: number; readonly to: number }) => {
    if (Number.isInteger(value) && value >= from && value <= to) return;
    faults.push({ place, message: `must be a whole number from ${from} to ${to}` });
  };
  if (windows.length === 0 && concurrencyMax === null) {
    faults.push({ place: 'budget', message: 'must hold a window or a concurrency' });
  }
  if (windows.length > windowsMax) faults.push({ place: 'windows', message: `must be ${windowsMax} at most` });
  for (const [at, window] of windows.entries()) {
    check(`windows.${at}.calls`, window.calls, calls);
    check(`windows.${at}.seconds`, window.seconds, seconds);
    if (windows.findIndex((other) => other.seconds === window.seconds) < at) {
      faults.push({ place: `windows.${at}`, message: `there is a window of ${window.seconds} s already` });
    }
  }
  if (concurrencyMax !== null) check('concurrencyMax', concurrencyMax, concurrency);
  return faults;
}

/** Windows up to here are kept by the distance of calls; longer ones may be used up faster. */
const SHORT_WINDOW_MAX_S = 10;
const BURST_CALLS_PER_SECOND_MAX = 1_000;

/** At what pace a governor would book by the budget alone; null = calls are not counted. */
export function allowedPerSecond({ windows }: Budget): number | null {
  const short = windows.filter(({ seconds }) => seconds <= SHORT_WINDOW_MAX_S);
  const [least] = windows.toSorted((a, b) => a.seconds - b.seconds);
  if (least === undefined) return null;
  if (short.length === 0) return Math.min(least.calls, BURST_CALLS_PER_SECOND_MAX);
  const perSecond = Math.min(...short.map(({ calls, seconds }) => (1_000 * calls) / (seconds * 1_000 + SPREAD_MS)));
  return Math.round(perSecond * 1_000) / 1_000;
}
