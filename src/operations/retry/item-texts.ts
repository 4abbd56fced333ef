/** The latest JSON text of an operation's items, and what vendors know them by, for readers in input order. */
import type { OperationRecord, RunRecord } from '../../model/operation.ts';
import type { ItemText } from '../../targets/item-reader.ts';
import type { OperationsStorage, TargetRegistry } from '../deps.ts';
import { firstIndexes } from '../results/chunk-walk.ts';
import { type Cursor, createLatest, type Layer } from '../results/layers.ts';
import { chunksOfFirst, chunksOfRun } from '../results/runs.ts';

export interface ItemTextsDeps {
  readonly storage: Pick<OperationsStorage, 'store'>;
  readonly targets: Pick<TargetRegistry, 'itemTexts'>;
}

export type TextOf = (position: number) => ItemText;

/** A retry holds the items that it took up as they are to be applied: the latest one that holds an item counts. */
export function createItemTextCursor(
  { storage: { store }, targets }: ItemTextsDeps,
  record: OperationRecord,
  runs: readonly RunRecord[],
): Cursor<TextOf> {
  const first = chunksOfFirst(store, record, firstIndexes(record.chunkItems));
  const retries = runs.map((run) => chunksOfRun(store, run)).reverse();
  const layers = [...retries, first].map(
    ({ firstIndexes, read }): Layer<TextOf> => ({
      firstIndexes,
      read,
      open: (chunk) => targets.itemTexts(record.target, chunk),
    }),
  );
  return createLatest(layers);
}
