/** Keeps the audit trail: one blob an entry beside the operation's records, named so that their order is that of time. */
import type { AuditEntry } from '../model/audit.ts';
import type { BlobStore } from './blob-store.ts';
import { auditPrefix } from './keys.ts';

/** Of one operation, the newest: a trail that somebody fills on purpose must not fill a reader's memory. */
const ENTRIES_READ_MAX = 1_000;
const READS_AT_ONCE = 16;

/** An entry and what it is kept under. */
export interface NamedEntry {
  readonly name: string;
  readonly entry: AuditEntry;
}

/** `name`: a ULID, so names sort by time. */
export function createAuditStore(store: BlobStore) {
  const keyOf = (account: string, id: string, name: string) => auditPrefix(account, id) + name;
  return {
    /** Exclusive: an entry is never written over by another. */
    async create(account: string, id: string, name: string, entry: AuditEntry): Promise<void> {
      if (await store.create(keyOf(account, id, name), json(entry))) return;
      throw new Error(`audit entry ${name} exists already`);
    },
    replace: (account: string, id: string, name: string, entry: AuditEntry) =>
      store.put(keyOf(account, id, name), json(entry)),
    /** For an entry whose action was refused. */
    remove: (account: string, id: string, name: string) => store.delete(keyOf(account, id, name)),
    /** null where there is none. */
    async newest(account: string, id: string): Promise<NamedEntry | null> {
      const [key] = await newestKeys(store, auditPrefix(account, id), 1);
      const blob = key === undefined ? null : await store.get(key);
      if (key === undefined || blob === null) return null;
      return { name: key.slice(auditPrefix(account, id).length), entry: parsed(blob) };
    },
    /** Oldest first. */
    async read(account: string, id: string): Promise<readonly AuditEntry[]> {
      const newest = await newestKeys(store, auditPrefix(account, id), ENTRIES_READ_MAX);
      const entries: AuditEntry[] = [];
      for (let from = 0; from < newest.length; from += READS_AT_ONCE) {
        const blobs = await Promise.all(newest.slice(from, from + READS_AT_ONCE).map((key) => store.get(key)));
        // One that was removed meanwhile was refused.
        for (const blob of blobs) if (blob !== null) entries.push(parsed(blob));
      }
      return entries;
    },
  };
}

/** Oldest first; of a long trail never more than twice as many are held. */
async function newestKeys(store: BlobStore, prefix: string, max: number): Promise<readonly string[]> {
  let keys: string[] = [];
  for await (const { key } of store.list(prefix)) {
    if (keys.push(key) >= 2 * max) keys = keys.sort().slice(-max);
  }
  return keys.sort().slice(-max);
}

/** Only this module writes these blobs, always whole. */
function parsed(blob: Buffer): AuditEntry {
  return JSON.parse(blob.toString('utf8')) as AuditEntry;
}

function json(entry: AuditEntry): Buffer {
  return Buffer.from(JSON.stringify(entry), 'utf8');
}
