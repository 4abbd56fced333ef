/** Folders of the fs driver: made when first needed, durable before a blob in them counts, synced in groups. */
import { mkdir, open } from 'node:fs/promises';
import { dirname } from 'node:path';
import { createGroupSync } from './group-sync.ts';

/** Folders remembered as standing and durable; one that was forgotten costs a `mkdir` and an fsync of its parent. */
const FOLDERS_KNOWN_MAX = 20_000;
/** Tries to place a file in a folder that others keep deleting. */
const PLACE_ATTEMPTS_MAX = 10;

interface Folder {
  /** It stands. */
  readonly made: Promise<void>;
  /** Its name, and its parents' names, survive a loss of power. */
  readonly durable: Promise<void>;
}

export type Folders = ReturnType<typeof createFolders>;

export function createFolders(root: string) {
  const known = new Map<string, Folder>();
  const sync = createGroupSync(syncFolder);

  function prepare(path: string): Folder {
    const standing = known.get(path);
    if (standing !== undefined) return standing;
    const folder = path === root ? makeRoot() : make(path, prepare(dirname(path)));
    folder.durable.catch(() => {
      if (known.get(path) === folder) known.delete(path);
    });
    known.set(path, folder);
    const [oldest] = known.keys();
    if (known.size > FOLDERS_KNOWN_MAX && oldest !== undefined) known.delete(oldest);
    return folder;
  }

  /** The parent is synced even where the folder stood already: who made it may not have come to its own sync. */
  function make(path: string, parent: Folder): Folder {
    const made = parent.made.then(() => makeFolder(path));
    const synced = made.then(() => sync(dirname(path)));
    return { made, durable: Promise.all([parent.durable, synced]).then(ignore) };
  }

  function makeRoot(): Folder {
    const first = mkdir(root, { recursive: true });
    const durable = first.then(async (firstMade) => {
      const top = dirname(firstMade ?? root);
      for (let parent = dirname(root); parent.length >= top.length; parent = dirname(parent)) {
        await sync(parent).catch(ignoreForbidden);
        if (parent === dirname(parent)) break;
      }
    });
    return { made: first.then(ignore), durable };
  }

  /** For a folder that is no longer remembered; it is not made again, because it may have been deleted. */
  async function syncParents(path: string): Promise<void> {
    for (let folder = path; folder !== root; folder = dirname(folder)) await sync(dirname(folder));
  }

  function forget(path: string): void {
    for (let folder = path; ; folder = dirname(folder)) {
      known.delete(folder);
      if (folder === root || folder === dirname(folder)) return;
    }
  }

  return {
    /** Begins to make the folder, so that this overlaps with other work; `within` tells how it went. */
    prepare: (path: string): void => {
      prepare(path).made.catch(ignore);
    },

    /** Runs `action` in the folder; where the folder is gone meanwhile, makes it again and retries. */
    async within<T>(path: string, action: () => Promise<T>): Promise<T> {
      for (let attempt = 1; ; attempt++) {
        try {
          await prepare(path).made;
          return await action();
        } catch (error) {
          if (errorCodeOf(error) !== 'ENOENT' || attempt >= PLACE_ATTEMPTS_MAX) throw error;
          forget(path);
        }
      }
    },

    /** What was named in the folder before this call, and the folder itself, survive a loss of power. */
    settle: async (path: string): Promise<void> => {
      await Promise.all([known.get(path)?.durable ?? syncParents(path), sync(path)]);
    },

    /** Before a folder is deleted with all below it. */
    forgetBelow(path: string): void {
      for (const folder of known.keys()) {
        if (folder === path || folder.startsWith(`${path}/`)) known.delete(folder);
      }
    },
  };
}

async function makeFolder(path: string): Promise<void> {
  try {
    await mkdir(path);
  } catch (error) {
    if (errorCodeOf(error) !== 'EEXIST') throw error;
  }
}

/** A folder that is gone needs no sync: what stood in it was deleted after it was written. */
async function syncFolder(path: string): Promise<void> {
  try {
    const folder = await open(path, 'r');
    try {
      await folder.sync();
    } finally {
      await folder.close();
    }
  } catch (error) {
    if (errorCodeOf(error) !== 'ENOENT') throw error;
  }
}

/** A folder above the root that we may not even read was not made by us. */
function ignoreForbidden(error: unknown): void {
  if (errorCodeOf(error) !== 'EACCES') throw error;
}

export function errorCodeOf(error: unknown): string | null {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : null;
}

function ignore(): void {}
