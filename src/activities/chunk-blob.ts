/** Where a chunk's bytes are: a blob of their own, or, for a small operation, in the record. */
import { ApplicationFailure } from '@temporalio/activity';
import type { OperationRef } from '../model/workflow-contract.ts';
import { chunkKey } from '../storage/keys.ts';
import type { ActivityDeps } from './index.ts';

export interface ChunkPlace {
  readonly ref: OperationRef;
  readonly ordinal: number;
  readonly inline: boolean;
}

/** Fails for good where the bytes are gone (purged, or a damaged store): no retry brings them back. */
export async function chunkBlob(deps: Pick<ActivityDeps, 'store' | 'records'>, place: ChunkPlace): Promise<Buffer> {
  const { ref, ordinal, inline } = place;
  if (inline) {
    const record = await deps.records.readRecord(ref.account, ref.id);
    if (record?.uid === ref.uid && record.inlineChunk !== null) return Buffer.from(record.inlineChunk, 'base64');
  } else {
    const blob = await deps.store.get(chunkKey(ref.uid, ordinal));
    if (blob !== null) return blob;
  }
  throw ApplicationFailure.nonRetryable(`chunk ${ordinal} of operation ${ref.id} is not there`, 'chunk_missing');
}
