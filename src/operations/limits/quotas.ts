/** How much an account may have going on: asked before an operation is accepted, told when it ends. */
import { TrancheError } from '../../model/errors.ts';
import type { Log } from '../../model/log.ts';
import type { QuotaName, QuotaStanding } from '../../model/quota.ts';
import type { Entry, QuotaRows, Standing, WindowLimit, WindowUse } from '../../storage/quotas.ts';
import { orUnavailable, within } from '../deadline.ts';

/** null = no such limit. At least one is set where there are `Quotas` at all. */
export interface QuotaLimits {
  /** Submissions by surface, e.g. `bulk-actions`. */
  readonly surfaces: Readonly<Record<string, WindowLimit>>;
  readonly submissions: WindowLimit | null;
  readonly operationsMax: number | null;
  readonly itemsMax: number | null;
  readonly bytesMax: number | null;
}

/** What would be accepted. Units: items, decoded bytes. */
export interface Bid {
  readonly account: string;
  /** Of the place: the operation's, or for a retry the run's (`openName`). */
  readonly uid: string;
  /** A retry is no submission: it counts in no window. */
  readonly retry?: true;
  readonly operationId: string;
  readonly surface: string;
  readonly items: number;
  readonly bytes: number;
}

export type Verdict =
  | { readonly admitted: true; readonly standings: readonly QuotaStanding[] }
  /** `sameOperation`: another submission of this operation id holds a place, maybe of the very same request. */
  | { readonly admitted: false; readonly sameOperation: boolean; readonly error: TrancheError };

export interface Quotas {
  /** False: nothing of this surface's is limited, and nobody need be asked. */
  isLimited(surface: string): boolean;
  /** False: what goes on at once is not limited, which is all that a retry is asked for. */
  limitsInFlight(): boolean;
  /** Takes a place in every limit, or in none. Throws `unavailable` where the database does not answer: nothing is kept. */
  enter(bid: Bid): Promise<Verdict>;
  /** Throws `quota_exceeded` where not even the smallest operation would be admitted now. Takes nothing. */
  refuseEarly(account: string, surface: string): Promise<void>;
  /** A place whose operation was not accepted. Never throws: what fails now is tried again by the sweep. */
  giveBack(account: string, uid: string): Promise<void>;
  standings(account: string): Promise<readonly QuotaStanding[]>;
  /** What giveBack owes; for the sweep. */
  payDebts(): Promise<void>;
}

export interface QuotasDeps {
  readonly rows: QuotaRows;
  readonly limits: QuotaLimits;
  readonly deadlineMs: number;
  readonly log: Log;
}

const GIVE_BACK_MS = 2_000;
const DEBTS_MAX = 10_000;
/** Places in flight are free when an operation ends, which nobody can foretell. */
const IN_FLIGHT_RETRY_SECONDS = 5;
const NO_ROOM = 'this alone is beyond the limit of the account';

export function createQuotas({ rows, limits, deadlineMs, log }: QuotasDeps): Quotas {
  const debts = new Map<string, string>();
  const surfaceNames = Object.keys(limits.surfaces);

  const ask = <T>(work: Promise<T>): Promise<T> =>
    orUnavailable(
      "the account's limits cannot be checked now; send it again",
      within(deadlineMs, 'the database', work),
    );

  /** False where it is still owed. */
  async function tryGiveBack(account: string, uid: string): Promise<boolean> {
    try {
      await within(GIVE_BACK_MS, 'the database', rows.giveBack(account, uid));
      debts.delete(uid);
      return true;
    } catch (error) {
      if (debts.size < DEBTS_MAX) debts.set(uid, account);
      log('debug', 'a place that was not used could not be given back yet', { account, uid, error });
      return false;
    }
  }

  async function giveBack(account: string, uid: string): Promise<void> {
    await tryGiveBack(account, uid);
  }

  const isAlwaysLimited = [limits.submissions, limits.operationsMax, limits.itemsMax, limits.bytesMax].some(
    (limit) => limit !== null,
  );

  return {
    isLimited: (surface) => isAlwaysLimited || limits.surfaces[surface] !== undefined,
    limitsInFlight: () => [limits.operationsMax, limits.itemsMax, limits.bytesMax].some((limit) => limit !== null),
    giveBack,
    async enter(bid) {
      refuseTooLarge(bid, limits);
      let standing: Standing;
      try {
        standing = await ask(rows.enter(entryOf(bid, limits)));
      } catch (error) {
        // It may have been taken although no answer came, or be taken yet: a database that was frozen does what it was
        // sent in any order. So it is given back now, behind the client's back, and once more by the sweep.
        const owe = () => debts.size < DEBTS_MAX && debts.set(bid.uid, bid.account);
        void giveBack(bid.account, bid.uid).then(owe);
        throw error;
      }
      const standings = standingsOf(standing, limits, bid.surface, standing.admitted ? bid : null);
      if (standing.admitted) return { admitted: true, standings };
      return {
        admitted: false,
        sameOperation: standing.sameOperation,
        error: exceeded(standings, bid),
      };
    },
    async refuseEarly(account, surface) {
      const bid = { account, uid: '', operationId: '', surface, items: 1, bytes: 1 };
      const standing = await ask(rows.look(entryOf(bid, limits)));
      const standings = standingsOf(standing, limits, surface, null);
      if (standings.some(({ remaining }) => remaining === 0)) throw exceeded(standings, bid);
    },
    async standings(account) {
      const surface = surfaceNames[0] ?? '';
      const bid = { account, uid: '', operationId: '', surface, items: 0, bytes: 0 };
      return standingsOf(await ask(rows.look(entryOf(bid, limits))), limits, surface, null);
    },
    async payDebts() {
      // One that fails says that the next would, too.
      for (const [uid, account] of [...debts]) if (!(await tryGiveBack(account, uid))) return;
    },
  };
}

function entryOf({ retry, ...bid }: Bid, limits: QuotaLimits): Entry {
  const { operationsMax, itemsMax, bytesMax } = limits;
  const surfaceWindow = retry === true ? null : (limits.surfaces[bid.surface] ?? null);
  const window = retry === true ? null : limits.submissions;
  return { ...bid, surfaceWindow, window, operationsMax, itemsMax, bytesMax };
}

/** It would be refused for ever: to come back later is of no use. */
function refuseTooLarge({ items, bytes }: Bid, { itemsMax, bytesMax }: QuotaLimits): void {
  const over = (limit: number, unit: string) =>
    new TrancheError('content_too_large', `${NO_ROOM} (${limit} ${unit} in flight)`, { limit, unit });
  if (itemsMax !== null && items > itemsMax) throw over(itemsMax, 'items');
  if (bytesMax !== null && bytes > bytesMax) throw over(bytesMax, 'bytes');
}

/** `taken`: what was admitted just now and the standing does not hold yet. */
function standingsOf(
  seen: Standing,
  limits: QuotaLimits,
  surface: string,
  taken: Bid | null,
): readonly QuotaStanding[] {
  const one = taken === null ? 0 : 1;
  const surfaceLimit = limits.surfaces[surface];
  const list: QuotaStanding[] = [];
  if (surfaceLimit !== undefined) list.push(windowStanding('bulk-actions', surfaceLimit, seen.surface, one));
  if (limits.submissions !== null) list.push(windowStanding('submissions', limits.submissions, seen.submissions, one));
  const inFlight = (name: QuotaName, unit: QuotaStanding['unit'], limit: number | null, used: number) => {
    if (limit === null) return;
    list.push({ name, limit, unit, windowSeconds: null, remaining: Math.max(0, limit - used), resetSeconds: null });
  };
  inFlight('operations', 'concurrent-requests', limits.operationsMax, seen.operations + one);
  inFlight('items', 'items', limits.itemsMax, seen.items + (taken?.items ?? 0));
  inFlight('bytes', 'content-bytes', limits.bytesMax, seen.bytes + (taken?.bytes ?? 0));
  return list;
}

function windowStanding(name: QuotaName, { max, windowMs }: WindowLimit, use: WindowUse | null, taken: number) {
  const leavesInMs = use?.leavesInMs ?? (taken > 0 ? windowMs : null);
  return {
    name,
    limit: max,
    unit: 'requests' as const,
    windowSeconds: Math.max(1, Math.ceil(windowMs / 1_000)),
    remaining: Math.max(0, max - (use?.used ?? 0) - taken),
    resetSeconds: leavesInMs === null ? null : Math.max(1, Math.ceil(leavesInMs / 1_000)),
  };
}

function exceeded(standings: readonly QuotaStanding[], { items, bytes }: Bid): TrancheError {
  const needs: Partial<Record<QuotaName, number>> = { items, bytes };
  const over = standings.filter(({ name, remaining }) => remaining < (needs[name] ?? 1));
  const waits = over.map(({ resetSeconds }) => resetSeconds ?? IN_FLIGHT_RETRY_SECONDS);
  const retryAfterSeconds = Math.max(1, ...waits);
  const told = over.map(({ name, limit, windowSeconds }) =>
    windowSeconds === null ? `${limit} ${name} in flight` : `${limit} ${name} in ${windowSeconds} s`,
  );
  const message = `the account is at its limit of ${told.join(' and ')}; try again in ${retryAfterSeconds} s`;
  return new TrancheError('quota_exceeded', message, {
    quotas: standings,
    violated: over.map(({ name }) => name),
    retryAfterSeconds,
  });
}
