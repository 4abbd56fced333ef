/** Grants a vendor's call slots at the times that its governor has booked for this process, never early, never late. */
import {
  type BookAnswer,
  type BookRequest,
  type BreakerState,
  type Budget,
  FREE_MS,
  SLOT_LATE_MAX_MS,
} from '../model/governor.ts';
import type { Log } from '../model/log.ts';
import { createBooking } from './booking.ts';
import { type BookingClock, readBoth, SYSTEM_CLOCK } from './booking-clock.ts';
import { createCallTally } from './call-tally.ts';
import { CLOCK_ERROR_MAX_MS, createClockCheck } from './clock-check.ts';
import { createFairQueue } from './fair-queue.ts';
import { createHeldSlots } from './held-slots.ts';
import type { Slot } from './vendor.ts';

export interface BookedSlots {
  /** As `SlotSource.take` of this one vendor. */
  take(signal: AbortSignal, account: string): Slot | null | Promise<Slot | null>;
  /** What holds calls back just now; null where nothing does. */
  pressure(): Pressure | null;
  /** The default budget, told with each booking. */
  setBudget(budget: Budget): void;
  /** Nothing more is booked: calls that wait for a slot get none, and are to be made anew. */
  stop(): void;
}

/** Calls waited for their slots. */
export interface Pressure {
  /** Over all workers; null where calls are not counted (then it is places that lack). */
  readonly callsPerSecond: number | null;
  /** The vendor has shown less than its budget. */
  readonly adapted: boolean;
  /** Of this process's latest calls, without their wait for a slot; null before the first answer. */
  readonly latencyMs: number | null;
}

export interface BookedSlotsOptions {
  readonly vendor: string;
  readonly budget: Budget;
  readonly worker: string;
  readonly book: (vendor: string, request: BookRequest) => Promise<BookAnswer>;
  /** The vendor is not to be called before; epoch ms. */
  readonly onClosed: (untilMs: number) => void;
  readonly isDown: () => boolean;
  readonly clock?: BookingClock;
  readonly log: Log;
}

interface Waiter {
  readonly grant: (slot: Slot | null) => void;
  readonly sinceMs: number;
  over: boolean;
}

/** From asking to having slots. */
const ANSWER_MS = 150;
/** A call that waits for its slot this long shows that the budget is felt. */
const FELT_MS = 50;
const FELT_FOR_MS = 3_000;
const WANTED_MAX = 100_000;
/** Calls whose slots lie so close leave together, with the last of them: to wake for each costs a fifth of the CPU. */
const TOGETHER_MS = 3;

export function createBookedSlots(options: BookedSlotsOptions): BookedSlots {
  const { vendor, worker, book, onClosed, isDown, log, clock = SYSTEM_CLOCK } = options;
  const queue = createFairQueue<Waiter>((waiter) => waiter.over);
  const held = createHeldSlots();
  const isOneClock = createClockCheck();
  const tally = createCallTally(clock.wall);
  const booking = createBooking({
    clock,
    need,
    ask,
    onFailure: (error) => log('debug', 'a booking failed', { vendor, error }),
  });
  let { budget } = options;
  let waiters = 0;
  let inFlight = 0;
  let cameSinceAsked = 0;
  let takenSinceAsked = 0;
  /** Wall clock − monotonic clock, as the last answer found them. */
  let offsetMs = 0;
  let trusted = true;
  let freeUntilMs = Number.NEGATIVE_INFINITY;
  let askAgainMs = 0;
  let places: number | null = null;
  let placesUntilMs = Number.NEGATIVE_INFINITY;
  /** The same as the governor said it. */
  let leaseMs = 0;
  let breaker: BreakerState = 'closed';
  let endedSinceAsked = false;
  let rate: Omit<Pressure, 'latencyMs'> = { callsPerSecond: null, adapted: false };
  let feltAtMs = Number.NEGATIVE_INFINITY;
  let stopped = false;
  let armed: { readonly atMs: number; readonly callOff: () => void } | null = null;

  function need(): 'none' | 'soon' | 'waiting' | 'now' {
    if (tally.isUrgent() || (breaker !== 'closed' && endedSinceAsked)) return 'now';
    if (waiters > held.count()) return 'waiting';
    const used = places !== null && inFlight > 0;
    return isShort() || used || (takenSinceAsked > 0 && mustAskAnew()) || (isDown() && endedSinceAsked)
      ? 'soon'
      : 'none';
  }

  /** Calls wait, and the slots held for them are too few, or over before the next ones could be here. */
  function isShort(): boolean {
    if (waiters === 0) return false;
    if (waiters > held.count()) return true;
    // Whoever brings no more calls needs no more slots.
    return cameSinceAsked > 0 && (held.lastAtMs() ?? 0) - clock.now() < askAgainMs + ANSWER_MS;
  }

  const isFree = () => clock.now() < freeUntilMs;
  const mustAskAnew = () => isFree() && clock.now() > freeUntilMs - FREE_MS / 2;

  /** As many as wait; twice what was used since the last time where calls kept waiting, so that supply grows to the demand. */
  function wanted(): number {
    if (!isShort()) return 0;
    // What is given up is lost to all: one is enough to see whether the clocks agree again.
    if (!trusted) return 1;
    return Math.min(WANTED_MAX, Math.max(1, Math.max(waiters, 2 * takenSinceAsked) - held.count()));
  }

  async function ask(): Promise<{ answer: BookAnswer; served: boolean }> {
    dropLate();
    const sent = readBoth(clock);
    const request: BookRequest = {
      version: 1,
      worker,
      sentAtMs: sent.wall,
      wanted: wanted(),
      calls: Math.max(0, waiters - held.count()),
      held: held.count(),
      inFlight,
      ...(places === null ? {} : { placesUntilMs: leaseMs }),
      budget,
      report: tally.take(isDown()),
    };
    cameSinceAsked = 0;
    takenSinceAsked = 0;
    endedSinceAsked = false;
    try {
      const answer = await book(vendor, request);
      return { answer, served: heed(answer, request, sent.now) };
    } catch (error) {
      tally.putBack(request.report);
      throw error;
    }
  }

  /** True where all that was asked for was granted. */
  function heed(answer: BookAnswer, request: BookRequest, sentAt: number): boolean {
    const { now, wall } = readBoth(clock);
    const isOurTime = isOneClock({ nowMs: answer.nowMs, sentMs: request.sentAtMs, receivedMs: wall });
    trusted = isOurTime && isAlike(wall - request.sentAtMs, now - sentAt);
    if (!trusted) log('warn', 'a booking was given up: its time is not ours', { vendor, roundTripMs: now - sentAt });
    offsetMs = wall - now;
    breaker = answer.breaker;
    rate = { callsPerSecond: answer.callsPerSecond, adapted: answer.adapted };
    askAgainMs = answer.askAgainMs;
    freeUntilMs = trusted && answer.slots === 'free' ? answer.nowMs - offsetMs + FREE_MS : Number.NEGATIVE_INFINITY;
    places = answer.places;
    leaseMs = answer.placesUntilMs;
    placesUntilMs = trusted ? answer.placesUntilMs - offsetMs : Number.NEGATIVE_INFINITY;
    let granted = 0;
    if (trusted && answer.slots !== 'free') {
      granted = answer.slots.reduce((sum, { count }) => sum + count, 0);
      tally.unused(held.add(answer.slots, -offsetMs, now - SLOT_LATE_MAX_MS));
    }
    if (answer.closedUntilMs > wall) {
      tally.unused(held.dropBefore(answer.closedUntilMs - offsetMs));
      onClosed(answer.closedUntilMs);
    }
    pump();
    return answer.slots === 'free' || granted >= request.wanted;
  }

  /** A machine that was suspended, or a clock that was set: what was booked by the old time is over. */
  function dropLate(): void {
    const { now, wall } = readBoth(clock);
    if (!isAlike(wall - now, offsetMs)) tally.unused(held.dropAll());
    else tally.unused(held.dropBefore(now - SLOT_LATE_MAX_MS));
  }

  function pump(): void {
    if (held.count() > 0) dropLate();
    const now = clock.now();
    while (waiters > 0 && hasPlace(now)) {
      const atMs = isFree() ? now : held.takeDue(now);
      if (atMs === null) break;
      const waiter = queue.next();
      if (waiter === null) break;
      if (now - waiter.sinceMs > FELT_MS) feltAtMs = now;
      waiter.grant(slotAt(atMs, now));
    }
    arm();
    booking.look();
  }

  function hasPlace(now: number): boolean {
    return places === null || (inFlight < places && now < placesUntilMs);
  }

  function arm(): void {
    const atMs = waiters > 0 && !isFree() && hasPlace(clock.now()) ? held.lastWithinMs(TOGETHER_MS) : null;
    if (armed !== null && armed.atMs === atMs) return;
    armed?.callOff();
    armed = null;
    // One that has come due since the last look, too: where no call is under way, nobody else would look again.
    if (atMs === null) return;
    armed = {
      atMs,
      callOff: clock.wait(atMs, () => {
        armed = null;
        pump();
      }),
    };
  }

  function slotAt(atMs: number, grantedAtMs: number): Slot {
    const lastMs = isFree() ? Number.POSITIVE_INFINITY : atMs + SLOT_LATE_MAX_MS;
    inFlight++;
    takenSinceAsked++;
    return {
      stands: () => clock.now() <= lastMs,
      giveBack() {
        inFlight--;
        if (clock.now() > lastMs) tally.unused(1);
        else if (lastMs !== Number.POSITIVE_INFINITY) held.putBack(atMs);
        // Not in the same turn: whoever gives back is in the middle of ending its own call.
        queueMicrotask(pump);
      },
      done(called) {
        inFlight--;
        endedSinceAsked = true;
        tally.ended(called, clock.now() - grantedAtMs);
        if (places !== null && waiters > 0) pump();
        else booking.look();
      },
    };
  }

  function wait(signal: AbortSignal, account: string): Promise<Slot | null> {
    return new Promise((resolve) => {
      const abort = () => {
        waiter.over = true;
        waiters--;
        resolve(null);
      };
      const waiter: Waiter = {
        over: false,
        sinceMs: clock.now(),
        grant(slot) {
          waiter.over = true;
          waiters--;
          signal.removeEventListener('abort', abort);
          resolve(slot);
        },
      };
      signal.addEventListener('abort', abort, { once: true });
      waiters++;
      cameSinceAsked++;
      queue.add(account, waiter);
      if (armed === null) pump();
      else booking.look();
    });
  }

  return {
    take: (signal, account) => (signal.aborted || stopped ? null : wait(signal, account)),
    pressure: () => (clock.now() - feltAtMs < FELT_FOR_MS ? { ...rate, latencyMs: tally.latencyMs() } : null),
    setBudget(next) {
      budget = next;
    },
    stop() {
      stopped = true;
      booking.stop();
      armed?.callOff();
      armed = null;
      for (let waiter = queue.next(); waiter !== null; waiter = queue.next()) waiter.grant(null);
    },
  };
}

function isAlike(a: number, b: number): boolean {
  return Math.abs(a - b) <= CLOCK_ERROR_MAX_MS;
}
