/** In the place of the service's own: a blob store that says it has kept a segment, once, and has not. */
import type { BlobStore } from '../../../src/storage/blob-store.ts';
import { openBlobStore as openReal } from '../../../src/storage/open-store.ts';
import { isPlanted } from './fault.ts';

export * from '../../../src/storage/open-store.ts';

const SEGMENT = /\/run-\d+\.\d+\/(?:segment-\d+|compacted)$/;

export async function openBlobStore(...given: Parameters<typeof openReal>): Promise<BlobStore> {
  const store = await openReal(...given);
  if (!isPlanted('lost-segment')) return store;
  let isLost = false;
  return {
    ...store,
    async create(key, bytes) {
      if (isLost || !SEGMENT.test(key)) return await store.create(key, bytes);
      isLost = true;
      return true;
    },
  };
}
