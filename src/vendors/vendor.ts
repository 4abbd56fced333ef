/** An outbound call to a vendor: asks for a slot, checks the caller's lease, dispatches, classifies the answer. */
import type { Transient } from '../model/outcome.ts';

/** One call. `body` is sent as it is (JSON text); `path` is appended to the vendor's base URL. */
export interface VendorRequest {
  readonly method: 'GET' | 'POST' | 'PATCH' | 'PUT' | 'DELETE';
  readonly path: string;
  readonly idempotencyKey: string;
  readonly body: string | null;
}

/** An answer that says something definite: 2xx, 3xx (never followed), or a 4xx that is not transient. `body` is at most 64 KiB of text. */
export interface VendorAnswer {
  readonly kind: 'answer';
  readonly status: number;
  readonly body: string;
}

/**
 * What a slice gives to its calls. `mayCall` is asked after the slot was granted and right before the bytes go out
 * (again where a connection had to be made first): false (no lease, pausing, cancelling) means the call is not made
 * and the slot is given back.
 */
export interface CallContext {
  /** On whose behalf: accounts that wait for a vendor take turns. */
  readonly account: string;
  readonly mayCall: () => boolean;
  /** From dispatch to the end of the answer, connecting included. */
  readonly timeoutMs: number;
  /** 32 hex digits: the vendor is told by `traceparent`, each call as a span of its own. Absent = it is not. */
  readonly traceId?: string;
  /** Ends the waiting for pace, connection and slot (`not_called`); calls in flight go on. */
  readonly waiting: AbortSignal;
  /** Cuts calls in flight (their effect is then in doubt). */
  readonly signal: AbortSignal;
  /** The caller's own cap (`createPace`), kept beside the vendor's budget; absent = no cap of its own. */
  readonly pace?: SlotSource;
}

/** The call was never made: `mayCall` said no, or `waiting` was aborted before its bytes could go out. */
export interface NotCalled {
  readonly kind: 'not_called';
}

export interface VendorClient {
  /** Never rejects for what a vendor or the network does. */
  call(request: VendorRequest, context: CallContext): Promise<VendorAnswer | Transient | NotCalled>;
  close(): Promise<void>;
}

/**
 * A slot is the right to make one call now. The vendor's budget is booked from its governor, over all processes
 * together (`booked-slots.ts`); a slice's own cap is a second source (`createPace`), asked first.
 */
export interface SlotSource {
  /**
   * Gives a slot when the call may be made, the accounts that wait for one taking turns, null where the signal was aborted first. Synchronous where the slot is
   * free now, so that an unpaced call costs no promise.
   */
  take(vendor: string, signal: AbortSignal, account: string): Slot | null | Promise<Slot | null>;
}

/** Ends in exactly one of `giveBack` and `done`. */
export interface Slot {
  /** False: it is too late for the call to leave. Asked right before its bytes go out. */
  stands(): boolean;
  /** The call was not made. */
  giveBack(): void;
  /** The call was made, and this is what came of it. */
  done(called: VendorAnswer | Transient): void;
}
