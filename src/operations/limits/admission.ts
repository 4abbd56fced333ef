/** The last step before an operation is accepted: a standing record wins over every limit, and what is refused takes no place. */
import { setTimeout as sleep } from 'node:timers/promises';
import { reach } from '../../model/crash-point.ts';
import { isTrancheError, type TrancheError } from '../../model/errors.ts';
import { type OperationRecord, type RunRecord, sumItems } from '../../model/operation.ts';
import type { QuotaStanding } from '../../model/quota.ts';
import { openName } from '../../storage/keys.ts';
import type { Records, Standing } from '../../storage/records.ts';
import { unavailable, within } from '../deadline.ts';
import type { SubmitRequest } from '../operations.ts';
import type { Quotas } from './quotas.ts';

export interface Acceptance {
  readonly record: OperationRecord;
  /** The record that was there before; null where ours is the one. */
  readonly standing: OperationRecord | null;
  /** How the account's limits stand now; empty where there are none. */
  readonly limits?: readonly QuotaStanding[];
}

export interface Admission {
  /** Throws `quota_exceeded` before the body is read, where nothing that the body says could make it a replay. */
  refuseEarly(request: SubmitRequest): Promise<void>;
  /** Runs `accept` where the limits leave room, and gives the place back unless a new record stands. */
  admit(record: OperationRecord, accept: () => Promise<Acceptance>): Promise<Acceptance>;
  /** The same for a retry, of which `accept` answers null where its run stands now, else the one that stood before. */
  admitRun(record: OperationRecord, run: RunRecord, accept: () => Promise<RunRecord | null>): Promise<RunRecord | null>;
}

/** Marks the one failure after which nobody knows whether the record stands: its chunks must not be deleted. */
const FATE_UNKNOWN = 'record_fate_unknown';
/** For the twin of a request to write the record that makes this one a replay. */
const TWIN_WAIT_MS = 2_000;
const TWIN_LOOK_MS = 50;

export function fateUnknown(fault: unknown): TrancheError {
  const cause = Object.assign(new Error('the record may stand', { cause: fault }), { name: FATE_UNKNOWN });
  return unavailable('the operation cannot be kept now; send it again', cause);
}

export function isFateKnown(error: unknown): boolean {
  return !(isTrancheError(error) && error.cause instanceof Error && error.cause.name === FATE_UNKNOWN);
}

export interface AdmissionDeps {
  readonly records: Records;
  readonly quotas: Quotas;
  readonly storeDeadlineMs: number;
}

/** Where no limit is set nothing is asked. */
export const UNLIMITED: Admission = {
  refuseEarly: async () => {},
  admit: (_record, accept) => accept(),
  admitRun: (_record, _run, accept) => accept(),
};

export function createAdmission({ records, quotas, storeDeadlineMs }: AdmissionDeps): Admission {
  async function findStanding({ account, id }: OperationRecord): Promise<Standing | null> {
    try {
      return await within(storeDeadlineMs, 'the record', records.readStanding(account, id));
    } catch (error) {
      throw unavailable('the operation cannot be kept now (the record); send it again', error);
    }
  }

  /** A request sent twice at once, and place for one: the second is a replay as soon as the first has its record. */
  async function awaitTwin(record: OperationRecord): Promise<OperationRecord | null> {
    for (const endAt = Date.now() + TWIN_WAIT_MS; Date.now() < endAt; await sleep(TWIN_LOOK_MS)) {
      const standing = (await findStanding(record))?.record ?? null;
      if (standing !== null) return standing;
    }
    return null;
  }

  return {
    async refuseEarly({ account, surface, key, keylessReplayWindowMs, readFields, submittedBy }) {
      const mayBeReplay = key !== null || keylessReplayWindowMs > 0;
      // Where nobody signs in a form may name another account.
      const mayBeAnothers = readFields !== undefined && submittedBy === null;
      if (mayBeReplay || mayBeAnothers || !quotas.isLimited(surface)) return;
      await quotas.refuseEarly(account, surface);
    },
    async admit(record, accept) {
      const { account, uid, id, surface, total, input } = record;
      if (!quotas.isLimited(surface)) return await accept();
      // An id of its own is new by itself.
      const standing = id === uid ? null : await findStanding(record);
      // Nothing new can be accepted there: that says so.
      if (standing?.tombstone != null) return await accept();
      if (standing !== null) return { record, standing: standing.record };
      const bid = { account, uid, operationId: id, surface, items: total, bytes: input.bytes };
      const verdict = await quotas.enter(bid);
      if (!verdict.admitted) {
        const twin = verdict.sameOperation ? await awaitTwin(record) : null;
        if (twin === null) throw verdict.error;
        return { record, standing: twin };
      }
      reach('submit.place_taken');
      try {
        const acceptance = await accept();
        if (acceptance.standing !== null) await quotas.giveBack(account, uid);
        return { ...acceptance, limits: verdict.standings };
      } catch (error) {
        if (isFateKnown(error)) await quotas.giveBack(account, uid);
        throw error;
      }
    },
    async admitRun({ account, id, surface, ...record }, run, accept) {
      if (!quotas.limitsInFlight()) return await accept();
      const uid = openName(record.uid, run.run);
      const items = sumItems(run.chunkItems);
      const verdict = await quotas.enter({ account, uid, operationId: id, surface, items, bytes: 0, retry: true });
      if (!verdict.admitted) throw verdict.error;
      reach('retry.place_taken');
      try {
        const standing = await accept();
        if (standing !== null) await quotas.giveBack(account, uid);
        return standing;
      } catch (error) {
        if (isFateKnown(error)) await quotas.giveBack(account, uid);
        throw error;
      }
    },
  };
}
