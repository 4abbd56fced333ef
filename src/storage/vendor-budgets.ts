/** Keeps the budgets that clients set: one small blob a vendor, the newest whole one counts. */
import type { SetBudget } from '../model/budget.ts';
import type { BlobStore } from './blob-store.ts';
import { vendorKeys } from './keys.ts';

export interface VendorBudgets {
  /** Null where none was ever set. */
  read(vendor: string): Promise<SetBudget | null>;
  put(vendor: string, set: SetBudget): Promise<void>;
}

export function createVendorBudgets(store: BlobStore): VendorBudgets {
  return {
    async read(vendor) {
      const bytes = await store.get(vendorKeys(vendor).budget);
      // Only this module writes these blobs, always whole.
      return bytes === null ? null : (JSON.parse(bytes.toString('utf8')) as SetBudget);
    },
    put: (vendor, set) => store.put(vendorKeys(vendor).budget, Buffer.from(JSON.stringify(set), 'utf8')),
  };
}
