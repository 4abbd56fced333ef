/** What a vendor client keeps of one call, from its asking for a slot to its answer. */
import type { Transient } from '../model/outcome.ts';
import type { Connection } from './connection.ts';
import type { CallContext, NotCalled, Slot, VendorAnswer, VendorRequest } from './vendor.ts';

export type Called = VendorAnswer | Transient | NotCalled;

export const NOT_CALLED: NotCalled = { kind: 'not_called' };

/** A record that is passed from function to function: closures, promises and a timer for each step of a call are felt. */
export interface Call {
  readonly request: VendorRequest;
  readonly context: CallContext;
  readonly resolve: (called: Called) => void;
  readonly reject: (cause: unknown) => void;
  /** Of the caller's own pace and of the vendor's budget, once granted. */
  ownSlot: Slot | null;
  vendorSlot: Slot | null;
  connection: Connection | null;
  /** Bytes may have gone out. */
  sent: boolean;
  /** Answered, given up or refused: whatever still comes is nobody's. */
  over: boolean;
  expiresAtMs: number;
}

/** `then` in the same turn where the slot is free now: a promise for each call would be felt. */
export function whenTaken(
  taking: Slot | null | Promise<Slot | null>,
  call: Call,
  then: (call: Call, slot: Slot | null) => void,
  fail: (call: Call, cause: unknown) => void,
): void {
  if (taking instanceof Promise) {
    taking.then((slot) => then(call, slot)).catch((cause: unknown) => fail(call, cause));
  } else then(call, taking);
}
