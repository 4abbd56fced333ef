/** The workers that ask for one vendor's slots: who came, what it says of itself, and who is gone for good. */
import type { BookRequest } from '../../model/governor.ts';
import { fairPlaces, LEASE_MS, leasesInUse, reservedPlaces, withLease } from './places.ts';
import { activeHolders, activeUntil } from './shares.ts';
import { budgetOf, type GovernorState, HOLDERS_MAX, type Holder } from './state.ts';

/** Shown for so long after it was last seen. */
const SHOWN_MS = 60_000;
export const WANTED_MAX = 100_000;

/** Puts down what the worker says of itself: what it says that it holds counts, whatever it was granted. */
export function arrive(state: GovernorState, request: BookRequest, nowMs: number): GovernorState {
  const { worker, held, inFlight } = request;
  const former = state.holders.find((it) => it.worker === worker);
  const me: Holder = {
    worker,
    seenAtMs: nowMs,
    activeUntilMs: activeUntil(nowMs, 0),
    held,
    lastSlotAtMs: held === 0 ? 0 : Math.max(former?.lastSlotAtMs ?? 0, nowMs),
    waiting: Math.min(request.wanted, WANTED_MAX),
    grantedAtMs: former?.grantedAtMs ?? 0,
    inFlight,
    leases: leasesInUse(former?.leases ?? [], Math.min(request.sentAtMs, nowMs), request.placesUntilMs ?? 0),
    places: null,
    asked: (former?.asked ?? 0) + 1,
  };
  const others = state.holders.filter((it) => it.worker !== worker);
  return { ...state, holders: [...withinBounds(others), me] };
}

/** Seen longest ago first: each that comes goes to the end. */
function withinBounds(others: readonly Holder[]): readonly Holder[] {
  return others.length < HOLDERS_MAX ? others : others.slice(others.length - HOLDERS_MAX + 1);
}

export function withoutGoneHolders(holders: readonly Holder[], nowMs: number): readonly Holder[] {
  const isGone = (it: Holder) =>
    it.seenAtMs + SHOWN_MS < nowMs && it.activeUntilMs <= nowMs && reservedPlaces(it, nowMs) === 0;
  return holders.some(isGone) ? holders.filter((it) => !isGone(it)) : holders;
}

export function holderOf({ holders }: GovernorState, worker: string): Holder {
  const found = holders.find((it) => it.worker === worker);
  if (found === undefined) throw new RangeError(`no worker ${worker} has come`);
  return found;
}

export function withHolder(state: GovernorState, me: Holder): GovernorState {
  return { ...state, holders: state.holders.map((it) => (it.worker === me.worker ? me : it)) };
}

/** Leases the worker its part of the places; false `settled`: others have to leave some of it first. */
export function leasePlaces(
  state: GovernorState,
  worker: string,
  nowMs: number,
): { readonly state: GovernorState; readonly settled: boolean } {
  const { concurrencyMax } = budgetOf(state);
  const me = holderOf(state, worker);
  if (concurrencyMax === null) return { state, settled: true };
  const isQuiet = !state.ready || nowMs < state.quietUntilMs;
  const active = activeHolders(state.holders, nowMs);
  const sharers = active.some((it) => it.worker === worker) ? active : [...active, me];
  const fair = isQuiet ? 0 : fairPlaces(me, sharers, concurrencyMax, nowMs);
  const others = state.holders.filter((it) => it.worker !== worker);
  const reserved = others.reduce((sum, it) => sum + reservedPlaces(it, nowMs), 0);
  const places = Math.max(0, Math.min(fair, concurrencyMax - reserved));
  const leases = withLease(me.leases, { places, untilMs: nowMs + LEASE_MS });
  const settled =
    isQuiet || (places === fair && reservedPlaces({ ...me, leases }, nowMs) === Math.max(places, me.inFlight));
  return { state: withHolder(state, { ...me, places, leases }), settled };
}
