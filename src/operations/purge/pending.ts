/** Finishes purges that somebody has asked for: those whose process died half-way, and what Temporal could not be told. */
import { reach } from '../../model/crash-point.ts';
import type { Log } from '../../model/log.ts';
import { dataPrefix, PURGING_PREFIX, type RunName, readRunName } from '../../storage/keys.ts';
import { mapBounded } from '../deadline.ts';
import type { OperationsStorage } from '../deps.ts';
import type { TemporalLink } from '../running/temporal-link.ts';
import type { Removal } from './removal.ts';
import type { WorkflowRuns } from './workflow-runs.ts';

export interface PendingDeps {
  readonly storage: Pick<OperationsStorage, 'store' | 'records'>;
  readonly removal: Removal;
  readonly workflowRuns: WorkflowRuns;
  readonly link: TemporalLink;
  readonly log: Log;
}

/** The request that wrote the marker is still at work. */
const FRESH_MS = 2_000;
/** A purge that has no seal after this long was never accepted. */
const UNSEALED_MS = 60_000;
/** Until then visibility may not show what is left. */
const SETTLED_MS = 10_000;
const BATCH_MAX = 256;
const CONCURRENCY = 4;

interface Marker {
  readonly key: string;
  readonly ageMs: number;
}

export function createPending({ storage, removal, workflowRuns, link, log }: PendingDeps) {
  const { store, records } = storage;

  /** True where the marker is of no more use. */
  async function finish(name: RunName, ageMs: number): Promise<boolean> {
    const { account, id, uid, run } = name;
    const standing = await records.readStanding(account, id);
    if (standing?.record?.uid === uid) {
      const seal = await records.readSeal(account, id, run + 1);
      if (seal === null) return ageMs > UNSEALED_MS;
      await records.putTombstone(seal);
      return await removed(name, ageMs);
    }
    if (standing?.tombstone?.uid === uid) return await removed(name, ageMs);
    await store.deletePrefix(dataPrefix(uid));
    return true;
  }

  async function removed({ account, id, uid }: RunName, ageMs: number): Promise<boolean> {
    const tombstone = (await records.readStanding(account, id))?.tombstone;
    if (tombstone?.uid !== uid) return true;
    reach('sweep.before_delete');
    await removal.remove(tombstone);
    if (link.isDown()) return false;
    const found = await workflowRuns.delete(account, id);
    reach('purge.workflow_deleted');
    return found === 0 && ageMs > SETTLED_MS;
  }

  async function look({ key, ageMs }: Marker): Promise<void> {
    const name = readRunName(key);
    try {
      if (name === null || (await finish(name, ageMs))) await store.delete(key);
    } catch (cause) {
      log('info', 'a purge is finished later', { account: name?.account, operationId: name?.id, cause });
    }
  }

  /** As many as one pass takes; the rest stay for the next. */
  return async (signal: AbortSignal): Promise<void> => {
    const markers: Marker[] = [];
    for await (const { key, modifiedAtMs } of store.list(PURGING_PREFIX, { signal })) {
      const ageMs = Date.now() - modifiedAtMs;
      if (ageMs >= FRESH_MS) markers.push({ key, ageMs });
      if (markers.length === BATCH_MAX) break;
    }
    await mapBounded(markers, CONCURRENCY, async (marker) => {
      if (!signal.aborted) await look(marker);
    });
  };
}
