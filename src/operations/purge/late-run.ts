/** A retry that was accepted while its operation was purged: takes its run back, so that nothing of it begins. */
import { isTrancheError } from '../../model/errors.ts';
import type { OperationRecord, RunRecord } from '../../model/operation.ts';
import { within } from '../deadline.ts';
import type { OperationsStorage } from '../deps.ts';
import type { OperationsSettings } from '../settings.ts';
import { goneError, refuseGone } from './gone.ts';

interface LateRunDeps {
  readonly storage: OperationsStorage;
  readonly settings: Pick<OperationsSettings, 'storeDeadlineMs'>;
}

type Purged = Pick<OperationRecord, 'account' | 'id' | 'uid'>;

/**
 * A purge seals the place of the next run; one that was over before this run was created has taken its seal away again,
 * but left a tombstone. Throws `gone` with nothing of the run left, and rejects where the store does not tell.
 */
export async function refusePurged({ storage, settings }: LateRunDeps, operation: Purged, run: RunRecord) {
  const { account, id } = operation;
  const { records } = storage;
  try {
    const seal = await within(settings.storeDeadlineMs, 'the seal', records.readSeal(account, id, run.run));
    if (seal !== null) throw goneError(seal);
    await within(settings.storeDeadlineMs, 'the record', refuseGone(records, operation));
  } catch (error) {
    const isGone = isTrancheError(error) && error.code === 'gone';
    if (isGone) await withdraw(storage, operation, run).catch(() => {});
    throw error;
  }
}

/** What stays is found by its open marker, or goes when the tombstone goes. */
async function withdraw({ records }: OperationsStorage, { account, id, uid }: Purged, run: RunRecord): Promise<void> {
  const standing = await records.readRun(account, id, run.run);
  if (standing?.prefix === run.prefix) await records.deleteRun(account, id, run.run);
  await records.deleteOpen(uid, run.run);
}
