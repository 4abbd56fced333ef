/** Grants call slots within this process: the vendors' budgets, and a slice's own pace. */
import { createCalendar } from './calendar.ts';
import type { Slot, SlotSource } from './vendor.ts';

/** Monotonic, in ms. `wait` calls back once, at `at` or later; the returned function calls it off. */
export interface SlotClock {
  now(): number;
  wait(at: number, wake: () => void): () => void;
}

export interface LocalSlotsOptions {
  /** Vendors that are not named have no budget: their slots are granted at once. */
  readonly callsPerSecondByVendor?: Readonly<Record<string, number>>;
  readonly clock?: SlotClock;
}

/** The budgets of all vendors called from this process. One for all slices; the governor takes its place. */
export function createLocalSlots(options: LocalSlotsOptions = {}): SlotSource {
  const paces = new Map(
    Object.entries(options.callsPerSecondByVendor ?? {}).map(([vendor, callsPerSecond]) => [
      vendor,
      createPace(callsPerSecond, options.clock),
    ]),
  );
  return { take: (vendor, signal) => (paces.get(vendor) ?? UNPACED).take(vendor, signal) };
}

/** Slots evenly `1/callsPerSecond` apart, whatever the vendor; null = at once. The first one is free now. */
export function createPace(callsPerSecond: number | null, clock: SlotClock = MONOTONIC): SlotSource {
  if (callsPerSecond === null) return UNPACED;
  const calendar = createCalendar(callsPerSecond);
  return {
    take(_vendor, signal) {
      if (signal.aborted) return null;
      const now = clock.now();
      const at = calendar.book(now);
      const slot: Slot = { giveBack: () => calendar.release(at, clock.now()) };
      return at <= now ? slot : waitFor(slot, at, signal, clock);
    },
  };
}

const FREE: Slot = { giveBack: () => undefined };
const UNPACED: SlotSource = { take: (_vendor, signal) => (signal.aborted ? null : FREE) };

function waitFor(slot: Slot, at: number, signal: AbortSignal, clock: SlotClock): Promise<Slot | null> {
  return new Promise((resolve) => {
    const abort = () => {
      callOff();
      slot.giveBack();
      resolve(null);
    };
    const callOff = clock.wait(at, () => {
      signal.removeEventListener('abort', abort);
      resolve(slot);
    });
    signal.addEventListener('abort', abort, { once: true });
  });
}

/** Node's timers count whole ms and may fire a fraction early: what is early waits again. */
const MONOTONIC: SlotClock = {
  now: () => performance.now(),
  wait(at, wake) {
    let timer: NodeJS.Timeout;
    const arm = () => {
      timer = setTimeout(() => (performance.now() < at ? arm() : wake()), Math.ceil(at - performance.now()));
    };
    arm();
    return () => clearTimeout(timer);
  },
};
