/** Deletes what a gone operation leaves: first what it held, then what was said of it; its tombstone stays until it is over. */
import { reach } from '../../model/crash-point.ts';
import type { Database } from '../../model/database.ts';
import type { Log } from '../../model/log.ts';
import type { Tombstone } from '../../model/tombstone.ts';
import { createEffectsSweep } from '../../storage/effects.ts';
import { auditPrefix, dataPrefix, keylessPrefix } from '../../storage/keys.ts';
import type { OperationsStorage } from '../deps.ts';

export interface RemovalDeps {
  readonly storage: Pick<OperationsStorage, 'store' | 'records'>;
  /** Of the batch ledger; null where there is none. */
  readonly database: Database | null;
  readonly log: Log;
}

export interface Removal {
  /** All but tombstone and audit trail. Idempotent; killed at any point, it is done again. */
  remove(tombstone: Tombstone): Promise<void>;
  /** The rest, too: what late writers left since, the trail, and last the tombstone, which frees the id. */
  forget(tombstone: Tombstone): Promise<void>;
}

/** A tombstone is deleted at once after it was read or not at all: its id may be another operation's by then. */
const READ_AGE_MAX_MS = 5_000;
const LEDGER_ROWS_MAX = 5_000;

export function createRemoval({ storage, database, log }: RemovalDeps): Removal {
  const { store, records } = storage;
  const ledger = database === null ? null : createEffectsSweep(database);

  /** Workers sweep what stays: it is no longer of any use, and in nobody's way. */
  async function forgetLedger({ uid, run: latest }: Tombstone): Promise<void> {
    if (ledger === null) return;
    try {
      for (let run = 1; run <= latest; run++) {
        while ((await ledger.forget({ uid, run }, LEDGER_ROWS_MAX)) === LEDGER_ROWS_MAX);
      }
    } catch (cause) {
      log('debug', 'the batch ledger of a purged operation stays until it is swept', { uid, cause });
    }
  }

  /** An identical body is another request from now on. */
  async function forgetClaims({ account, id, key, fingerprint }: Tombstone): Promise<void> {
    if (key !== null) return;
    const prefix = keylessPrefix(account, fingerprint);
    let left = 0;
    let found = 0;
    for await (const entry of store.list(prefix)) {
      found++;
      const claim = await records.readKeyless(account, fingerprint, Number(entry.key.slice(prefix.length)));
      if (claim?.operationId === id) await store.delete(entry.key);
      else left++;
    }
    if (found > 0 && left === 0) await store.deleteEmpty(prefix);
  }

  async function remove(tombstone: Tombstone): Promise<void> {
    const { account, id, uid, run: latest, gone } = tombstone;
    await store.deletePrefix(dataPrefix(uid));
    if (gone === 'purged') {
      for (let run = 1; run <= latest + 1; run++) await records.deleteOpen(uid, run);
      await forgetLedger(tombstone);
    }
    if (tombstone.surface === 'product-bulk') await forgetClaims(tombstone);
    reach('purge.blobs_deleted');
    // The seal goes last: as long as it stands, this is not done.
    await records.deleteRuns(account, id, latest);
  }

  return {
    remove,
    async forget(tombstone) {
      const { account, id, uid } = tombstone;
      await remove(tombstone);
      await store.deletePrefix(auditPrefix(account, id));
      const readAt = performance.now();
      const standing = await records.readStanding(account, id);
      if (standing?.tombstone?.uid !== uid) return;
      if (performance.now() - readAt > READ_AGE_MAX_MS)
        throw new Error('the store was slow: a tombstone stays for now');
      await records.deleteStanding(account, id);
    },
  };
}
