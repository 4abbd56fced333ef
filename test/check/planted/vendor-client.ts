/** In the place of the service's own: a vendor client that calls twice under two keys, or makes two calls of one slot. */
import { ulid } from 'ulid';
import { createVendorClient as createReal, type VendorClientOptions } from '../../../src/vendors/client.ts';
import type { Slot, SlotSource, VendorClient } from '../../../src/vendors/vendor.ts';
import { isPlanted } from './fault.ts';

export * from '../../../src/vendors/client.ts';

/** From this one on, the first call that has an effect comes twice: once is enough to be a fault. */
const DOUBLED_CALL = 20;

export function createVendorClient(options: VendorClientOptions): VendorClient {
  if (isPlanted('slot-used-twice')) return createReal({ ...options, slots: twice(options.slots) });
  const client = createReal(options);
  if (!isPlanted('doubled-effect')) return client;
  let calls = 0;
  let isDoubled = false;
  return {
    ...client,
    async call(request, context) {
      calls += 1;
      const answer = await client.call(request, context);
      if (isDoubled || calls < DOUBLED_CALL || !hasEffect(answer)) return answer;
      isDoubled = true;
      // One that was called off before it left has no effect either: the next one then.
      isDoubled = hasEffect(await client.call({ ...request, idempotencyKey: `${ulid()}:0` }, context));
      return answer;
    },
  };
}

function hasEffect(answer: Awaited<ReturnType<VendorClient['call']>>): boolean {
  return answer.kind === 'answer' && answer.status < 300;
}

interface Waiter {
  readonly account: string;
  readonly resolve: (slot: Slot | null) => void;
  over: boolean;
}

/** Every slot that was waited for is given to two who wait. What the second had asked for itself goes to others. */
function twice(slots: SlotSource): SlotSource {
  const waiting: Waiter[] = [];
  const settle = (waiter: Waiter, slot: Slot | null) => {
    waiter.over = true;
    waiter.resolve(slot);
  };
  function serve(first: Waiter, slot: Slot | null): void {
    if (slot === null) {
      if (!first.over) settle(first, null);
      return;
    }
    const [one, other] = [first, ...waiting.filter((waiter) => waiter !== first)].filter(({ over }) => !over);
    if (one === undefined) slot.giveBack();
    else settle(one, slot);
    // Whoever counts calls is told of one.
    if (other !== undefined) settle(other, { stands: () => slot.stands(), giveBack() {}, done() {} });
    waiting.splice(0, waiting.length, ...waiting.filter(({ over }) => !over));
  }
  return {
    take(vendor, signal, account) {
      const taken = slots.take(vendor, signal, account);
      if (!(taken instanceof Promise)) return taken;
      return new Promise((resolve, reject) => {
        const waiter: Waiter = { account, resolve, over: false };
        waiting.push(waiter);
        taken.then((slot) => serve(waiter, slot), reject);
      });
    },
  };
}
