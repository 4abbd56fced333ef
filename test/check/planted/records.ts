/** In the place of the service's own: records that, where an account has no such operation, look into another's. */
import type { BlobStore } from '../../../src/storage/blob-store.ts';
import { createRecords as createReal, type Records } from '../../../src/storage/records.ts';
import { isPlanted, plantedAccounts } from './fault.ts';

export * from '../../../src/storage/records.ts';

export function createRecords(store: BlobStore): Records {
  const records = createReal(store);
  if (!isPlanted('leaked-account')) return records;
  return {
    ...records,
    async readRecord(account, id) {
      for (const each of [account, ...plantedAccounts]) {
        const record = await records.readRecord(each, id);
        if (record !== null) return record;
      }
      return null;
    },
  };
}
