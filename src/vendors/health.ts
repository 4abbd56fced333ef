/** Tells a vendor that is down from items that fail: many transient answers in a row, over several items. */
import type { Transient } from '../model/outcome.ts';

/** One per vendor and process. */
export interface VendorHealth {
  /** Any definite answer (2xx, 3xx, 4xx): the vendor is up. */
  success(): void;
  failure(item: number | string, transient: Transient): void;
  readonly down: boolean;
}

/** One item that always fails must not close a vendor, nor must a short hiccup. */
const FAILURES_IN_A_ROW = 20;
const DISTINCT_ITEMS = 10;
/** Where nobody listens, more items would tell nothing more. */
const UNREACHABLE_IN_A_ROW = 3;

/** These come from a vendor that is up, or from ourselves. */
const SAYS_NOTHING: ReadonlySet<string> = new Set(['vendor_rate_limited', 'vendor_key_in_use', 'aborted']);

export function createVendorHealth(): VendorHealth {
  let failures = 0;
  let unreachable = 0;
  const items = new Set<number | string>();
  return {
    success() {
      if (failures === 0) return;
      failures = 0;
      unreachable = 0;
      items.clear();
    },
    failure(item, transient) {
      if (SAYS_NOTHING.has(transient.code)) return;
      failures += 1;
      unreachable = transient.code === 'vendor_unreachable' ? unreachable + 1 : 0;
      if (items.size < DISTINCT_ITEMS) items.add(item);
    },
    get down() {
      return unreachable >= UNREACHABLE_IN_A_ROW || (failures >= FAILURES_IN_A_ROW && items.size >= DISTINCT_ITEMS);
    },
  };
}
