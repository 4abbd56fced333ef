/** Where an upload's chunks stand until the operation is accepted: kept from the sweeper by a lease, deleted on refusal. */

import type { ChunkSink } from '../../ingest/ingest.ts';
import { reach } from '../../model/crash-point.ts';
import { INLINE_CHUNK_BYTES_MAX } from '../../model/limits.ts';
import type { BlobStore } from '../../storage/blob-store.ts';
import { chunkKey, chunkPrefix, dataPrefix } from '../../storage/keys.ts';
import { letGo } from '../../storage/let-go.ts';
import type { Records } from '../../storage/records.ts';
import { unavailable, within } from '../deadline.ts';

const RENEWALS_PER_LEASE = 4;
const RENEWAL_MAX_MS = 5 * 60_000;
/** A refusal is answered even where the store hangs; what is left then is the sweeper's. */
const DISCARD_MS = 2_000;

export interface StagingDeps {
  readonly store: BlobStore;
  readonly records: Records;
  readonly leaseMs: number;
  readonly storeDeadlineMs: number;
}

export interface Staging {
  readonly uid: string;
  readonly sink: ChunkSink;
  /** The only chunk, base64, where it is small enough to live in the record. */
  inlineChunk(): string | null;
  /** What the store did to a chunk, where that is why the ingest ended. */
  storeFault(): Error | null;
  /** Says whose the chunks will be; from then on the reconciler looks after them. */
  assign(operation: { readonly account: string; readonly id: string }): Promise<void>;
  /** No more renewals. */
  close(): void;
  /** Best effort. */
  discard(): Promise<void>;
}

export function createStaging(deps: StagingDeps, account: string, uid: string): Staging {
  const { store, records, leaseMs, storeDeadlineMs } = deps;
  let inline: string | null = null;
  let marked = false;
  let fault: Error | null = null;
  let writing: Promise<unknown> = Promise.resolve();
  let renewal: NodeJS.Timeout | undefined;

  /** One write after the other: a late renewal must not take the operation's name off the marker again. */
  function write<T>(what: string, work: () => Promise<T>): Promise<T> {
    const next = writing.then(work, work);
    writing = next.catch(() => {});
    return within(storeDeadlineMs, what, next);
  }

  function mark(owner: string, operationId: string | null): Promise<void> {
    marked = true;
    return write('the open marker', () =>
      records.putOpen({ version: 1, uid, account: owner, operationId, leaseAt: Date.now() }),
    );
  }

  /** By time, not by chunks: a slow body may take an hour for one. */
  function keepLease(): void {
    const intervalMs = Math.min(RENEWAL_MAX_MS, leaseMs / RENEWALS_PER_LEASE);
    renewal = setInterval(() => void mark(account, null).catch(() => {}), intervalMs);
    renewal.unref();
  }

  async function keep(ordinal: number, blob: Buffer): Promise<void> {
    if (!marked) {
      await mark(account, null);
      keepLease();
    }
    const created = await write('a chunk', () => store.create(chunkKey(chunkPrefix(uid), ordinal), blob));
    letGo(blob);
    reach('submit.chunk_written');
    if (created) return;
    throw new Error(`chunk ${ordinal} of a fresh upload exists already`);
  }

  return {
    uid,
    async sink({ ordinal, blob, only }) {
      if (only && blob.length <= INLINE_CHUNK_BYTES_MAX) {
        inline = blob.toString('base64');
        return;
      }
      try {
        await keep(ordinal, blob);
      } catch (cause) {
        fault = unavailable('the upload cannot be kept now; send it again', cause);
        throw fault;
      }
    },
    inlineChunk: () => inline,
    storeFault: () => fault,
    assign(operation) {
      clearInterval(renewal);
      return mark(operation.account, operation.id);
    },
    close: () => clearInterval(renewal),
    async discard() {
      clearInterval(renewal);
      if (!marked) return;
      const work = async () => {
        if (inline === null) await store.deletePrefix(dataPrefix(uid));
        await records.deleteOpen(uid);
      };
      await within(DISCARD_MS, 'the clean-up', write('the clean-up', work)).catch(() => {});
    },
  };
}
