/** The limits of an account: what they are called, and how one stands. */

/**
 * `submissions`: accepted in a sliding window, over all surfaces. `bulk-actions`: the same, of that surface alone.
 * `operations`, `items`, `bytes`: accepted and not ended.
 */
export const QUOTA_NAMES = ['bulk-actions', 'submissions', 'operations', 'items', 'bytes'] as const;
export type QuotaName = (typeof QUOTA_NAMES)[number];

/** One limit of one account, as the database saw it. */
export interface QuotaStanding {
  readonly name: QuotaName;
  readonly limit: number;
  readonly unit: 'requests' | 'concurrent-requests' | 'items' | 'content-bytes';
  /** null: it has no window; a place is free again when an operation ends. */
  readonly windowSeconds: number | null;
  readonly remaining: number;
  /** Until the oldest submission leaves the window; null where there is none, or no window. */
  readonly resetSeconds: number | null;
}
