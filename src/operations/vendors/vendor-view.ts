/** A vendor as readers see it: what it allows, what is called now, who holds what, and why. */
import { allowedPerSecond, type SetBudget } from '../../model/budget.ts';
import type { BreakerState, Budget, CallReport, CallWindow, GovernorStanding } from '../../model/governor.ts';

export interface VendorView {
  readonly vendor: string;
  /** `ungoverned`: it has no budget. `idle`: nobody asks for calls. `unknown`: its governor did not answer. */
  readonly state: 'ungoverned' | 'idle' | 'active' | 'unknown';
  /** What is in force; null = none. */
  readonly budget: Budget | null;
  /** What the settings say; null = nothing. */
  readonly budgetDefault: Budget | null;
  /** What a client set instead; null = nothing, or it was taken back. */
  readonly budgetSet: { readonly budget: Budget; readonly setBy: string | null; readonly setAt: string } | null;
  /** By the budget alone; null where calls are not counted. */
  readonly allowedPerSecond: number | null;
  /** What is booked now; null where nobody books. */
  readonly callsPerSecond: number | null;
  /** The vendor has shown that it takes less than the budget allows. */
  readonly adapted: boolean;
  /** Null where its governor did not answer. */
  readonly breaker: {
    readonly state: BreakerState;
    readonly since: string | null;
    readonly probeAt: string | null;
  } | null;
  /** The vendor asked not to be called before. */
  readonly closedUntil: string | null;
  /** Calls are booked up to here. */
  readonly bookedUntil: string | null;
  /** What stands in each window now. */
  readonly used: readonly (CallWindow & { readonly used: number })[];
  /** Those that asked within the last minute. */
  readonly workers: readonly WorkerView[];
  /** How the calls of the last minute went; null where nobody says. */
  readonly lastMinute: Omit<CallReport, 'closedUntilMs' | 'down'> | null;
  /** False where the governor did not answer: what is configured is shown. */
  readonly live: boolean;
  readonly asOf: string;
}

export interface WorkerView {
  /** Null for who may not know it. */
  readonly name: string | null;
  readonly seenAt: string;
  /** Calls booked and still ahead. */
  readonly held: number;
  /** Calls asked for and not granted. */
  readonly waiting: number;
  readonly inFlight: number;
  /** Calls that it may have in flight; null = no bound. */
  readonly places: number | null;
}

export interface VendorFacts {
  readonly vendor: string;
  readonly configured: Budget | null;
  readonly set: SetBudget | null;
  /** Null where no governor runs. */
  readonly standing: GovernorStanding | null | 'silent';
  readonly nowMs: number;
}

export function viewOfVendor(facts: VendorFacts): VendorView {
  const { vendor, configured, set, standing, nowMs } = facts;
  const budgetSet =
    set === null || set.budget === null ? null : { budget: set.budget, setBy: set.setBy, setAt: set.setAt };
  const own = { vendor, budgetDefault: configured, budgetSet };
  if (standing !== null && standing !== 'silent') return { ...own, ...governedView(standing, configured) };
  const budget = budgetSet?.budget ?? configured;
  const live = standing === null;
  return {
    ...own,
    ...NOBODY,
    state: budget === null && live ? 'ungoverned' : live ? 'idle' : 'unknown',
    budget,
    allowedPerSecond: budget === null ? null : allowedPerSecond(budget),
    breaker: live ? { state: 'closed', since: null, probeAt: null } : null,
    live,
    asOf: new Date(nowMs).toISOString(),
  };
}

const NOBODY = {
  callsPerSecond: null,
  adapted: false,
  closedUntil: null,
  bookedUntil: null,
  used: [],
  workers: [],
  lastMinute: null,
} as const;

type GovernedView = Omit<VendorView, 'vendor' | 'budgetDefault' | 'budgetSet'>;

function governedView(standing: GovernorStanding, configured: Budget | null): GovernedView {
  const { asOfMs, breaker, breakerSinceMs, probeAtMs, closedUntilMs, bookedUntilMs, workers } = standing;
  const { callsPerSecond, allowedPerSecond: allowed, lastMinute } = standing;
  // A governor keeps what its workers once said; where the setting is gone, they ask it no longer.
  const isGone = !standing.isSet && configured === null;
  const budget = isGone || isEmpty(standing.budget) ? null : standing.budget;
  const stamp = (atMs: number | null) => (atMs === null || atMs <= 0 ? null : new Date(atMs).toISOString());
  const ahead = (atMs: number) => (atMs > asOfMs ? stamp(atMs) : null);
  return {
    state: budget === null ? 'ungoverned' : workers.length === 0 ? 'idle' : 'active',
    budget,
    allowedPerSecond: budget === null ? null : allowed,
    callsPerSecond: budget === null ? null : callsPerSecond,
    adapted: budget !== null && isLess(callsPerSecond, allowed),
    breaker: { state: breaker, since: stamp(breakerSinceMs), probeAt: stamp(probeAtMs) },
    closedUntil: ahead(closedUntilMs),
    bookedUntil: ahead(bookedUntilMs),
    used: budget === null ? [] : standing.used,
    workers: workers.map(({ worker, seenAtMs, held, waiting, inFlight, places }) => {
      return { name: worker, seenAt: new Date(seenAtMs).toISOString(), held, waiting, inFlight, places };
    }),
    lastMinute,
    live: true,
    asOf: new Date(asOfMs).toISOString(),
  };
}

/** True where the governor has not heard of what was set (or taken back) yet. */
export function isUntold(set: SetBudget | null, standing: GovernorStanding): boolean {
  if (set === null) return false;
  if (set.budget === null) return standing.isSet;
  return !standing.isSet || !isSameBudget(set.budget, standing.budget);
}

function isSameBudget(one: Budget, other: Budget): boolean {
  const listed = ({ windows, concurrencyMax }: Budget) =>
    JSON.stringify([concurrencyMax, windows.map(({ calls, seconds }) => `${calls}/${seconds}`).sort()]);
  return listed(one) === listed(other);
}

function isEmpty({ windows, concurrencyMax }: Budget): boolean {
  return windows.length === 0 && concurrencyMax === null;
}

function isLess(calls: number | null, allowed: number | null): boolean {
  return calls !== null && allowed !== null && calls < allowed;
}
