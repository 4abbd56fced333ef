/** The small blobs of an operation: record (or tombstone), checkpoint, summary, and the markers that it is open or has ended. */
import type { OperationRecord, Progress, RunRecord } from '../model/operation.ts';
import type { Tombstone } from '../model/tombstone.ts';
import type { BlobStore } from './blob-store.ts';
import {
  endedKey,
  keylessKey,
  OPEN_PREFIX,
  openKey,
  openName,
  purgingKey,
  type RunName,
  recordKeys,
  SWEEP_KEYS,
} from './keys.ts';

/**
 * Written before the record and deleted after the summary, so every ingest and operation that somebody must still
 * care for is under one prefix. `operationId` is null while bytes arrive; `leaseAt` (epoch ms) is renewed meanwhile.
 */
export interface OpenMarker {
  readonly version: 1;
  readonly uid: string;
  readonly account: string;
  readonly operationId: string | null;
  readonly leaseAt: number;
  /** Of a retry: the run that it is for. Absent = 1. */
  readonly run?: number;
}

/** The operation that an identical body without a key belongs to; `at` in epoch ms. */
export interface KeylessClaim {
  readonly version: 1;
  readonly operationId: string;
  readonly at: number;
}

/** What stands under an operation's id. */
export type Standing =
  | { readonly record: OperationRecord; readonly tombstone: null }
  | { readonly record: null; readonly tombstone: Tombstone };

/** In the place of the run that would come next: nobody can begin one any more, because the operation is to go. */
interface Seal {
  readonly version: 1;
  readonly seal: Tombstone;
}

export type Records = ReturnType<typeof createRecords>;

export function createRecords(store: BlobStore) {
  return {
    /** Exclusive: false = an operation of this id exists already, or its tombstone does. */
    createRecord: (record: OperationRecord) => store.create(recordKeys(record.account, record.id).record, json(record)),
    /** null where there is none, or only a tombstone. */
    readRecord: async (account: string, id: string) => (await readStanding(store, account, id))?.record ?? null,
    readStanding: (account: string, id: string) => readStanding(store, account, id),
    /** From now on the record is not there any more. */
    putTombstone: (tombstone: Tombstone) =>
      store.put(recordKeys(tombstone.account, tombstone.id).record, json(tombstone)),
    /** Frees the id: nothing may be left under it. */
    deleteStanding: (account: string, id: string) => store.delete(recordKeys(account, id).record),

    /** Exclusive: false = this run has ended already, as the standing summary says. */
    createSummary: (account: string, id: string, summary: Progress) =>
      store.create(recordKeys(account, id).summary(summary.run), json(summary)),
    readSummary: (account: string, id: string, run: number) =>
      read<Progress>(store, recordKeys(account, id).summary(run)),

    /** Exclusive: false = this run has been asked for already, as the standing record says. */
    createRun: (account: string, id: string, record: RunRecord) =>
      store.create(recordKeys(account, id).run(record.run), json(record)),
    /** null where there is none, or a seal. */
    async readRun(account: string, id: string, run: number): Promise<RunRecord | null> {
      const found = await read<RunRecord | Seal>(store, recordKeys(account, id).run(run));
      return found === null || 'seal' in found ? null : found;
    },
    deleteRun: (account: string, id: string, run: number) => store.delete(recordKeys(account, id).run(run)),
    /** Exclusive, against retries and other purges: false = a run follows, or another seal stands. */
    createSeal(tombstone: Tombstone): Promise<boolean> {
      const seal: Seal = { version: 1, seal: tombstone };
      return store.create(recordKeys(tombstone.account, tombstone.id).run(tombstone.run + 1), json(seal));
    },
    /** `run`: the one that it keeps from beginning. */
    async readSeal(account: string, id: string, run: number): Promise<Tombstone | null> {
      const found = await read<RunRecord | Seal>(store, recordKeys(account, id).run(run));
      return found !== null && 'seal' in found ? found.seal : null;
    },
    /** All but the record, of runs up to `run`, and the seal behind the last. */
    async deleteRuns(account: string, id: string, run: number): Promise<void> {
      const keys = recordKeys(account, id);
      await store.delete(keys.checkpoint);
      for (let n = 1; n <= run; n++) await store.delete(keys.summary(n));
      for (let n = 2; n <= run + 1; n++) await store.delete(keys.run(n));
    },

    /** Whoever ends a run writes it before the open marker goes, so that its end is never forgotten. */
    markEnded: (name: RunName, atMs: number) => store.put(endedKey(name, atMs), EMPTY),
    markPurging: (name: RunName) => store.put(purgingKey(name), EMPTY),
    deletePurging: (name: RunName) => store.delete(purgingKey(name)),

    /** What sweeps remember: of `T`, whatever the sweep wrote. */
    readSweep: <T>(name: keyof typeof SWEEP_KEYS) => read<T>(store, SWEEP_KEYS[name]),
    putSweep: (name: keyof typeof SWEEP_KEYS, state: object) => store.put(SWEEP_KEYS[name], json(state)),

    putCheckpoint: (account: string, id: string, progress: Progress) =>
      store.put(recordKeys(account, id).checkpoint, json(progress)),
    readCheckpoint: (account: string, id: string) => read<Progress>(store, recordKeys(account, id).checkpoint),

    putOpen: (marker: OpenMarker) => store.put(openKey(openName(marker.uid, marker.run ?? 1)), json(marker)),
    /** By name, as `listOpen` gives them (`openName`). */
    readOpen: (name: string) => read<OpenMarker>(store, openKey(name)),
    deleteOpen: (uid: string, run = 1) => store.delete(openKey(openName(uid, run))),
    async *listOpen(signal?: AbortSignal): AsyncIterable<string> {
      for await (const entry of store.list(OPEN_PREFIX, signal === undefined ? {} : { signal })) {
        yield entry.key.slice(OPEN_PREFIX.length);
      }
    },

    createKeyless: (account: string, fingerprint: string, generation: number, claim: KeylessClaim) =>
      store.create(keylessKey(account, fingerprint, generation), json(claim)),
    readKeyless: (account: string, fingerprint: string, generation: number) =>
      read<KeylessClaim>(store, keylessKey(account, fingerprint, generation)),
  };
}

/** What a marker says, its key says. */
const EMPTY = Buffer.from('{}');

async function readStanding(store: BlobStore, account: string, id: string): Promise<Standing | null> {
  const found = await read<OperationRecord | Tombstone>(store, recordKeys(account, id).record);
  if (found === null) return null;
  return 'gone' in found ? { record: null, tombstone: found } : { record: found, tombstone: null };
}

function json(value: unknown): Buffer {
  return Buffer.from(JSON.stringify(value), 'utf8');
}

/** Only this module writes these keys, always whole, so what is read has the written shape. */
async function read<T>(store: BlobStore, key: string): Promise<T | null> {
  const bytes = await store.get(key);
  return bytes === null ? null : (JSON.parse(bytes.toString('utf8')) as T);
}
