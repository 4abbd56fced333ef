/** In the place of the service's own: records that, where an account has no such operation, look into another's. */
import type { BlobStore } from '../../../src/storage/blob-store.ts';
import { createRecords as createReal, type Records } from '../../../src/storage/records.ts';
import { isPlanted, plantedAccounts } from './fault.ts';

export * from '../../../src/storage/records.ts';

export function createRecords(store: BlobStore): Records {
  const records = createReal(store);
  if (!isPlanted('leaked-account')) return records;
  const inAny = async <Found>(account: string, read: (account: string) => Promise<Found | null>) => {
    for (const each of [account, ...plantedAccounts]) {
      const found = await read(each);
      if (found !== null) return found;
    }
    return null;
  };
  return {
    ...records,
    readRecord: (account, id) => inAny(account, (each) => records.readRecord(each, id)),
    readStanding: (account, id) => inAny(account, (each) => records.readStanding(each, id)),
  };
}
