/** Says where an operation stands, always: live from its workflow, else from the last that was written or seen. */
import { type Client, WorkflowClient } from '@temporalio/client';
import { TrancheError } from '../model/errors.ts';
import type { OperationRecord, Progress } from '../model/operation.ts';
import { PROGRESS_QUERY } from '../model/workflow-contract.ts';
import type { Records } from '../storage/records.ts';
import { unavailable, within } from './deadline.ts';
import { createLru } from './lru.ts';
import type { Nudges } from './nudges.ts';
import { mayNameOperation, workflowIdOf } from './operation-id.ts';
import type { OperationView } from './operations.ts';
import { faultOf, type TemporalLink } from './temporal-link.ts';
import { type KnownRecord, knownRecord, queuedProgress, toView } from './view.ts';

const KNOWN_MAX = 5_000;
/** For one blob on the path of a status: the rest of the deadline is the query's. */
const BLOB_DEADLINE_MS = 400;
/** After a query that came to nothing readers get the stored status at once; the next query runs behind their backs. */
const QUIET_MIN_MS = 1_000;
const QUIET_MAX_MS = 5_000;
const BUSY_RETRY_MS = 100;
/** Left for the query where the store took most of the deadline. */
const QUERY_MIN_MS = 50;
/** For the record: without it nothing can be said. */
const RECORD_DEADLINE_MS = 1_000;

export interface Status {
  /** Throws `not_found`; `unavailable` only where the store is down and this process knows nothing of the operation. */
  get(account: string, id: string): Promise<OperationView>;
  /** Asks the workflow again, whatever was asked before: it has just been told something. */
  fresh(account: string, id: string): Promise<OperationView>;
  /** Without the workflow. */
  stored(account: string, id: string): Promise<OperationView>;
  remember(record: OperationRecord): void;
}

export interface StatusDeps {
  readonly records: Records;
  readonly client: Client;
  readonly link: TemporalLink;
  readonly nudges: Nudges;
  readonly settings: { readonly statusCacheMs: number; readonly statusDeadlineMs: number };
}

/** What this process has seen of one operation. */
interface Known {
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

export function createStatus({ records, client, link, nudges, settings }: StatusDeps): Status {
  const memory = createLru<Known>(KNOWN_MAX);
  // Closed workflows are not replayed for a query: the summary says how they ended.
  const { connection, options } = client;
  const workflows = new WorkflowClient({
    connection,
    namespace: options.namespace,
    dataConverter: options.loadedDataConverter,
    queryRejectCondition: 'NOT_OPEN',
  });

  function remember(record: OperationRecord): Known {
    const name = workflowIdOf(record.account, record.id);
    const standing = memory.get(name);
    if (standing !== undefined && standing.record.uid === record.uid) return standing;
    const known = unseen(record);
    memory.set(name, known);
    return known;
  }

  async function find(account: string, id: string): Promise<Known> {
    const notFound = () => new TrancheError('not_found', 'there is no such operation');
    if (!mayNameOperation(account, id)) throw notFound();
    const known = memory.get(workflowIdOf(account, id));
    if (known !== undefined) return known;
    let record: OperationRecord | null;
    try {
      record = await within(RECORD_DEADLINE_MS, 'the record', records.readRecord(account, id));
    } catch (cause) {
      throw unavailable('the operation cannot be read now; ask again', cause);
    }
    if (record === null) throw notFound();
    return remember(record);
  }

  /** A store that does not answer leaves what is known as it is. */
  async function readSummary(known: Known): Promise<boolean> {
    if (known.ended) return true;
    const { account, id } = known.record;
    const reading = records.readSummary(account, id);
    const summary = await within(BLOB_DEADLINE_MS, 'the summary', reading).catch(() => null);
    if (summary === null) return false;
    known.shown = { ...summary, revision: Math.max(summary.revision, known.shown?.revision ?? 0) };
    known.ended = true;
    return true;
  }

  async function readCheckpoint(known: Known): Promise<void> {
    const { account, id } = known.record;
    const reading = records.readCheckpoint(account, id);
    const checkpoint = await within(BLOB_DEADLINE_MS, 'the checkpoint', reading).catch(() => null);
    if (checkpoint !== null) show(known, checkpoint);
  }

  async function recall(known: Known): Promise<OperationView> {
    if (!known.ended && Date.now() - known.readAt >= settings.statusCacheMs) {
      known.readAt = Date.now();
      if (!(await readSummary(known))) await readCheckpoint(known);
    }
    return viewOf(known, false);
  }

  function query(known: Known, deadlineAt: number): Promise<Progress> {
    const { account, id } = known.record;
    const handle = workflows.getHandle(workflowIdOf(account, id));
    return link.call(Math.max(QUERY_MIN_MS, deadlineAt - Date.now()), () => handle.query<Progress>(PROGRESS_QUERY));
  }

  async function queryTwice(known: Known, deadlineAt: number): Promise<Progress> {
    try {
      return await query(known, deadlineAt);
    } catch (error) {
      if (faultOf(error) !== 'busy' || deadlineAt - Date.now() < 2 * BUSY_RETRY_MS) throw error;
      await new Promise((wake) => setTimeout(wake, BUSY_RETRY_MS));
      return await query(known, deadlineAt);
    }
  }

  /** True where what is shown now is the truth of this moment. Never throws. */
  async function ask(known: Known): Promise<boolean> {
    const deadlineAt = Date.now() + settings.statusDeadlineMs;
    if (await readSummary(known)) return true;
    try {
      const progress = await queryTwice(known, deadlineAt);
      if (progress.state === 'ended' && (await readSummary(known))) return true;
      known.silences = 0;
      known.quietUntil = 0;
      if (!show(known, { ...progress, asOf: new Date().toISOString() })) return false;
      known.liveAt = Date.now();
      return true;
    } catch (error) {
      return await afterSilence(known, error);
    }
  }

  async function afterSilence(known: Known, error: unknown): Promise<boolean> {
    // It may have ended since; if not, nobody works on it and somebody must.
    if (faultOf(error) === 'not_found') {
      if (await readSummary(known)) return true;
      nudges.add(known.record.uid);
    }
    known.quietUntil = Date.now() + Math.min(QUIET_MAX_MS, QUIET_MIN_MS * 2 ** known.silences++);
    await readCheckpoint(known);
    return false;
  }

  function askOnce(known: Known): Promise<boolean> {
    known.asking ??= begin(known);
    return known.asking;
  }

  function begin(known: Known): Promise<boolean> {
    const asking = ask(known).finally(() => {
      if (known.asking === asking) known.asking = null;
    });
    return asking;
  }

  return {
    async get(account, id) {
      const known = await find(account, id);
      if (known.ended || Date.now() - known.liveAt < settings.statusCacheMs) return viewOf(known, true);
      if (known.quietUntil === 0 && !link.isDown()) return viewOf(known, await askOnce(known));
      if (Date.now() >= known.quietUntil && !link.isDown()) void askOnce(known);
      return await recall(known);
    },
    async fresh(account, id) {
      const known = await find(account, id);
      if (known.ended) return viewOf(known, true);
      if (known.quietUntil > Date.now()) return await recall(known);
      known.asking = begin(known);
      return viewOf(known, await known.asking);
    },
    async stored(account, id) {
      return await recall(await find(account, id));
    },
    remember(record) {
      remember(record);
    },
  };
}

function unseen(record: OperationRecord): Known {
  const nothing = { shown: null, ended: false, liveAt: 0, readAt: 0, asking: null, silences: 0, quietUntil: 0 };
  return { record: knownRecord(record), ...nothing };
}

/** False where something newer was shown before. */
function show(known: Known, progress: Progress): boolean {
  const { shown } = known;
  if (known.ended) return false;
  const newer =
    shown === null ||
    progress.run > shown.run ||
    (progress.run === shown.run && progress.revision >= shown.revision && progress.asOf >= shown.asOf) ||
    (progress.run === shown.run && progress.revision > shown.revision);
  if (newer) known.shown = progress;
  return newer;
}

/** An end is for ever, so a summary is as live as an answer. */
function viewOf(known: Known, live: boolean): OperationView {
  return toView(known.record, known.shown ?? queuedProgress(known.record), live || known.ended);
}
