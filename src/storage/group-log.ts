/** A slice's journal by group commit: what came while the last write ran goes out as one append, so writes never pile up. */
import { setTimeout as sleep } from 'node:timers/promises';
import { reach } from '../model/crash-point.ts';
import type { BlobLog, BlobStore } from './blob-store.ts';

/** Entries wait in memory until the next append: the caller bounds them (a slice's are bounded by its chunk). */
export interface GroupLog {
  /** Queues an entry. Never throws on a failed log: entries are dropped then, and `failed` says so. */
  add(entry: Uint8Array): void;
  /** Resolves once everything added before is durable, rejects where an append failed. Does not hurry the next append. */
  flushed(): Promise<void>;
  /** Writes what is queued at once, then closes the log. Rejects where an append failed. Idempotent. */
  close(): Promise<void>;
  /** The first error of an append; nothing is written after it. */
  readonly failed: Error | null;
}

/** The first append goes out at once; from one append's begin to the next one's at least `intervalMs` pass. */
export function createGroupLog(log: BlobLog, intervalMs: number): GroupLog {
  const closing = new AbortController();
  let queued: Uint8Array[] | null = null;
  let lastAppend: Promise<void> = Promise.resolve();
  let nextDueMs = Number.NEGATIVE_INFINITY;
  let failed: Error | null = null;
  let closed: Promise<void> | null = null;

  async function appendWhenDue(group: Uint8Array[]): Promise<void> {
    const waitMs = nextDueMs - performance.now();
    if (waitMs > 0) await sleep(waitMs, undefined, { signal: closing.signal }).catch(() => {});
    nextDueMs = performance.now() + intervalMs;
    queued = null;
    try {
      await log.append(encodeGroup(group));
      reach('slice.journalled');
    } catch (error) {
      failed = error instanceof Error ? error : new Error(String(error));
      throw failed;
    }
  }

  async function finish(): Promise<void> {
    try {
      await lastAppend;
    } finally {
      await log.close();
    }
  }

  return {
    add(entry) {
      if (closed !== null) throw new Error('the journal is closed');
      if (failed !== null) return;
      if (queued !== null) {
        queued.push(entry);
        return;
      }
      const group = [entry];
      queued = group;
      lastAppend = lastAppend.then(() => appendWhenDue(group));
      // Told through `failed`, `flushed` and `close`; nobody need be waiting at this moment.
      lastAppend.catch(() => {});
    },
    flushed: () => lastAppend,
    close() {
      closing.abort();
      if (closed === null) {
        closed = finish();
        closed.catch(() => {});
      }
      return closed;
    },
    get failed() {
      return failed;
    },
  };
}

/** The single entries of a log that a group log wrote, in order; none where there is no log. */
export async function* readGroupLog(store: Pick<BlobStore, 'readLog'>, key: string): AsyncGenerator<Buffer> {
  for (const group of await store.readLog(key)) yield* decodeGroup(group);
}

/** Each entry behind its length (u32, little-endian). */
function encodeGroup(entries: readonly Uint8Array[]): Buffer {
  const group = Buffer.allocUnsafe(entries.reduce((sum, entry) => sum + 4 + entry.length, 0));
  let at = 0;
  for (const entry of entries) {
    at = group.writeUInt32LE(entry.length, at);
    group.set(entry, at);
    at += entry.length;
  }
  return group;
}

/** The log gives whole groups or none, so a length that points behind the end is not a torn write but a foreign log. */
function* decodeGroup(group: Buffer): Generator<Buffer> {
  for (let at = 0; at < group.length; ) {
    const from = at + 4;
    if (from > group.length) throw new Error('not a journal: an entry has no length');
    const end = from + group.readUInt32LE(at);
    if (end > group.length) throw new Error('not a journal: an entry is longer than its group');
    yield group.subarray(from, end);
    at = end;
  }
}
