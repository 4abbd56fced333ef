/** What this process has seen of an operation, and what the store says of it: a status without the workflow. */
import { TrancheError } from '../../model/errors.ts';
import { decidedItems, type OperationRecord, type Progress, type RunRecord } from '../../model/operation.ts';
import type { Records, Standing } from '../../storage/records.ts';
import { unavailable, within } from '../deadline.ts';
import { createLru } from '../lru.ts';
import type { OperationView } from '../operations.ts';
import { goneError } from '../purge/gone.ts';
import { firstRun, type RunStart, runStart } from '../results/runs.ts';
import type { OperationsSettings } from '../settings.ts';
import { mayNameOperation, workflowIdOf } from '../submit/operation-id.ts';
import { expiryOf, type KnownRecord, knownRecord, queuedProgress, toView } from './view.ts';

const KNOWN_MAX = 5_000;
/** For one blob on the path of a status: the rest of the deadline is the query's. */
const BLOB_DEADLINE_MS = 400;
/** For the record: without it nothing can be said. */
const RECORD_DEADLINE_MS = 1_000;

export interface Known {
  readonly record: KnownRecord;
  /** The latest run known of. */
  run: RunStart;
  /** The newest progress seen: nothing older is shown after it. */
  shown: Progress | null;
  /** Of that run. */
  ended: boolean;
  /** When the last search for a newer run, and for the record itself, that has come to its end began. */
  runSoughtAt: number;
  /** The store did not answer then: there may be one, or it may be purged. */
  mayGoOn: boolean;
  /** A search on its way: whoever wants one meanwhile waits for it. */
  seeking: Promise<void> | null;
  liveAt: number;
  readAt: number;
  asking: Promise<boolean> | null;
  /** What the store says of it is on its way. */
  recalling: Promise<void> | null;
  silences: number;
  quietUntil: number;
}

type ViewSettings = Pick<OperationsSettings, 'retentionMs' | 'statusCacheMs'>;

export interface KnownOperations {
  /** Throws `not_found`, `gone`, and `unavailable` where the store is down and nothing is remembered. */
  find(account: string, id: string): Promise<Known>;
  remember(record: OperationRecord): Known;
  /** True where its latest run has ended. A store that does not answer leaves what is known as it is. */
  readSummary(known: Known): Promise<boolean>;
  /** An ended operation may have been retried elsewhere: looked for at most every `everyMs`. */
  seekRun(known: Known, everyMs: number): Promise<void>;
  /** The same now: what was accepted before the call is not missed. */
  seekRunNow(known: Known): Promise<void>;
  readCheckpoint(known: Known): Promise<void>;
  /** Throws `gone` or `not_found` where its record is not there any more. False: the store did not answer. */
  seekRecord(known: Known): Promise<boolean>;
  forget(account: string, id: string): void;
}

export function createKnownOperations(records: Records): KnownOperations {
  const memory = createLru<Known>(KNOWN_MAX);

  function remember(record: OperationRecord): Known {
    const name = workflowIdOf(record.account, record.id);
    const standing = memory.get(name);
    if (standing !== undefined && standing.record.uid === record.uid) return standing;
    const known = unseen(record);
    memory.set(name, known);
    return known;
  }

  /** True where a retry goes on behind the run that is known. */
  async function enterNext(known: Known): Promise<boolean> {
    const { account, id } = known.record;
    const reading = records.readRun(account, id, known.run.run + 1);
    const next = await within(BLOB_DEADLINE_MS, 'the next run', reading).catch(() => undefined);
    known.mayGoOn = next === undefined;
    if (next) enterRun(known, next);
    return next !== undefined && next !== null;
  }

  async function readSummary(known: Known): Promise<boolean> {
    while (!known.ended) {
      const { account, id } = known.record;
      const { run } = known.run;
      const reading = records.readSummary(account, id, run);
      const summary = await within(BLOB_DEADLINE_MS, 'the summary', reading).catch(() => null);
      if (summary === null) return false;
      const soughtAt = Date.now();
      if ((await enterNext(known)) || known.run.run !== run) continue;
      known.runSoughtAt = soughtAt;
      known.shown = { ...summary, revision: Math.max(summary.revision, revisionShown(known, run)) };
      known.ended = true;
    }
    return true;
  }

  async function seekRecord(known: Known): Promise<boolean> {
    const { account, id, uid } = known.record;
    const reading = records.readStanding(account, id);
    const standing = await within(BLOB_DEADLINE_MS, 'the record', reading).catch(() => undefined);
    if (standing === undefined) return false;
    if (standing?.record?.uid === uid) return true;
    memory.delete(workflowIdOf(account, id));
    const { uid: uidNow } = recordOf(standing);
    throw unavailable('the operation cannot be read now; ask again', new Error(`${uidNow} stands in place of ${uid}`));
  }

  /** The record comes last: where it stands, the runs that were not there before it are not purged ones. */
  async function seek(known: Known): Promise<void> {
    const soughtAt = Date.now();
    const goesOn = await enterNext(known);
    if (!(await seekRecord(known))) known.mayGoOn = true;
    known.runSoughtAt = soughtAt;
    if (goesOn) await readSummary(known);
  }

  function joinSeeking(known: Known): Promise<void> {
    known.seeking ??= seek(known).finally(() => {
      known.seeking = null;
    });
    return known.seeking;
  }

  return {
    remember,
    async find(account, id) {
      const known = mayNameOperation(account, id) ? memory.get(workflowIdOf(account, id)) : undefined;
      if (known !== undefined) return known;
      return remember(recordOf(mayNameOperation(account, id) ? await readStanding(records, account, id) : null));
    },
    readSummary,
    seekRecord,
    forget: (account, id) => memory.delete(workflowIdOf(account, id)),
    async seekRun(known, everyMs) {
      if (!known.ended || Date.now() - known.runSoughtAt < everyMs) return;
      await joinSeeking(known);
    },
    async seekRunNow(known) {
      // One that is on its way may have looked before.
      if (known.seeking !== null) await known.seeking;
      if (known.ended) await joinSeeking(known);
    },
    async readCheckpoint(known) {
      const { account, id } = known.record;
      const reading = records.readCheckpoint(account, id);
      const checkpoint = await within(BLOB_DEADLINE_MS, 'the checkpoint', reading).catch(() => null);
      if (checkpoint !== null) show(known, checkpoint);
    },
  };
}

function recordOf(standing: Standing | null): OperationRecord {
  if (standing === null) throw new TrancheError('not_found', 'there is no such operation');
  if (standing.tombstone !== null) throw goneError(standing.tombstone);
  return standing.record;
}

async function readStanding(records: Records, account: string, id: string): Promise<Standing | null> {
  try {
    return await within(RECORD_DEADLINE_MS, 'the record', records.readStanding(account, id));
  } catch (cause) {
    throw unavailable('the operation cannot be read now; ask again', cause);
  }
}

function unseen(record: OperationRecord): Known {
  const nothing = {
    shown: null,
    ended: false,
    runSoughtAt: 0,
    mayGoOn: false,
    seeking: null,
    liveAt: 0,
    readAt: 0,
    asking: null,
    recalling: null,
  };
  return { record: knownRecord(record), run: firstRun(record), ...nothing, silences: 0, quietUntil: 0 };
}

/** A retry begins anew: what was shown of the runs before it is older than nothing. */
export function enterRun(known: Known, record: RunRecord): void {
  if (record.run <= known.run.run) return;
  known.run = runStart(record);
  known.ended = false;
  known.mayGoOn = false;
  if (known.shown !== null && known.shown.run < record.run) known.shown = null;
  known.liveAt = 0;
  known.readAt = 0;
  known.silences = 0;
  known.quietUntil = 0;
}

function revisionShown({ shown }: Known, run: number): number {
  return shown?.run === run ? shown.revision : 0;
}

/** False where something newer was shown before. */
export function show(known: Known, progress: Progress): boolean {
  const { run } = known.run;
  if (progress.run < run || (known.ended && progress.run === run)) return false;
  if (known.shown !== null && !isNewer(progress, known.shown)) return false;
  known.shown = progress;
  if (progress.run > run) known.ended = false;
  return true;
}

/**
 * What was decided stays so, whatever the revision says: a checkpoint is written before the server keeps the task that
 * decided it, and a task that was lost may be done again in another order, under the same revisions.
 */
function isNewer(progress: Progress, shown: Progress): boolean {
  if (progress.run !== shown.run) return progress.run > shown.run;
  if (decidedItems(progress.tally) < decidedItems(shown.tally)) return false;
  if (progress.revision !== shown.revision) return progress.revision > shown.revision;
  return progress.asOf >= shown.asOf;
}

/** A run's end is for ever, so a summary is as live as an answer: where no later run can have begun unseen. */
export function viewOf(known: Known, live: boolean, { retentionMs, statusCacheMs }: ViewSettings): OperationView {
  const progress = known.shown ?? queuedProgress(known.record, known.run);
  // The looking may itself have taken the deadlines of two blobs.
  const isSought = !known.mayGoOn && Date.now() - known.runSoughtAt <= statusCacheMs + 2 * BLOB_DEADLINE_MS;
  const view = toView(known.record, progress, known.ended ? isSought : live);
  return { ...view, expiresAt: expiryOf(progress.endedAt ?? known.run.createdAt, retentionMs) };
}
