/** A job as its surface shows it: an operation of one item, and what became of that item. */
import { TrancheError } from '../../model/errors.ts';
import type { OperationState } from '../../model/operation.ts';
import type { ItemError, ItemOutcome } from '../../model/outcome.ts';
import { memberOf, parseExact } from '../../targets/exact-json.ts';
import { orUnavailable, within } from '../deadline.ts';
import type { OperationsStorage } from '../deps.ts';
import { createLru } from '../lru.ts';
import type { JobView, OperationView } from '../operations.ts';
import { refuseGone } from '../purge/gone.ts';
import type { Status } from '../status/status.ts';
import { workflowIdOf } from '../submit/operation-id.ts';

export interface JobsDeps {
  readonly storage: OperationsStorage;
  readonly status: Status;
  readonly storeDeadlineMs: number;
}

const KNOWN_MAX = 10_000;
const UNREADABLE = 'the job cannot be read now; ask again';

export function createJobs({ storage, status, storeDeadlineMs }: JobsDeps) {
  /** The `uid`s of what came in by this surface; '' = it came by another one. Records never change. */
  const uids = createLru<string>(KNOWN_MAX);

  async function read<T>(what: string, work: Promise<T>): Promise<T> {
    return await orUnavailable(UNREADABLE, within(storeDeadlineMs, what, work));
  }

  async function uidOf(account: string, id: string): Promise<string> {
    const name = workflowIdOf(account, id);
    const known = uids.get(name);
    if (known !== undefined) return known;
    const record = await read('the record', storage.records.readRecord(account, id));
    if (record === null) throw notFound();
    const uid = record.surface === 'jobs' ? record.uid : '';
    uids.set(name, uid);
    return uid;
  }

  return async (account: string, id: string): Promise<JobView> => {
    // The state first: a job that had ended by then has its line.
    const operation = await status.get(account, id);
    const uid = await uidOf(account, id);
    if (uid === '') throw notFound();
    if (operation.state !== 'ended')
      return { operation, status: STANDING[operation.state], result: undefined, error: null };
    const at = { uid, run: operation.run, ordinal: 0 };
    const { lines } = await read('the result', storage.segments.readLines(at, 1));
    if (lines.length === 0) await orUnavailable(UNREADABLE, refuseGone(storage.records, { account, id }));
    return ended(operation, lines.toString('utf8').trimEnd());
  };
}

const STANDING: Readonly<Record<Exclude<OperationState, 'ended'>, JobView['status']>> = {
  scheduled: 'pending',
  queued: 'pending',
  running: 'processing',
  pausing: 'processing',
  paused: 'processing',
  cancelling: 'processing',
};

/** The line is one that a slice rendered; where there is none, nothing was ever begun. */
function ended(operation: OperationView, line: string): JobView {
  const exact = line === '' ? { outcome: 'cancelled' } : parseExact(line).exact;
  const outcome = memberOf(exact, 'outcome') as ItemOutcome;
  if (outcome === 'succeeded' || outcome === 'skipped') {
    return { operation, status: 'complete', result: memberOf(exact, 'result') ?? {}, error: null };
  }
  const error = memberOf(exact, 'error') as ItemError | undefined;
  return { operation, status: 'failed', result: undefined, error: error ?? CANCELLED };
}

const CANCELLED: ItemError = {
  code: 'cancelled',
  message: 'the job was cancelled before it was begun',
  retryable: true,
};

function notFound(): TrancheError {
  return new TrancheError('not_found', 'there is no such job');
}
