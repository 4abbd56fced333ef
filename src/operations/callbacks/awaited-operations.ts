/** What callbacks need to know of the operations that they belong to, read once for thousands of them. */
import type { CallbackRef } from '../../model/callback-token.ts';
import type { OperationRecord } from '../../model/operation.ts';
import type { Records } from '../../storage/records.ts';
import { createLru } from '../lru.ts';
import { firstIndexes } from '../results/chunk-walk.ts';
import { workflowIdOf } from '../submit/operation-id.ts';

export interface AwaitedOperation {
  /** The chunk of the latest run that holds the item, if any does; null where none can. */
  chunkOf(index: number): Promise<number | null>;
}

/** Most have few chunks; one of a billion items has 200 KB of their indexes. */
const KNOWN_MAX = 1_000;
/** Then it may have been purged. */
const KNOWN_FOR_MS = 60_000;
/** How old the knowledge of the latest run may be. */
const RUN_SOUGHT_EVERY_MS = 5_000;

export function createAwaitedOperations(records: Records) {
  const known = createLru<{
    readonly reading: Promise<(AwaitedOperation & { readonly uid: string }) | null>;
    readonly readAtMs: number;
  }>(KNOWN_MAX);

  async function read({ account, id }: CallbackRef): Promise<(AwaitedOperation & { readonly uid: string }) | null> {
    const record = await records.readRecord(account, id);
    return record === null ? null : { uid: record.uid, chunkOf: createChunkFinder(records, record) };
  }

  return {
    /** Null where there is no such operation any more. */
    async find(item: CallbackRef): Promise<AwaitedOperation | null> {
      const name = workflowIdOf(item.account, item.id);
      const standing = known.get(name);
      const isFresh = standing !== undefined && Date.now() - standing.readAtMs < KNOWN_FOR_MS;
      const { reading, readAtMs } = isFresh ? standing : { reading: read(item), readAtMs: Date.now() };
      known.set(name, { reading, readAtMs });
      const operation = await reading.catch((cause: unknown) => {
        known.delete(name);
        throw cause;
      });
      if (operation === null) known.delete(name);
      return operation?.uid === item.uid ? operation : null;
    },
  };
}

function createChunkFinder(records: Records, { account, id, chunkItems }: OperationRecord) {
  let run = 1;
  let firsts: Uint32Array = Uint32Array.from(firstIndexes(chunkItems));
  let soughtAtMs = 0;

  async function seekRun(): Promise<void> {
    if (Date.now() - soughtAtMs < RUN_SOUGHT_EVERY_MS) return;
    soughtAtMs = Date.now();
    for (let next = await records.readRun(account, id, 2); next !== null; ) {
      if (next.run > run) {
        run = next.run;
        firsts = Uint32Array.from(next.firstIndexes);
      }
      next = await records.readRun(account, id, next.run + 1);
    }
  }

  return async (index: number): Promise<number | null> => {
    // Without it the item is found too, only later.
    await seekRun().catch(() => undefined);
    let low = 0;
    let high = firsts.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((firsts[middle] ?? 0) <= index) low = middle + 1;
      else high = middle;
    }
    return low === 0 ? null : low - 1;
  };
}
