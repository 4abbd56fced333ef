/** What a governor that starts without carried state has to know of its predecessors. */
import type { Budget } from '../model/governor.ts';
import type { BlobStore } from '../storage/blob-store.ts';
import { vendorKeys } from '../storage/keys.ts';
import { createVendorBudgets } from '../storage/vendor-budgets.ts';

export interface GovernorRecall {
  /** No governor of this vendor has run before: nobody holds slots of one that was lost. */
  readonly firstEver: boolean;
  /** What a client has set; null: what the workers' settings say. */
  readonly budget: Budget | null;
}

export type GovernorActivities = ReturnType<typeof createGovernorActivities>;

export function createGovernorActivities(store: BlobStore) {
  const budgets = createVendorBudgets(store);
  return {
    /** Asked again (its answer was lost) it may say that there was one before: the vendor then waits a few seconds. */
    async recallGovernor(vendor: string): Promise<GovernorRecall> {
      const firstEver = await store.create(vendorKeys(vendor).governor, Buffer.alloc(0));
      const set = await budgets.read(vendor);
      return { firstEver, budget: set?.budget ?? null };
    },
  };
}
