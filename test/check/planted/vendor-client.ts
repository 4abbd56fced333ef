/** In the place of the service's own: a vendor client that calls twice under two keys, or makes two calls of one slot. */
import { ulid } from 'ulid';
import { createVendorClient as createReal, type VendorClientOptions } from '../../../src/vendors/client.ts';
import type { Slot, SlotSource, VendorClient } from '../../../src/vendors/vendor.ts';
import { isPlanted } from './fault.ts';

export * from '../../../src/vendors/client.ts';

/** The first call that is made comes twice: once is enough to be a fault. */
const DOUBLED_CALL = 20;

export function createVendorClient(options: VendorClientOptions): VendorClient {
  if (isPlanted('slot-used-twice')) return createReal({ ...options, slots: twice(options.slots) });
  const client = createReal(options);
  if (!isPlanted('doubled-effect')) return client;
  let calls = 0;
  return {
    ...client,
    async call(request, context) {
      calls += 1;
      if (calls !== DOUBLED_CALL) return await client.call(request, context);
      const [answer] = await Promise.all([
        client.call(request, context),
        client.call({ ...request, idempotencyKey: `${ulid()}:0` }, context),
      ]);
      return answer;
    },
  };
}

/** Every slot that is taken may be taken again, by whoever asks next. */
function twice(slots: SlotSource): SlotSource {
  const again: Slot[] = [];
  return {
    take(vendor, signal, account) {
      const used = again.pop();
      if (used !== undefined) return used;
      const taken = slots.take(vendor, signal, account);
      const keep = (slot: Slot | null): Slot | null => {
        if (slot !== null) again.push({ ...slot, giveBack() {} });
        return slot;
      };
      return taken instanceof Promise ? taken.then(keep) : keep(taken);
    },
  };
}
