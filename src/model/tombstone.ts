/** What is left of an operation that was purged or has expired: enough to say what became of it, and whose its key was. */
import type { AuditEntry } from './audit.ts';
import { type Counts, type OperationOutcome, type Surface, type Tally, toCounts } from './operation.ts';

/** `purged`: somebody asked for it. `expired`: its retention was over. */
export type GoneCause = 'purged' | 'expired';

/**
 * Stands in place of the record, under the record's key: so the operation's id, and the idempotency key that it was made
 * from, stay taken, and whoever looks for the record learns at once that it is gone. Kept for one more retention.
 */
export interface Tombstone {
  readonly version: 1;
  /** No record has this member: it tells the two apart. */
  readonly gone: GoneCause;
  readonly id: string;
  readonly account: string;
  readonly uid: string;
  readonly key: string | null;
  readonly fingerprint: string;
  readonly surface: Surface;
  readonly target: string;
  /** Its last one. */
  readonly run: number;
  readonly outcome: OperationOutcome | null;
  readonly total: number;
  readonly tally: Tally;
  /** RFC 3339. */
  readonly createdAt: string;
  readonly endedAt: string;
  readonly purgedAt: string;
  /** Who purged it; null where nobody signs in, and where it expired. */
  readonly by: string | null;
  /** What its records said of who submitted and retried it; the rest of the audit trail stands as it was. */
  readonly history: readonly AuditEntry[];
}

/** As the answer 410 shows it. */
export interface GoneOperation {
  readonly id: string;
  readonly target: string;
  readonly state: 'ended';
  readonly outcome: OperationOutcome | null;
  readonly run: number;
  readonly counts: Counts;
  readonly createdAt: string;
  readonly endedAt: string;
  readonly purgedAt: string;
  readonly cause: GoneCause;
}

export function goneOperation(tombstone: Tombstone): GoneOperation {
  const { id, target, outcome, run, total, tally, createdAt, endedAt, purgedAt, gone: cause } = tombstone;
  const counts = toCounts(total, tally, 0);
  return { id, target, state: 'ended', outcome, run, counts, createdAt, endedAt, purgedAt, cause };
}
