/** Leases the places for calls in flight at once, so that all workers together never have more of them than are allowed. */
import { waterline } from './shares.ts';
import type { Holder } from './state.ts';

/** What a worker may have in flight until its lease is over. */
export interface Lease {
  readonly places: number;
  readonly untilMs: number;
}

export const LEASE_MS = 3_000;
/** A worker that is not seen any more may have calls in flight for so long after its lease: a call's time-out. */
export const RELEASE_MS = 30_000;
/** Where there are fewer places than workers, they go round. */
const TURN_MS = 2_000;
/** What clocks may differ by, with room to spare. */
const CLOCKS_MS = 50;
const LEASES_MAX = 4;

/** The places that nobody else may have: it has calls in them, or may begin some. */
export function reservedPlaces({ leases, inFlight, seenAtMs }: Holder, nowMs: number): number {
  const endsAtMs = Math.max(seenAtMs, ...leases.map(({ untilMs }) => untilMs));
  return nowMs >= endsAtMs + RELEASE_MS ? 0 : Math.max(inFlight, ...leases.map(({ places }) => places));
}

/**
 * Leases that may still be in use, by what the worker has just told: of those that were over when it told it, only its
 * calls in flight are left; and once it has a newer lease, it goes by that.
 */
export function leasesInUse(leases: readonly Lease[], sentAtMs: number, confirmedUntilMs: number): readonly Lease[] {
  return leases.filter(({ untilMs }) => untilMs >= sentAtMs - CLOCKS_MS && untilMs >= confirmedUntilMs);
}

/** Takes up a new lease beside those in use. A lease with fewer places that is over sooner says nothing more. */
export function withLease(leases: readonly Lease[], lease: Lease): readonly Lease[] {
  const larger = leases.filter(({ places, untilMs }) => places > lease.places || untilMs > lease.untilMs);
  const all = [...larger, lease];
  if (all.length <= LEASES_MAX) return all;
  const [first, second, ...rest] = all;
  if (first === undefined || second === undefined) return all;
  const both = { places: Math.max(first.places, second.places), untilMs: Math.max(first.untilMs, second.untilMs) };
  return [both, ...rest];
}

/** Its fair part of `total`; what it gets of it is bounded by what the others have not left yet. */
export function fairPlaces(me: Holder, sharers: readonly Holder[], total: number, nowMs: number): number {
  const wants = sharers.map((it) => ({ worker: it.worker, places: placesWanted(it) }));
  const mine = placesWanted(me);
  const level = Math.floor(
    waterline(
      wants.map(({ places }) => places),
      total,
    ),
  );
  const taken = wants.reduce((sum, { places }) => sum + Math.min(places, level), 0);
  if (level >= mine)
    return mine + (level === Number.POSITIVE_INFINITY ? Math.floor((total - taken) / wants.length) : 0);
  const short = wants.filter(({ places }) => places > level).map(({ worker }) => worker);
  const extra = total - taken;
  // Places change hands only where they must: it costs the time until the former holder has left.
  const turn = level === 0 ? Math.floor(nowMs / TURN_MS) : 0;
  const at = (short.sort().indexOf(me.worker) + turn * Math.max(1, extra)) % short.length;
  return level + (at < extra ? 1 : 0);
}

function placesWanted({ held, waiting, inFlight }: Holder): number {
  return Math.max(1, held + waiting + inFlight);
}
