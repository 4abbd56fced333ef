/** Whose fault it is that a batch was not applied: its rows', the target's, a passing conflict's, or the database's. */
import { isDataFault, isPassingFault, sqlStateOf } from '../../model/database.ts';
import type { Applied, Transient } from '../../model/outcome.ts';
import { type BatchCall, isTargetBug } from './batch-call.ts';

export type BatchFault =
  /** Some of its rows are refused. */
  | { readonly kind: 'rows' }
  /** All its items went alike. */
  | { readonly kind: 'all'; readonly applied: Applied; readonly isBug: boolean }
  | { readonly kind: 'away' };

/** A target caught what a statement threw: its transaction was over, and nothing of it stands. */
const SWALLOWED = '25P02';
/** We did nothing in the transaction for so long that the server ended it. */
const FROZEN_TOO_LONG = '25P03';
/** Deadlock, serialization, lock and statement time-outs: the database is there, and says something of these rows. */
const CONFLICT = /^(40|55P03|57014)/;

export function batchFaultOf(error: unknown, batch: BatchCall): BatchFault {
  if (isDataFault(error)) return { kind: 'rows' };
  const state = sqlStateOf(error);
  const isOfStatement = batch.isOfTarget(error) && !isPassingFault(error) && state !== FROZEN_TOO_LONG;
  if (isTargetBug(error) || state === SWALLOWED || isOfStatement) {
    return { kind: 'all', applied: TARGET_ERROR, isBug: true };
  }
  if (state !== null && CONFLICT.test(state)) return { kind: 'all', applied: conflict(state), isBug: false };
  return { kind: 'away' };
}

function conflict(state: string): Transient {
  const code = state === '57014' ? 'database_timeout' : 'database_conflict';
  const message = `the database gave up the batch of this item for now (SQLSTATE ${state})`;
  return { kind: 'transient', code, message, doubt: false, counts: true };
}

const TARGET_ERROR: Applied = {
  kind: 'failed',
  error: {
    code: 'target_error',
    message: 'the target failed on the batch of this item; the service log says why',
    retryable: true,
  },
};

export const REFUSED_TOGETHER: Applied = {
  kind: 'failed',
  error: {
    code: 'database_rejected',
    message: 'the database refused the batch of this item, and none of its rows alone',
    retryable: true,
  },
};
