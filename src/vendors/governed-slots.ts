/** One vendor's call slots: booked from its governor where it has a budget, free where it has none. */
import { UNGOVERNED_LOOK_MS } from '../model/budget.ts';
import type { Budget } from '../model/governor.ts';
import { type BookedSlots, type BookedSlotsOptions, createBookedSlots, type Pressure } from './booked-slots.ts';
import { FREE } from './local-slots.ts';
import type { Slot, SlotSource } from './vendor.ts';

export interface GovernedSlots extends SlotSource {
  pressure(): Pressure | null;
  /** Whose standing is told to the governor, and heeds it. Once, before the first call. */
  attach(standing: VendorHold): void;
  stop(): void;
}

export interface VendorHold {
  /** Epoch ms before which the vendor is not to be called. */
  hold(untilMs: number): void;
  isDown(): boolean;
}

export interface GovernedSlotsOptions extends Omit<BookedSlotsOptions, 'budget' | 'onClosed' | 'isDown'> {
  /** What the settings say; null: none. */
  readonly budget: Budget | null;
  /** What an operator has set since; null: nothing. */
  readonly readSetBudget: (vendor: string) => Promise<Budget | null>;
}

const LOOK_AGAIN_MS = 500;
const NO_BUDGET: Budget = { windows: [], concurrencyMax: null };

export function createGovernedSlots(options: GovernedSlotsOptions): GovernedSlots {
  const { vendor, budget, readSetBudget, log } = options;
  let standing: VendorHold = { hold: () => undefined, isDown: () => false };
  let booked: BookedSlots | null = budget === null ? null : bookFor(budget);
  /** Resolves once it is known whether a budget was set; null from then on. */
  let learning: Promise<void> | null = null;
  let lookedAtMs = Number.NEGATIVE_INFINITY;
  let stopped = false;

  function bookFor(by: Budget): BookedSlots {
    const onClosed = (untilMs: number) => standing.hold(untilMs);
    return createBookedSlots({ ...options, budget: by, onClosed, isDown: () => standing.isDown() });
  }

  async function lookForBudget(): Promise<void> {
    for (let known = false; !known && !stopped; ) {
      try {
        const set = await readSetBudget(vendor);
        if (set !== null) booked ??= bookFor(NO_BUDGET);
        else {
          booked?.stop();
          booked = null;
        }
        known = true;
      } catch (error) {
        log('warn', 'a vendor’s budget cannot be read', { vendor, error });
        // Known once, it stands; unknown, no call may be made.
        if (lookedAtMs !== Number.NEGATIVE_INFINITY) return;
        await new Promise((wake) => setTimeout(wake, LOOK_AGAIN_MS));
      }
    }
  }

  /** Null where it is known well enough. */
  function learn(): Promise<void> | null {
    if (budget !== null || performance.now() - lookedAtMs < UNGOVERNED_LOOK_MS) return null;
    const first = lookedAtMs === Number.NEGATIVE_INFINITY;
    learning ??= lookForBudget().finally(() => {
      learning = null;
      lookedAtMs = performance.now();
    });
    return first ? learning : null;
  }

  function take(signal: AbortSignal, account: string): Slot | null | Promise<Slot | null> {
    if (signal.aborted) return null;
    return booked === null ? FREE : booked.take(signal, account);
  }

  return {
    take(_vendor, signal, account) {
      const learned = learn();
      if (learned === null) return take(signal, account);
      return Promise.race([learned, aborted(signal)]).then(() => take(signal, account));
    },
    pressure: () => booked?.pressure() ?? null,
    attach(given) {
      standing = given;
    },
    stop() {
      stopped = true;
      booked?.stop();
    },
  };
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}
