/** Where a chunk's bytes are: a blob of their own, or, for a small operation, in the record. */

import { ApplicationFailure } from '@temporalio/activity';
import { type Chunk, decodeChunk } from '../model/chunk.ts';
import { sumItems } from '../model/operation.ts';
import type { ChunkSource, OperationRef } from '../model/workflow-contract.ts';
import { chunkKey, chunkPrefix } from '../storage/keys.ts';
import type { ActivityDeps } from './deps.ts';

export interface ChunkPlace {
  readonly ref: OperationRef;
  readonly ordinal: number;
  /** Absent in what an earlier release began: it knew no others than those of the submission. */
  readonly source?: ChunkSource;
}

/**
 * Where the bytes are gone (a damaged store), no retry brings them back: every item of the chunk fails, by name.
 * Without its record the operation cannot be told from one in another store: that is tried again.
 */
export async function readChunk(deps: Pick<ActivityDeps, 'store' | 'records'>, place: ChunkPlace): Promise<Chunk> {
  const { ref, ordinal, source = { kind: 'blobs', prefix: chunkPrefix(ref.uid) } } = place;
  const blob = source.kind === 'record' ? null : await deps.store.get(chunkKey(source.prefix, ordinal));
  if (blob !== null) return decodeChunk(blob);
  // A retry's choice stands nowhere else: the submission's chunks in its place would be applied as a whole.
  if (source.kind === 'blobs' && source.prefix !== chunkPrefix(ref.uid)) {
    throw ApplicationFailure.retryable(`chunk ${ordinal} under ${source.prefix} is gone`, 'chunk_missing');
  }
  const record = await deps.records.readRecord(ref.account, ref.id);
  if (record?.uid !== ref.uid) {
    throw ApplicationFailure.retryable(`operation ${ref.id} has no record in this store`, 'record_missing');
  }
  if (record.inlineChunk !== null) return decodeChunk(Buffer.from(record.inlineChunk, 'base64'));
  return lostChunk(record.chunkItems, ordinal);
}

function lostChunk(chunkItems: readonly number[], ordinal: number): Chunk {
  const items = chunkItems[ordinal] ?? 0;
  const firstIndex = sumItems(chunkItems.slice(0, ordinal));
  const message = 'the stored input of this item is gone; send it again';
  const faults = Array.from({ length: items }, (_, position) => ({ position, code: 'input_lost', message }) as const);
  const header = { version: 1, format: { kind: 'json' }, firstIndex, items, payloadBytes: 0, faults } as const;
  return {
    header,
    ends: new Uint32Array(items),
    lines: new Uint32Array(items),
    chosen: null,
    payload: Buffer.alloc(0),
  };
}
