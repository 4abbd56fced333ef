/** What readers are told of an operation that was purged or has expired: that it is gone, and how it had ended. */
import { TrancheError } from '../../model/errors.ts';
import { goneOperation, type Tombstone } from '../../model/tombstone.ts';
import type { Records } from '../../storage/records.ts';

const MESSAGES = {
  purged: 'the operation was purged; only its final counts are left, and its id and idempotency key stay taken',
  expired: 'the retention of the operation is over; only its final counts are left',
} as const;

export function goneError(tombstone: Tombstone): TrancheError {
  return new TrancheError('gone', MESSAGES[tombstone.gone], { operation: goneOperation(tombstone) });
}

interface Named {
  readonly account: string;
  readonly id: string;
}

/**
 * Throws `gone` where a tombstone stands. Blobs go after it came: what was read before this found none was whole.
 * Rejects where the store does not answer.
 */
export async function refuseGone(records: Pick<Records, 'readStanding'>, { account, id }: Named): Promise<void> {
  const standing = await records.readStanding(account, id);
  if (standing !== null && standing.tombstone !== null) throw goneError(standing.tombstone);
}
