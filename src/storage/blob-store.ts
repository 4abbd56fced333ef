/**
 * Where chunks, records, segments and journals live. Two drivers (fs, s3), one behaviour suite
 * (`test/integration/storage`). Keys are `/`-separated, of `[A-Za-z0-9._:~-]`, no segment `.` or `..`.
 */
export interface BlobStore {
  readonly kind: 'fs' | 's3';
  /** Milliseconds between two journal writes of one slice: what a kill may cost in repeated calls. */
  readonly logIntervalMs: number;
  /** The whole blob; null where there is none. */
  get(key: string): Promise<Buffer | null>;
  /** Exclusive create: true = ours and durable, false = somebody else's blob stands there. Never overwrites. */
  create(key: string, bytes: Uint8Array): Promise<boolean>;
  /** Create or replace as a whole; readers see the old or the new bytes, never a mixture. Durable on return. */
  put(key: string, bytes: Uint8Array): Promise<void>;
  /** Idempotent. */
  delete(key: string): Promise<void>;
  /** Deletes every blob and log under `prefix` (which ends in `/`). Idempotent. */
  deletePrefix(prefix: string): Promise<void>;
  /** Every blob under `prefix` (ends in `/`), at any depth, in no promised order; logs are not listed. */
  list(prefix: string, options?: { readonly signal?: AbortSignal }): AsyncIterable<BlobEntry>;
  /** Names right under `prefix` (ends in `/`) that blobs stand below, or stood; in no promised order. */
  folders(prefix: string): Promise<string[]>;
  /** Removes the folder of `prefix` where it is empty; nothing to do for a store that keeps no folders. Idempotent. */
  deleteEmpty(prefix: string): Promise<void>;
  /** An append-only log with one writer; appending to a log that exists goes on behind it. Created by the first append. */
  openLog(key: string): BlobLog;
  /** The entries of a log in order, a torn last one dropped; empty where there is none. */
  readLog(key: string): Promise<Buffer[]>;
  /** Idempotent. */
  deleteLog(key: string): Promise<void>;
  /** Keys of the logs under `prefix` (ends in `/`). */
  listLogs(prefix: string): Promise<string[]>;
  /** At start-up: throws where the store cannot be reached, or does not refuse a second exclusive create. */
  check(): Promise<void>;
  close(): Promise<void>;
}

export interface BlobEntry {
  readonly key: string;
  readonly bytes: number;
  readonly modifiedAtMs: number;
}

export interface BlobLog {
  /** Durable on return. Calls must not overlap (one writer, group commit is the caller's). */
  append(entry: Uint8Array): Promise<void>;
  close(): Promise<void>;
}
