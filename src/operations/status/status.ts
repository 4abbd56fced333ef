/** Says where an operation stands, always: live from its workflow, else from the last that was written or seen. */
import type { Client } from '@temporalio/client';
import type { OperationRecord, RunRecord } from '../../model/operation.ts';
import { openName } from '../../storage/keys.ts';
import type { Records } from '../../storage/records.ts';
import type { OperationView } from '../operations.ts';
import type { Nudges } from '../running/nudges.ts';
import { faultOf, type TemporalLink } from '../running/temporal-link.ts';
import type { OperationsSettings } from '../settings.ts';
import { createKnownOperations, enterRun, type Known, type KnownOperations, show, viewOf } from './known.ts';
import { createProgressQuery, type ProgressQuery } from './progress-query.ts';

/** After a query that came to nothing readers get the stored status at once; the next query runs behind their backs. */
const QUIET_MIN_MS = 1_000;
const QUIET_MAX_MS = 5_000;
const YOUNG_CACHE_MS = 50;
/** What has ended is listed from memory for so long, not as live, also where it was purged or retried elsewhere. */
const LISTED_SEEK_MS = 10_000;

export interface Status {
  /** Throws `not_found` and `gone`; `unavailable` only where the store is down and this process knows nothing of the operation. */
  get(account: string, id: string): Promise<OperationView>;
  /** The same, and where it has ended no retry and no purge is missed that was accepted before, wherever that was. */
  latest(account: string, id: string): Promise<OperationView>;
  /** Asks the workflow again, whatever was asked before: it has just been told something. */
  fresh(account: string, id: string): Promise<OperationView>;
  /** Without the workflow. `run`: the latest that somebody else knows of; where that is known here, no newer one is sought. */
  stored(account: string, id: string, run?: number): Promise<OperationView>;
  remember(record: OperationRecord): void;
  /** It has just been purged. */
  forget(account: string, id: string): void;
  /** A retry has just been accepted. */
  enter(record: OperationRecord, run: RunRecord): void;
}

export interface StatusDeps {
  readonly records: Records;
  readonly client: Client;
  readonly link: TemporalLink;
  readonly nudges: Nudges;
  readonly settings: Pick<OperationsSettings, 'statusCacheMs' | 'statusDeadlineMs' | 'retentionMs'>;
}

export function createStatus({ records, client, link, nudges, settings }: StatusDeps): Status {
  const { statusCacheMs, statusDeadlineMs } = settings;
  const operations = createKnownOperations(records);
  const view = (known: Known, live: boolean) => viewOf(known, live, settings);
  const ask = createAsk({ operations, query: createProgressQuery(client, link), nudges, statusDeadlineMs });

  /** A young operation changes fast and is looked at by few: its status is shared for a tenth of its age at most. */
  function cacheMs({ run }: Known): number {
    return Math.min(statusCacheMs, Math.max(YOUNG_CACHE_MS, (Date.now() - Date.parse(run.createdAt)) / 10));
  }

  function begin(known: Known): Promise<boolean> {
    const asking = ask(known).finally(() => {
      if (known.asking === asking) known.asking = null;
    });
    known.asking = asking;
    return asking;
  }

  async function find(account: string, id: string, run?: number): Promise<Known> {
    const known = await operations.find(account, id);
    if (run === undefined) await operations.seekRun(known, statusCacheMs);
    else await operations.seekRun(known, run > known.run.run ? 0 : LISTED_SEEK_MS);
    return known;
  }

  async function recall(known: Known): Promise<OperationView> {
    if (!known.ended && known.recalling === null && Date.now() - known.readAt >= statusCacheMs) {
      known.readAt = Date.now();
      known.recalling = readStored(known).finally(() => {
        known.recalling = null;
      });
    }
    // Who comes meanwhile waits with the first: before the first answer nothing is remembered but the beginning.
    await known.recalling;
    return view(known, false);
  }

  async function readStored(known: Known): Promise<void> {
    if (await operations.readSummary(known)) return;
    await Promise.all([operations.readCheckpoint(known), operations.seekRecord(known)]);
  }

  async function getOf(known: Known): Promise<OperationView> {
    if (known.ended || Date.now() - known.liveAt < cacheMs(known)) return view(known, true);
    const down = link.isDown();
    if (known.quietUntil === 0 && !down) return view(known, await (known.asking ?? begin(known)));
    if (Date.now() >= known.quietUntil && !down && known.asking === null) begin(known).catch(() => {});
    return await recall(known);
  }

  return {
    get: async (account, id) => await getOf(await find(account, id)),
    async latest(account, id) {
      const known = await operations.find(account, id);
      await operations.seekRunNow(known);
      return await getOf(known);
    },
    async fresh(account, id) {
      const known = await find(account, id);
      if (known.ended) return view(known, true);
      // What was seen before it was told is not the truth of this moment any more, also where nobody answers now.
      known.liveAt = 0;
      if (known.quietUntil > Date.now()) return await recall(known);
      return view(known, await begin(known));
    },
    async stored(account, id, run) {
      return await recall(await find(account, id, run));
    },
    remember: operations.remember,
    forget: operations.forget,
    enter: (record, run) => enterRun(operations.remember(record), run),
  };
}

interface AskDeps {
  readonly operations: KnownOperations;
  readonly query: ProgressQuery;
  readonly nudges: Nudges;
  readonly statusDeadlineMs: number;
}

/** The answer is true where what is shown now is the truth of this moment. Throws `gone` and `not_found` only. */
function createAsk({ operations, query, nudges, statusDeadlineMs }: AskDeps): (known: Known) => Promise<boolean> {
  async function afterSilence(known: Known, error: unknown): Promise<boolean> {
    // It may have ended since; if not, nobody works on it and somebody must.
    if (faultOf(error) === 'not_found') {
      if (await operations.readSummary(known)) return true;
      await operations.seekRecord(known);
      nudges.add(openName(known.record.uid, known.run.run));
    }
    known.quietUntil = Date.now() + Math.min(QUIET_MAX_MS, QUIET_MIN_MS * 2 ** known.silences++);
    await operations.readCheckpoint(known);
    return false;
  }

  return async (known) => {
    const deadlineAt = Date.now() + statusDeadlineMs;
    if (await operations.readSummary(known)) return true;
    try {
      const progress = await query(known.record.account, known.record.id, deadlineAt);
      const passed = progress.state === 'ended' || progress.run > known.run.run;
      if (passed && (await operations.readSummary(known))) return true;
      known.silences = 0;
      known.quietUntil = 0;
      if (!show(known, { ...progress, asOf: new Date().toISOString() })) return false;
      known.liveAt = Date.now();
      return true;
    } catch (error) {
      return await afterSilence(known, error);
    }
  };
}
