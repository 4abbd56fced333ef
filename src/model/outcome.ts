/** What became of an item, and the rows that a slice commits. */

export const ITEM_OUTCOMES = ['succeeded', 'failed', 'skipped', 'cancelled', 'unknown'] as const;
export type ItemOutcome = (typeof ITEM_OUTCOMES)[number];

/** An item's failure is data. `code` is stable snake_case; `message` says what to do, without secrets. */
export interface ItemError {
  readonly code: string;
  readonly message: string;
  readonly retryable: boolean;
  /** 1-based position inside the input line, where the fault has one. */
  readonly column?: number;
}

/** What a target says of one item after one attempt. */
export type Applied =
  | { readonly kind: 'succeeded'; readonly result?: unknown }
  | { readonly kind: 'failed'; readonly error: ItemError }
  | { readonly kind: 'skipped'; readonly reason: string; readonly duplicateOf?: number }
  | Transient;

/** An asynchronous vendor has taken the item: its outcome comes by callback. `vendorRef`: what the vendor calls it. */
export interface Submitted {
  readonly kind: 'submitted';
  readonly vendorRef: string | null;
}

/**
 * An attempt that may be repeated.
 * `doubt`: the call may have had its effect (no answer came back).
 * `counts`: false where the attempt says nothing about the item (vendor unreachable, 429): it is not counted
 * against `maximumAttempts`.
 */
export interface Transient {
  readonly kind: 'transient';
  readonly code: string;
  readonly message: string;
  readonly doubt: boolean;
  readonly counts: boolean;
  readonly retryAfterMs?: number;
}

/** Where an undecided item stands when its slice ends: it may not be tried before `notBefore` (epoch ms). */
export interface Deferred {
  readonly index: number;
  readonly notBefore: number;
  readonly attempts: number;
  /** An earlier attempt may have had its effect: after a cancel this item is `unknown`, not `cancelled`. */
  readonly doubt: boolean;
  /** The vendor has taken it and owes a callback until `notBefore`; absent where it does not. */
  readonly submitted?: { readonly vendorRef: string | null };
}

/** One attempt at an item: when (epoch ms), and what came of it (an error's code, or the outcome). */
export interface Tried {
  readonly at: number;
  readonly code: string;
}

/** At most this many are kept of an item, and only where more than one attempt was needed. */
export const TRIALS_KEPT = 3;

/** Oldest first. */
export interface ItemTrials {
  readonly index: number;
  readonly trials: readonly Tried[];
}
