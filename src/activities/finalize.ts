/** The small writes of an operation workflow: the checkpoint while it runs, the summary at its end. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { CheckpointInput, FinalizeInput } from '../model/activity-contract.ts';
import { reach } from '../model/crash-point.ts';
import type { Progress } from '../model/operation.ts';
import { openName } from '../storage/keys.ts';
import type { ActivityDeps } from './deps.ts';

type FinalizeDeps = Pick<ActivityDeps, 'records' | 'freePlaces' | 'log'>;

/** An operation's end does not wait for a database that is away: the API's sweep frees what stays. */
const FREE_PLACES_MS = 2_000;

export function createFinalize(deps: FinalizeDeps) {
  return {
    async checkpoint({ ref, progress }: CheckpointInput): Promise<void> {
      await deps.records.putCheckpoint(ref.account, ref.id, progress);
      reach('checkpoint.written');
    },

    /**
     * The summary stands before the marker goes: whoever finds the marker finds work or an end. Answers the summary that
     * stands, which a lost attempt may have written.
     */
    async finalize({ ref, summary }: FinalizeInput): Promise<Progress> {
      const ours = await deps.records.createSummary(ref.account, ref.id, summary);
      reach('finalize.summary_written');
      const standing = ours ? summary : await deps.records.readSummary(ref.account, ref.id, summary.run);
      await deps.records.markEnded({ ...ref, run: summary.run }, Date.now());
      await deps.records.deleteOpen(ref.uid, summary.run);
      reach('finalize.marker_deleted');
      await freePlaces(deps, openName(ref.uid, summary.run));
      return standing ?? summary;
    },
  };
}

async function freePlaces({ freePlaces: free, log }: FinalizeDeps, uid: string): Promise<void> {
  if (free === undefined) return;
  const stop = new AbortController();
  try {
    const late = sleep(FREE_PLACES_MS, 'late', { signal: stop.signal }).catch(() => null);
    const freeing = free(uid);
    freeing.catch(() => {});
    if ((await Promise.race([freeing, late])) === 'late') throw new Error('the database did not answer in time');
  } catch (cause) {
    log('warn', 'the places of an operation stay taken until they are swept', { uid, cause });
  } finally {
    stop.abort();
  }
}
