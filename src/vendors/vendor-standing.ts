/** What this process knows of one vendor: how to call it, whether it is up, and when it may be asked again. */
import type { Transient } from '../model/outcome.ts';
import type { Pressure } from './booked-slots.ts';
import { SPEAKS_OF_VENDOR } from './call-tally.ts';
import type { GovernedSlots } from './governed-slots.ts';
import { createVendorHealth, type VendorHealth } from './health.ts';
import { createPace } from './local-slots.ts';
import type { SlotSource, VendorClient } from './vendor.ts';

/** One per vendor and process, shared by all slices. */
export interface Vendor {
  readonly client: VendorClient;
  readonly health: VendorHealth;
  /** The pace of one caller, kept from slice to slice: a fresh one would grant its first slot at once. */
  paceOf(caller: string, callsPerSecond: number | null): SlotSource;
  /** Epoch ms before which the vendor has asked not to be called; 0 = at once. */
  closedUntil(): number;
  /** What its budget makes calls wait for just now; null where nothing does. */
  pressure(): Pressure | null;
  /** A definite answer came: the vendor is up. */
  answered(): void;
  /** A transient answer to `item`: `Retry-After` and 429 hold every slice's next call back, not only this item's. */
  refused(item: string, transient: Transient): void;
  /** No more is booked. */
  stop(): void;
}

/** A 429 that does not say when: long enough to stop a storm, short enough to lose little. */
const HOLD_WITHOUT_RETRY_AFTER_MS = 1_000;

/** Paces kept at once, the least recently used dropped first. */
const PACES_MAX = 10_000;

export function createVendor(client: VendorClient, slots: GovernedSlots | null): Vendor {
  const health = createVendorHealth();
  const paces = new Map<string, { readonly pace: SlotSource; readonly callsPerSecond: number }>();
  let closedUntilMs = 0;
  const hold = (untilMs: number) => {
    closedUntilMs = Math.max(closedUntilMs, untilMs);
  };
  slots?.attach({ hold, isDown: () => health.down });
  return {
    client,
    health,
    paceOf(caller, callsPerSecond) {
      if (callsPerSecond === null) return createPace(null);
      const kept = paces.get(caller);
      const pace = kept?.callsPerSecond === callsPerSecond ? kept.pace : createPace(callsPerSecond);
      paces.delete(caller);
      paces.set(caller, { pace, callsPerSecond });
      const oldest = paces.keys().next();
      if (paces.size > PACES_MAX && oldest.done === false) paces.delete(oldest.value);
      return pace;
    },
    closedUntil: () => closedUntilMs,
    pressure: () => slots?.pressure() ?? null,
    stop: () => slots?.stop(),
    answered: () => health.success(),
    refused(item, transient) {
      health.failure(item, transient);
      const limited = transient.code === 'vendor_rate_limited';
      const holdMs = transient.retryAfterMs ?? (limited ? HOLD_WITHOUT_RETRY_AFTER_MS : 0);
      if (holdMs > 0 && SPEAKS_OF_VENDOR.has(transient.code)) hold(Date.now() + holdMs);
    },
  };
}
