/** What this process has seen of an operation, and what the store says of it: a status without the workflow. */
import { TrancheError } from '../model/errors.ts';
import type { OperationRecord, Progress } from '../model/operation.ts';
import type { Records } from '../storage/records.ts';
import { unavailable, within } from './deadline.ts';
import { createLru } from './lru.ts';
import { mayNameOperation, workflowIdOf } from './operation-id.ts';
import type { OperationView } from './operations.ts';
import { type KnownRecord, knownRecord, queuedProgress, toView } from './view.ts';

const KNOWN_MAX = 5_000;
/** For one blob on the path of a status: the rest of the deadline is the query's. */
const BLOB_DEADLINE_MS = 400;
/** For the record: without it nothing can be said. */
const RECORD_DEADLINE_MS = 1_000;

export interface Known {
  readonly record: KnownRecord;
  /** The newest progress seen: nothing older is shown after it. */
  shown: Progress | null;
  ended: boolean;
  liveAt: number;
  readAt: number;
  asking: Promise<boolean> | null;
  silences: number;
  quietUntil: number;
}

export interface KnownOperations {
  /** Throws `not_found`, and `unavailable` where the store is down and nothing is remembered. */
  find(account: string, id: string): Promise<Known>;
  remember(record: OperationRecord): Known;
  /** True where it has ended. A store that does not answer leaves what is known as it is. */
  readSummary(known: Known): Promise<boolean>;
  readCheckpoint(known: Known): Promise<void>;
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

  return {
    remember,
    async find(account, id) {
      const known = mayNameOperation(account, id) ? memory.get(workflowIdOf(account, id)) : undefined;
      if (known !== undefined) return known;
      const record = mayNameOperation(account, id) ? await readRecord(records, account, id) : null;
      if (record === null) throw new TrancheError('not_found', 'there is no such operation');
      return remember(record);
    },
    async readSummary(known) {
      if (known.ended) return true;
      const { account, id } = known.record;
      const reading = records.readSummary(account, id, 1);
      const summary = await within(BLOB_DEADLINE_MS, 'the summary', reading).catch(() => null);
      if (summary === null) return false;
      known.shown = { ...summary, revision: Math.max(summary.revision, known.shown?.revision ?? 0) };
      known.ended = true;
      return true;
    },
    async readCheckpoint(known) {
      const { account, id } = known.record;
      const reading = records.readCheckpoint(account, id);
      const checkpoint = await within(BLOB_DEADLINE_MS, 'the checkpoint', reading).catch(() => null);
      if (checkpoint !== null) show(known, checkpoint);
    },
  };
}

async function readRecord(records: Records, account: string, id: string): Promise<OperationRecord | null> {
  try {
    return await within(RECORD_DEADLINE_MS, 'the record', records.readRecord(account, id));
  } catch (cause) {
    throw unavailable('the operation cannot be read now; ask again', cause);
  }
}

function unseen(record: OperationRecord): Known {
  const nothing = { shown: null, ended: false, liveAt: 0, readAt: 0, asking: null, silences: 0, quietUntil: 0 };
  return { record: knownRecord(record), ...nothing };
}

/** False where something newer was shown before. */
export function show(known: Known, progress: Progress): boolean {
  if (known.ended || (known.shown !== null && !isNewer(progress, known.shown))) return false;
  known.shown = progress;
  return true;
}

function isNewer(progress: Progress, shown: Progress): boolean {
  if (progress.run !== shown.run) return progress.run > shown.run;
  if (progress.revision !== shown.revision) return progress.revision > shown.revision;
  return progress.asOf >= shown.asOf;
}

/** An end is for ever, so a summary is as live as an answer. */
export function viewOf(known: Known, live: boolean): OperationView {
  return toView(known.record, known.shown ?? queuedProgress(known.record), live || known.ended);
}
