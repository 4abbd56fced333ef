/** Looks at one run whose retention counts from an hour that is due, and does what its operation needs: expire, finish, forget. */
import { reach } from '../../model/crash-point.ts';
import type { Log } from '../../model/log.ts';
import type { OperationRecord } from '../../model/operation.ts';
import type { Tombstone } from '../../model/tombstone.ts';
import { dataPrefix, type RunName } from '../../storage/keys.ts';
import type { OperationsStorage } from '../deps.ts';
import { entomb } from './entomb.ts';
import type { Removal } from './removal.ts';

export interface VisitDeps {
  readonly storage: Pick<OperationsStorage, 'store' | 'records'>;
  readonly removal: Removal;
  readonly retentionMs: number;
  readonly log: Log;
}

/** What stands under the id after it: nothing of this operation, its record, its tombstone. */
export type Visited = 'nothing' | 'record' | 'tombstone';

export type Visit = (name: Omit<RunName, 'run'>, nowMs: number) => Promise<Visited>;

/** Any number of processes may visit the same run at once, and as often as they like. Rejects where the store does not answer. */
export function createVisit({ storage, removal, retentionMs, log }: VisitDeps): Visit {
  const { store, records } = storage;
  const isOver = (since: string, retentions: number, nowMs: number) =>
    Date.parse(since) + retentions * retentionMs <= nowMs;

  async function expire(record: OperationRecord, nowMs: number): Promise<Visited> {
    const buried = await entomb(records, record, {
      cause: 'expired',
      by: null,
      nowMs,
      mayGo: ({ endedAt, asOf }) => isOver(endedAt ?? asOf, 1, nowMs),
      // The marker that led here stays until the tombstone is over.
      prepare: async () => {},
    });
    if (buried.kind === 'kept') return 'record';
    if (buried.kind === 'absent') return 'nothing';
    reach('sweep.before_delete');
    await removal.remove(buried.tombstone);
    return 'tombstone';
  }

  async function careFor(tombstone: Tombstone, nowMs: number): Promise<Visited> {
    const { gone, endedAt, purgedAt } = tombstone;
    if (gone === 'expired' ? isOver(endedAt, 2, nowMs) : isOver(purgedAt, 1, nowMs)) {
      reach('sweep.before_delete');
      await removal.forget(tombstone);
      return 'nothing';
    }
    const { account, id, run } = tombstone;
    // Its seal is the last that goes.
    if ((await records.readSeal(account, id, run + 1)) !== null) await removal.remove(tombstone);
    return 'tombstone';
  }

  async function visit({ account, id, uid }: Parameters<Visit>[0], nowMs: number): Promise<Visited> {
    const standing = await records.readStanding(account, id);
    if (standing?.record?.uid === uid) return await expire(standing.record, nowMs);
    if (standing?.tombstone?.uid === uid) return await careFor(standing.tombstone, nowMs);
    // Whatever came after the tombstone went.
    await store.deletePrefix(dataPrefix(uid));
    return 'nothing';
  }

  return async (name, nowMs) => {
    try {
      return await visit(name, nowMs);
    } catch (error) {
      if (!isDamage(error)) throw error;
      log('warn', 'a blob of an operation is damaged: what is left of it stays', { ...name, error });
      return 'record';
    }
  };
}

/** One that cannot be read must not keep all others from being swept. */
export function isDamage(error: unknown): boolean {
  return error instanceof SyntaxError;
}
