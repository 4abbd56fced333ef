/** Decides items by what an asynchronous vendor has sent for them: the blobs that its callbacks left. */
import { type Chunk, indexAt, keyRunAt, positionOf } from '../../model/chunk.ts';
import { reach } from '../../model/crash-point.ts';
import { ITEM_DEPTH_MAX } from '../../model/limits.ts';
import type { BlobStore } from '../../storage/blob-store.ts';
import { callbackKey, callbackPrefix, indexOfCallback } from '../../storage/keys.ts';
import { depthOf, parseExact } from '../../targets/exact-json.ts';
import type { ItemReader } from '../../targets/item-reader.ts';
import type { ReadCallback } from '../../targets/target.ts';
import type { Decision, Rows } from '../rows.ts';

/** Folders listed, and answers read, at once. */
const FOLDERS_AT_ONCE = 8;
const ANSWERS_AT_ONCE = 32;

export interface CallbackSource {
  readonly store: BlobStore;
  readonly uid: string;
  readonly chunk: Chunk;
  readonly rows: Rows;
  readonly reader: ItemReader;
  readonly readCallback: ReadCallback;
}

export interface Callbacks {
  /**
   * Decides every open item that has an answer, in flight or never begun: who answers has taken it. Resolves to how
   * many. Nothing is decided once `stopped` says so. Nothing is journalled: the answers are on disk already.
   */
  fold(stopped: () => boolean): Promise<number>;
  /** Deletes the answers that were folded in; for when the rows are committed. Never rejects. */
  clear(): Promise<void>;
}

export function openCallbacks({ store, uid, chunk, rows, reader, readCallback }: CallbackSource): Callbacks {
  const folders = foldersOf(chunk, uid, rows.open());
  const folded: string[] = [];

  async function answersIn(folder: string): Promise<{ readonly position: number; readonly key: string }[]> {
    const found: { readonly position: number; readonly key: string }[] = [];
    for await (const { key } of store.list(folder)) {
      const position = positionOf(chunk, indexOfCallback(key));
      if (position < 0 || !rows.isOpen(position)) continue;
      // Another run's folder may hold the same index.
      if (key === callbackKey(uid, keyRunAt(chunk, position), indexAt(chunk, position))) found.push({ position, key });
    }
    return found;
  }

  async function fold(stopped: () => boolean): Promise<number> {
    const answers: { readonly position: number; readonly key: string }[] = [];
    await inLanes(folders, FOLDERS_AT_ONCE, async (folder) => {
      if (!stopped()) answers.push(...(await answersIn(folder)));
    });
    let decided = 0;
    await inLanes(answers, ANSWERS_AT_ONCE, async ({ position, key }) => {
      const body = stopped() ? null : await store.get(key);
      if (body === null || stopped() || !rows.isOpen(position)) return;
      const { attempts, submitted } = rows.standing(position);
      const calls = Math.max(1, attempts + (submitted === undefined ? 0 : 1));
      rows.decide(position, reader.label(position), decisionOf(readCallback, body, calls));
      folded.push(key);
      decided++;
    });
    if (decided > 0) reach('callback.collected');
    return decided;
  }

  return {
    fold,
    // What stays goes with the operation.
    clear: () => inLanes(folded, ANSWERS_AT_ONCE, (key) => store.delete(key).catch(() => undefined)),
  };
}

function foldersOf(chunk: Chunk, uid: string, positions: readonly number[]): readonly string[] {
  return [
    ...new Set(positions.map((position) => callbackPrefix(uid, keyRunAt(chunk, position), indexAt(chunk, position)))),
  ];
}

function decisionOf(readCallback: ReadCallback, body: Buffer, attempts: number): Decision {
  try {
    const text = body.toString('utf8');
    if (depthOf(text) > ITEM_DEPTH_MAX) return { outcome: 'failed', attempts, error: UNREADABLE };
    const said = readCallback(parseExact(text).exact);
    return said.kind === 'failed'
      ? { outcome: 'failed', attempts, error: said.error }
      : { outcome: 'succeeded', attempts, result: said.result };
  } catch {
    return { outcome: 'failed', attempts, error: UNREADABLE };
  }
}

const UNREADABLE = {
  code: 'callback_invalid',
  message: 'the vendor called back with a body that cannot be read',
  retryable: true,
} as const;

async function inLanes<T>(entries: readonly T[], lanes: number, work: (entry: T) => Promise<void>): Promise<void> {
  let next = 0;
  async function lane(): Promise<void> {
    for (let entry = entries[next++]; entry !== undefined; entry = entries[next++]) await work(entry);
  }
  await Promise.all(Array.from({ length: Math.min(lanes, entries.length) }, lane));
}
