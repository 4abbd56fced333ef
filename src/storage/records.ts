/** The small blobs of an operation: record, checkpoint, summary, and the marker that it is still open. */
import type { OperationRecord, Progress, RunRecord } from '../model/operation.ts';
import type { BlobStore } from './blob-store.ts';
import { keylessKey, OPEN_PREFIX, openKey, openName, recordKeys } from './keys.ts';

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

export type Records = ReturnType<typeof createRecords>;

export function createRecords(store: BlobStore) {
  return {
    /** Exclusive: false = an operation of this id exists already. */
    createRecord: (record: OperationRecord) => store.create(recordKeys(record.account, record.id).record, json(record)),
    readRecord: (account: string, id: string) => read<OperationRecord>(store, recordKeys(account, id).record),

    /** Exclusive: false = this run has ended already, as the standing summary says. */
    createSummary: (account: string, id: string, summary: Progress) =>
      store.create(recordKeys(account, id).summary(summary.run), json(summary)),
    readSummary: (account: string, id: string, run: number) =>
      read<Progress>(store, recordKeys(account, id).summary(run)),

    /** Exclusive: false = this run has been asked for already, as the standing record says. */
    createRun: (account: string, id: string, record: RunRecord) =>
      store.create(recordKeys(account, id).run(record.run), json(record)),
    readRun: (account: string, id: string, run: number) => read<RunRecord>(store, recordKeys(account, id).run(run)),

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

function json(value: unknown): Buffer {
  return Buffer.from(JSON.stringify(value), 'utf8');
}

/** Only this module writes these keys, always whole, so what is read has the written shape. */
async function read<T>(store: BlobStore, key: string): Promise<T | null> {
  const bytes = await store.get(key);
  return bytes === null ? null : (JSON.parse(bytes.toString('utf8')) as T);
}
