/** `purge`: an ended operation goes for good. Once its tombstone stands it is gone, whoever has to finish the rest. */
import { reach } from '../../model/crash-point.ts';
import { isTrancheError, TrancheError } from '../../model/errors.ts';
import type { Log } from '../../model/log.ts';
import type { OperationRecord } from '../../model/operation.ts';
import type { Tombstone } from '../../model/tombstone.ts';
import type { Audit } from '../audit.ts';
import { orUnavailable, within } from '../deadline.ts';
import type { OperationsStorage } from '../deps.ts';
import type { Actor } from '../operations.ts';
import type { TemporalLink } from '../running/temporal-link.ts';
import type { OperationsSettings } from '../settings.ts';
import type { Status } from '../status/status.ts';
import { mayNameOperation } from '../submit/operation-id.ts';
import { entomb } from './entomb.ts';
import type { Removal } from './removal.ts';
import type { WorkflowRuns } from './workflow-runs.ts';

export interface PurgeDeps {
  readonly storage: Pick<OperationsStorage, 'records'>;
  readonly status: Status;
  readonly audit: Audit;
  readonly link: TemporalLink;
  readonly removal: Removal;
  readonly workflowRuns: WorkflowRuns;
  readonly settings: Pick<OperationsSettings, 'storeDeadlineMs'>;
  readonly log: Log;
}

/**
 * Idempotent: what is gone already is no error. Throws `not_found`, `illegal_transition` where it has not ended, and
 * `unavailable` where the store does not answer: then it may be gone or not, and asking again tells.
 */
export function createPurge(deps: PurgeDeps) {
  const { storage, audit, status } = deps;
  const { records } = storage;
  return async (account: string, id: string, actor: Actor): Promise<void> => {
    const standing = mayNameOperation(account, id) ? await read(deps, records.readStanding(account, id)) : null;
    if (standing === null) throw new TrancheError('not_found', 'there is no such operation');
    if (standing.tombstone !== null) return;
    const { record } = standing;
    try {
      const act = { action: 'purged', account, id, actor } as const;
      const tombstone = await audit.recorded(act, () => bury(deps, record, actor));
      status.forget(account, id);
      await finish(deps, tombstone);
    } catch (error) {
      // Somebody else was quicker.
      if (!isTrancheError(error) || error.code !== 'gone') throw error;
    }
  };
}

async function bury(deps: PurgeDeps, record: OperationRecord, actor: Actor): Promise<Tombstone> {
  const { account, id, uid } = record;
  const { records } = deps.storage;
  const nowMs = Date.now();
  const buried = await read(
    deps,
    entomb(records, record, {
      cause: 'purged',
      by: actor.subject,
      nowMs,
      mayGo: () => true,
      prepare: (run) => {
        const name = { account, id, uid, run };
        // The second is how its tombstone is found when that is over.
        return Promise.all([records.markPurging(name), records.markEnded(name, nowMs)]);
      },
    }),
  );
  if (buried.kind === 'absent') throw new TrancheError('not_found', 'there is no such operation');
  if (buried.kind === 'gone') {
    reach('purge.tombstone_written');
    return buried.tombstone;
  }
  const { state } = await deps.status.get(account, id);
  const currentState = state === 'ended' ? 'queued' : state;
  const message = `the operation is ${currentState}; only what has ended is purged: cancel it or wait`;
  throw new TrancheError('illegal_transition', message, { currentState, allowed: [] });
}

/** What cannot be done now, the sweep does: it has a marker. */
async function finish({ removal, workflowRuns, link, settings, log }: PurgeDeps, tombstone: Tombstone): Promise<void> {
  const { account, id } = tombstone;
  try {
    await within(settings.storeDeadlineMs, 'the deletion', removal.remove(tombstone));
    if (link.isDown()) return;
    await workflowRuns.delete(account, id);
    reach('purge.workflow_deleted');
  } catch (cause) {
    log('info', 'a purge is finished later', { account, operationId: id, cause });
  }
}

function read<T>({ settings }: PurgeDeps, work: Promise<T>): Promise<T> {
  const reading = within(settings.storeDeadlineMs, 'the operation', work);
  return orUnavailable('the operation cannot be purged now; ask again', reading);
}
