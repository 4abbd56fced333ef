/** Keeps blobs on a local disk: a key is a path, an exclusive create is a hard link, nothing counts before its fsync. */
import { randomUUID } from 'node:crypto';
import type { Dirent } from 'node:fs';
import { type FileHandle, link, open, opendir, rename, rm, rmdir, stat, unlink } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import type { BlobEntry, BlobStore } from './blob-store.ts';
import { createFolders, errorCodeOf, type Folders } from './fs-folders.ts';
import { openFsLog, readFsLog } from './fs-log.ts';
import { assertKey, assertPrefix, isReserved, LOG_MARK, TEMP_FOLDER } from './key.ts';
import { checkExclusiveCreate } from './self-check.ts';

const LOG_INTERVAL_MS = 50;
/** No write takes this long: an older temporary file belongs to a process that died. */
const TEMP_STALE_MS = 3_600_000;
/** Files of one folder that a listing looks at together. */
const LIST_BATCH = 64;
/** Tries to empty a folder that others still write to. */
const DELETE_RETRIES_MAX = 10;

/** `root` is made where it does not stand. The file system must have hard links (every local one of Linux and macOS). */
export function createFsStore(root: string): BlobStore {
  const base = resolve(root);
  const tempFolder = join(base, TEMP_FOLDER);
  const folders = createFolders(base);
  const pathOf = (key: string): string => {
    assertKey(key);
    return join(base, key);
  };
  const folderOf = (prefix: string): string => {
    assertPrefix(prefix);
    return join(base, prefix.slice(0, -1));
  };

  return {
    kind: 'fs',
    logIntervalMs: LOG_INTERVAL_MS,
    get: async (key) => readWhole(pathOf(key)),
    create: async (key, bytes) => {
      const path = pathOf(key);
      return place(folders, tempFolder, path, bytes, linkExclusively);
    },
    put: async (key, bytes) => {
      const path = pathOf(key);
      await place(folders, tempFolder, path, bytes, rename);
    },
    delete: async (key) => unlinkIfThere(pathOf(key)),
    async deletePrefix(prefix) {
      const folder = folderOf(prefix);
      folders.forgetBelow(folder);
      await rm(folder, { recursive: true, force: true, maxRetries: DELETE_RETRIES_MAX, retryDelay: 20 });
    },
    async folders(prefix) {
      const names: string[] = [];
      for await (const entry of entriesOf(folderOf(prefix))) {
        if (entry.isDirectory() && !isReserved(entry.name)) names.push(entry.name);
      }
      return names;
    },
    async deleteEmpty(prefix) {
      const folder = folderOf(prefix);
      folders.forgetBelow(folder);
      try {
        await rmdir(folder);
      } catch (error) {
        if (!isAbsent(error) && errorCodeOf(error) !== 'ENOTEMPTY') throw error;
      }
    },
    async *list(prefix, options) {
      for await (const files of walk(folderOf(prefix), prefix, options?.signal)) {
        const blobs = files.filter((file) => !isReserved(file.name));
        const entries = await Promise.all(blobs.map((file) => describeFile(base, file.key)));
        yield* entries.filter((entry) => entry !== null);
      }
    },
    openLog: (key) => openFsLog(pathOf(key) + LOG_MARK, folders),
    readLog: async (key) => readFsLog(pathOf(key) + LOG_MARK),
    deleteLog: async (key) => unlinkIfThere(pathOf(key) + LOG_MARK),
    async listLogs(prefix) {
      const keys: string[] = [];
      for await (const files of walk(folderOf(prefix), prefix)) {
        const logs = files.filter((file) => file.name.endsWith(LOG_MARK));
        keys.push(...logs.map((file) => file.key.slice(0, -LOG_MARK.length)));
      }
      return keys;
    },
    async check() {
      const remedy = `BLOB_URL must name a folder on a file system with hard links that this process may write to (${base})`;
      await checkExclusiveCreate(this, remedy);
      await sweepTemp(tempFolder);
    },
    close: async () => {},
  };
}

/** Writes the bytes beside the key, makes them durable, then gives them their name by `name`, and makes that durable. */
async function place<T>(
  folders: Folders,
  tempFolder: string,
  path: string,
  bytes: Uint8Array,
  name: (temp: string, path: string) => Promise<T>,
): Promise<T> {
  const folder = dirname(path);
  folders.prepare(folder);
  const temp = join(tempFolder, randomUUID());
  try {
    await folders.within(tempFolder, () => writeDurably(temp, bytes));
    const placed = await folders.within(folder, () => name(temp, path));
    // Also where another's blob stands: its writer may not have come to its sync, and we are about to rely on it.
    await Promise.all([folders.settle(folder), unlinkIfThere(temp)]);
    return placed;
  } catch (error) {
    // What cannot be removed now is swept by a later start; the first error is the one that matters.
    await unlinkIfThere(temp).catch(() => {});
    throw error;
  }
}

async function writeDurably(path: string, bytes: Uint8Array): Promise<void> {
  const file = await open(path, 'wx');
  try {
    await file.writeFile(bytes);
    await file.datasync();
  } finally {
    await file.close();
  }
}

async function linkExclusively(temp: string, path: string): Promise<boolean> {
  try {
    await link(temp, path);
    return true;
  } catch (error) {
    if (errorCodeOf(error) !== 'EEXIST') throw error;
    // A network file system may have repeated a link whose answer was lost: then the name is ours.
    return (await stat(temp)).nlink > 1;
  }
}

async function readWhole(path: string): Promise<Buffer | null> {
  try {
    const file = await open(path);
    try {
      return await readToEnd(file);
    } finally {
      await file.close();
    }
  } catch (error) {
    if (isAbsent(error) || errorCodeOf(error) === 'EISDIR') return null;
    throw error;
  }
}

/** Into one buffer: `readFile` reads a large file in pieces and copies them together. A blob never changes its size. */
async function readToEnd(file: FileHandle): Promise<Buffer> {
  const { size } = await file.stat();
  const bytes = Buffer.allocUnsafeSlow(size);
  for (let filled = 0; filled < size; ) {
    const { bytesRead } = await file.read(bytes, filled);
    if (bytesRead === 0) throw new Error('a blob is shorter than it was');
    filled += bytesRead;
  }
  return bytes;
}

async function unlinkIfThere(path: string): Promise<void> {
  try {
    await unlink(path);
  } catch (error) {
    if (!isAbsent(error)) throw error;
  }
}

async function describeFile(base: string, key: string): Promise<BlobEntry | null> {
  try {
    const { size, mtimeMs } = await stat(join(base, key));
    return { key, bytes: size, modifiedAtMs: mtimeMs };
  } catch (error) {
    if (isAbsent(error)) return null;
    throw error;
  }
}

interface ListedFile {
  readonly name: string;
  readonly key: string;
}

/** The files below a folder in batches; what is deleted meanwhile is left out. */
async function* walk(folder: string, prefix: string, signal?: AbortSignal): AsyncGenerator<ListedFile[]> {
  let batch: ListedFile[] = [];
  const below: string[] = [];
  for await (const entry of entriesOf(folder)) {
    if (entry.isDirectory()) below.push(entry.name);
    else batch.push({ name: entry.name, key: prefix + entry.name });
    if (batch.length < LIST_BATCH) continue;
    signal?.throwIfAborted();
    yield batch;
    batch = [];
  }
  signal?.throwIfAborted();
  if (batch.length > 0) yield batch;
  for (const name of below) yield* walk(join(folder, name), `${prefix}${name}/`, signal);
}

async function* entriesOf(folder: string): AsyncGenerator<Dirent> {
  try {
    yield* await opendir(folder, { bufferSize: LIST_BATCH });
  } catch (error) {
    if (!isAbsent(error)) throw error;
  }
}

async function sweepTemp(tempFolder: string): Promise<void> {
  const staleBefore = Date.now() - TEMP_STALE_MS;
  for await (const entry of entriesOf(tempFolder)) {
    const file = await describeFile(tempFolder, entry.name);
    if (file !== null && file.modifiedAtMs < staleBefore) await unlinkIfThere(join(tempFolder, entry.name));
  }
}

function isAbsent(error: unknown): boolean {
  const code = errorCodeOf(error);
  return code === 'ENOENT' || code === 'ENOTDIR';
}
