/** One entry of an operation's audit trail: who did what to it, when, and in which trace. */

export const AUDIT_ACTIONS = [
  'submitted',
  'paused',
  'resumed',
  'cancelled',
  'amended',
  'retried',
  'halted',
  'purged',
] as const;
/** `halted`: the service itself paused or ended it, as its failure policy or its deadline says. */
export type AuditAction = (typeof AUDIT_ACTIONS)[number];

export interface AuditEntry {
  /** RFC 3339. */
  readonly at: string;
  readonly action: AuditAction;
  /** Who it was; null where nobody signs in, `tranche` where it was the service itself. */
  readonly by: string | null;
  /** 32 hex digits: of the request that asked for it. */
  readonly traceId: string;
  /**
   * What the action says of itself, e.g. a retry's run and number of items. `unconfirmed: true`: the answer was lost,
   * so nobody knows whether it took effect.
   */
  readonly detail: Readonly<Record<string, unknown>>;
}
