/** Keeps the audit trail: one blob an entry beside the operation's records, named so that their order is that of time. */
import type { AuditEntry } from '../model/audit.ts';
import type { BlobStore } from './blob-store.ts';
import { auditPrefix } from './keys.ts';

/** Of one operation, the newest: a trail that somebody fills on purpose must not fill a reader's memory. */
const ENTRIES_READ_MAX = 1_000;
const READS_AT_ONCE = 16;

export type AuditStore = ReturnType<typeof createAuditStore>;

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
    /** Oldest first. */
    async read(account: string, id: string): Promise<readonly AuditEntry[]> {
      const keys: string[] = [];
      for await (const { key } of store.list(auditPrefix(account, id))) keys.push(key);
      const newest = keys.sort().slice(-ENTRIES_READ_MAX);
      const entries: AuditEntry[] = [];
      for (let from = 0; from < newest.length; from += READS_AT_ONCE) {
        const blobs = await Promise.all(newest.slice(from, from + READS_AT_ONCE).map((key) => store.get(key)));
        // Only this module writes these keys, always whole; one that was removed meanwhile was refused.
        for (const blob of blobs) if (blob !== null) entries.push(JSON.parse(blob.toString('utf8')) as AuditEntry);
      }
      return entries;
    },
  };
}

function json(entry: AuditEntry): Buffer {
  return Buffer.from(JSON.stringify(entry), 'utf8');
}
