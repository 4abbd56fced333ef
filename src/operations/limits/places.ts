/** Frees the places of operations that ended without telling the database: a worker died, the database was away. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Log } from '../../model/log.ts';
import type { Place, QuotaRows } from '../../storage/quotas.ts';
import type { Records } from '../../storage/records.ts';
import { createBackground } from '../background.ts';
import { mapBounded, within } from '../deadline.ts';
import type { Quotas } from './quotas.ts';

export interface PlacesDeps {
  readonly rows: QuotaRows;
  readonly quotas: Quotas;
  readonly records: Records;
  /** Submissions older than this are in no window. */
  readonly longestWindowMs: number;
  readonly intervalMs: number;
  readonly storeDeadlineMs: number;
  readonly log: Log;
}

export interface PlaceSweep {
  start(): void;
  stop(): Promise<void>;
}

const CONCURRENCY = 8;
const BATCH_MAX = 200;
const BATCHES_MAX = 20;
const DATABASE_DEADLINE_MS = 5_000;
/** The submit that took the place may still be about to write its record. */
const RECORD_GRACE_MS = 60_000;

export function createPlaceSweep(deps: PlacesDeps): PlaceSweep {
  const { rows, quotas, longestWindowMs, intervalMs, log } = deps;
  const background = createBackground(loop);
  const { signal } = background;
  const ask = <T>(work: Promise<T>): Promise<T> => within(DATABASE_DEADLINE_MS, 'the database', work);

  async function sweep(): Promise<void> {
    await quotas.payDebts();
    for (let batch = 0; batch < BATCHES_MAX && !signal.aborted; batch++) {
      const places = await ask(rows.overdue(intervalMs, BATCH_MAX));
      await mapBounded(places, CONCURRENCY, async (place) => {
        const end = await endOf(deps, place);
        if (end === 'ended') await ask(rows.free(place.uid));
        if (end === 'never_accepted') await ask(rows.giveBack(place.account, place.uid));
      });
      if (places.length < BATCH_MAX) break;
    }
    // Where this process counts no window, others may.
    if (longestWindowMs > 0) await ask(rows.forget(longestWindowMs));
  }

  async function loop(): Promise<void> {
    while (!signal.aborted) {
      await sleep(intervalMs, undefined, { signal }).catch(() => {});
      if (signal.aborted) return;
      await sweep().catch((error: unknown) => log('warn', 'places in flight could not be swept', { error }));
    }
  }

  return background;
}

/** null: it goes on, or may. What was never accepted (its process died in between) does not count in a window either. */
async function endOf(
  { records, storeDeadlineMs }: PlacesDeps,
  { account, operationId, uid, ageMs }: Place,
): Promise<'ended' | 'never_accepted' | null> {
  const standing = await within(storeDeadlineMs, 'a record', records.readStanding(account, operationId));
  // What was purged had ended, and its submission counts on.
  if (standing !== null && standing.tombstone !== null && runOf(standing.tombstone.uid, uid) > 0) return 'ended';
  const record = standing?.record ?? null;
  const run = record === null ? 0 : runOf(record.uid, uid);
  const isAccepted =
    run === 1 ||
    (run > 1 && (await within(storeDeadlineMs, 'a run', records.readRun(account, operationId, run))) !== null);
  if (!isAccepted) {
    return ageMs > Math.max(RECORD_GRACE_MS, 4 * storeDeadlineMs) ? 'never_accepted' : null;
  }
  const summary = await within(storeDeadlineMs, 'a summary', records.readSummary(account, operationId, run));
  return summary === null ? null : 'ended';
}

/** The run that a place is of (`openName`); 0 = of another operation. */
function runOf(operationUid: string, placeUid: string): number {
  if (placeUid === operationUid) return 1;
  const run = placeUid.startsWith(`${operationUid}-`) ? Number(placeUid.slice(operationUid.length + 1)) : 0;
  return Number.isInteger(run) && run > 1 ? run : 0;
}
