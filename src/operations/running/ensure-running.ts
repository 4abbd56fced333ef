/** Makes sure that an accepted operation is worked on: started, resumed where it was lost, settled where somebody ended it. */
import type { Client } from '@temporalio/client';
import { reach } from '../../model/crash-point.ts';
import type { Log } from '../../model/log.ts';
import type { OperationRecord, RunRecord } from '../../model/operation.ts';
import type { OperationInput } from '../../model/workflow-contract.ts';
import type { Records } from '../../storage/records.ts';
import { within } from '../deadline.ts';
import type { OperationsSettings } from '../settings.ts';
import { workflowIdOf } from '../submit/operation-id.ts';
import { runOfMemo, type Starter } from './starter.ts';
import { faultOf, type TemporalLink } from './temporal-link.ts';

/** How often a running workflow, or an upload that goes on, is looked at. */
export const LOOK_INTERVAL_MS = 60_000;
export const FAULT_WAIT_MS = 5_000;
/** A workflow that closes again and again is started again ever more seldom. */
const RESTART_WAIT_MIN_MS = 10_000;
const RESTART_WAIT_MAX_MS = 5 * 60_000;

/** What is remembered of one open marker between two looks. */
export interface Watch {
  nextAt: number;
  restarts: number;
  restartAt: number;
}

export interface TemporalParts {
  readonly client: Client;
  readonly link: TemporalLink;
  readonly starter: Starter;
}

export interface EnsureRunningDeps {
  readonly records: Records;
  readonly temporal: TemporalParts;
  readonly settings: Pick<OperationsSettings, 'callDeadlineMs' | 'storeDeadlineMs'>;
  readonly log: Log;
}

/** Started, task scheduled, closed: no worker has ever taken the workflow up. */
const HISTORY_UNTOUCHED = 3;

/** What is to run: the submission, or a retry. */
interface Wanted {
  readonly record: OperationRecord;
  readonly run: RunRecord | null;
}

type Restart = Exclude<OperationInput['mode'], 'start'>;

export function createEnsureRunning({ records, temporal, settings, log }: EnsureRunningDeps) {
  const { client, link, starter } = temporal;

  function blob<T>(what: string, work: Promise<T>): Promise<T> {
    return within(settings.storeDeadlineMs, what, work);
  }

  async function closeIfEnded({ record: { account, id, uid }, run }: Wanted): Promise<boolean> {
    const number = run?.run ?? 1;
    if ((await blob('a summary', records.readSummary(account, id, number))) === null) return false;
    await blob('a marker of its end', records.markEnded({ account, id, uid, run: number }, Date.now()));
    await blob('an open marker', records.deleteOpen(uid, number));
    return true;
  }

  /** It ended and was purged between our looks: its summary went with it, and the marker is the purge's to delete. */
  async function isGone({ record: { account, id, uid } }: Wanted): Promise<boolean> {
    return (await blob('the record', records.readRecord(account, id)))?.uid !== uid;
  }

  /** `settle`: somebody ended it; `resume`: it was lost. */
  async function describe({ record: { account, id }, run }: Wanted): Promise<'running' | 'absent' | Restart> {
    const handle = client.workflow.getHandle(workflowIdOf(account, id));
    try {
      const { status, historyLength, memo } = await link.call(settings.callDeadlineMs, () => handle.describe());
      // What became of an earlier run's workflow says nothing of this one.
      if (runOfMemo(memo) < (run?.run ?? 1)) return 'absent';
      if (status.name === 'TERMINATED' || status.name === 'CANCELLED' || status.name === 'FAILED') {
        return historyLength <= HISTORY_UNTOUCHED ? 'settle_untouched' : 'settle';
      }
      return status.name === 'TIMED_OUT' || status.name === 'COMPLETED' ? 'resume' : 'running';
    } catch (error) {
      if (faultOf(error) === 'not_found') return 'absent';
      throw error;
    }
  }

  async function startFirst(wanted: Wanted): Promise<number> {
    const { record, run } = wanted;
    const checkpoint = await blob('a checkpoint', records.readCheckpoint(record.account, record.id));
    const mode = checkpoint?.run === (run?.run ?? 1) ? 'resume' : 'start';
    return (await starter.start({ ...wanted, mode, again: run !== null })) ? LOOK_INTERVAL_MS : FAULT_WAIT_MS;
  }

  async function startAgain(wanted: Wanted, mode: Restart, watch: Watch): Promise<number> {
    if (Date.now() < watch.restartAt) return watch.restartAt - Date.now();
    if (!(await starter.start({ ...wanted, mode, again: true }))) return FAULT_WAIT_MS;
    const { uid } = wanted.record;
    log('info', 'a workflow had closed without ending its operation; another goes on', { uid, mode });
    const waitMs = Math.min(RESTART_WAIT_MAX_MS, RESTART_WAIT_MIN_MS * 2 ** watch.restarts++);
    watch.restartAt = Date.now() + waitMs;
    return waitMs;
  }

  /** Answers the milliseconds until the next look; throws where store or Temporal do not answer. */
  return async (wanted: Wanted, watch: Watch): Promise<number> => {
    if (await closeIfEnded(wanted)) return LOOK_INTERVAL_MS;
    const found = await describe(wanted);
    if (found === 'running') return LOOK_INTERVAL_MS;
    // It may have ended between the two looks.
    if ((await closeIfEnded(wanted)) || (await isGone(wanted))) return LOOK_INTERVAL_MS;
    reach('reconciler.before_start');
    return found === 'absent' ? await startFirst(wanted) : await startAgain(wanted, found, watch);
  };
}
