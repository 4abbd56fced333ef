/** Group commit of folder syncs: however many blobs are placed in a folder at once, few fsyncs make them all durable. */

interface Syncs {
  readonly running: Promise<void>;
  next: Promise<void> | null;
}

/** `syncPath` makes durable what happened at a path before it was called, and perhaps not what happens while it runs. */
export function createGroupSync(syncPath: (path: string) => Promise<void>): (path: string) => Promise<void> {
  const byPath = new Map<string, Syncs>();

  function start(path: string): Promise<void> {
    const running = syncPath(path).finally(() => {
      if (syncs.next === null) byPath.delete(path);
    });
    const syncs: Syncs = { running, next: null };
    byPath.set(path, syncs);
    return running;
  }

  /** Who comes while a sync runs may have changed the folder after it began: all of them share the next one. */
  return (path) => {
    const syncs = byPath.get(path);
    if (syncs === undefined) return start(path);
    syncs.next ??= syncs.running.catch(() => {}).then(() => start(path));
    return syncs.next;
  };
}
