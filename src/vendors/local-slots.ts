/** Grants call slots within this process: the vendors' budgets, and a slice's own pace. */
import { createCalendar } from './calendar.ts';
import { createFairQueue } from './fair-queue.ts';
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
  return { take: (vendor, signal, account) => (paces.get(vendor) ?? UNPACED).take(vendor, signal, account) };
}

interface Waiter {
  readonly grant: (slot: Slot) => void;
  over: boolean;
}

/**
 * Slots evenly `1/callsPerSecond` apart, whatever the vendor; null = at once. The first one is free now. A slot is given
 * to whose turn it is when its time has come, not when it was asked for.
 */
export function createPace(callsPerSecond: number | null, clock: SlotClock = MONOTONIC): SlotSource {
  if (callsPerSecond === null) return UNPACED;
  const calendar = createCalendar(callsPerSecond);
  const queue = createFairQueue<Waiter>((waiter) => waiter.over);
  let waiters = 0;
  /** The next slot, booked for whoever waits at its time. */
  let booked: { readonly at: number; readonly callOff: () => void } | null = null;

  const slotAt = (at: number): Slot => ({
    stands: () => true,
    done: () => undefined,
    giveBack() {
      calendar.release(at, clock.now());
      rebook();
    },
  });

  function leave(waiter: Waiter): void {
    waiter.over = true;
    waiters--;
    if (waiters === 0) callOff();
  }

  function callOff(): void {
    if (booked === null) return;
    booked.callOff();
    calendar.release(booked.at, clock.now());
    booked = null;
  }

  /** A slot that came back may be earlier than the one booked. */
  function rebook(): void {
    callOff();
    if (waiters > 0) book();
  }

  function book(): void {
    const at = calendar.book(clock.now());
    booked = { at, callOff: clock.wait(at, () => grantFrom(at)) };
  }

  /** A timer is often later than the slots are apart: those that came due meanwhile are granted with it. */
  function grantFrom(first: number): void {
    booked = null;
    let at = first;
    for (const now = clock.now(); at <= now && waiters > 0; at = calendar.book(Math.max(at, now - LATE_MAX_MS)))
      grantAt(at);
    calendar.release(at, clock.now());
    if (waiters > 0) book();
  }

  function grantAt(at: number): void {
    const waiter = queue.next();
    if (waiter === null) return;
    waiter.over = true;
    waiters--;
    waiter.grant(slotAt(at));
  }

  function wait(signal: AbortSignal, account: string): Promise<Slot | null> {
    return new Promise((resolve) => {
      const abort = () => {
        leave(waiter);
        resolve(null);
      };
      const waiter: Waiter = {
        over: false,
        grant(slot) {
          signal.removeEventListener('abort', abort);
          resolve(slot);
        },
      };
      signal.addEventListener('abort', abort, { once: true });
      waiters++;
      queue.add(account, waiter);
      if (booked === null) book();
    });
  }

  return {
    take(_vendor, signal, account) {
      if (signal.aborted) return null;
      if (waiters > 0) return wait(signal, account);
      const now = clock.now();
      const at = calendar.book(now);
      if (at <= now) return slotAt(at);
      calendar.release(at, now);
      return wait(signal, account);
    },
  };
}

/** Slots later than this are given up, so that a process which stood still does not make up for it in a burst. */
const LATE_MAX_MS = 20;

/** For calls that nobody counts. */
export const FREE: Slot = { stands: () => true, giveBack: () => undefined, done: () => undefined };
const UNPACED: SlotSource = { take: (_vendor, signal) => (signal.aborted ? null : FREE) };

/** Node's timers count whole ms and may fire a fraction early: what is early waits again. */
export const MONOTONIC: SlotClock = {
  now: () => performance.now(),
  wait(at, wake) {
    let timer: NodeJS.Timeout;
    const arm = () => {
      timer = setTimeout(
        () => (performance.now() < at ? arm() : wake()),
        Math.max(1, Math.ceil(at - performance.now())),
      );
    };
    arm();
    return () => clearTimeout(timer);
  },
};
