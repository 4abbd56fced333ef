/** An operation in the words of `/bulk-actions`: its status, its counts. */
import type { OperationOutcome, OperationState } from '../../model/operation.ts';
import type { OperationView } from '../../operations/operations.ts';
import { ACTION_TYPE } from './bulk-action-form.ts';

export const BULK_ACTION_STATUSES = [
  'SCHEDULED',
  'QUEUED',
  'PROCESSING',
  'PAUSED',
  'COMPLETED',
  'FAILED',
  'CANCELLED',
] as const;
export type BulkActionStatus = (typeof BULK_ACTION_STATUSES)[number];

interface Meaning {
  readonly states: readonly OperationState[];
  /** null: the state says it all. */
  readonly outcomes: readonly OperationOutcome[] | null;
}

/** What each status stands for; every state and outcome is in exactly one. */
export const STATUS_MEANINGS: Readonly<Record<BulkActionStatus, Meaning>> = {
  SCHEDULED: { states: ['scheduled'], outcomes: null },
  QUEUED: { states: ['queued'], outcomes: null },
  PROCESSING: { states: ['running', 'pausing', 'cancelling'], outcomes: null },
  PAUSED: { states: ['paused'], outcomes: null },
  COMPLETED: { states: ['ended'], outcomes: ['succeeded', 'partially_succeeded'] },
  FAILED: { states: ['ended'], outcomes: ['failed'] },
  CANCELLED: { states: ['ended'], outcomes: ['cancelled'] },
};

export function statusOf({ state, outcome }: Pick<OperationView, 'state' | 'outcome'>): BulkActionStatus {
  const status = BULK_ACTION_STATUSES.find((candidate) => {
    const { states, outcomes } = STATUS_MEANINGS[candidate];
    return states.includes(state) && (outcomes === null || outcome === null || outcomes.includes(outcome));
  });
  return status ?? 'PROCESSING';
}

/**
 * `processed = success + failure + skipped`, and equal to the total once the action has ended: what nothing can tell
 * of (`unknown`) is a failure, what was cancelled before its turn is skipped with the reason `CANCELLED`.
 */
export function countsOf({ counts }: Pick<OperationView, 'counts'>) {
  const failureCount = counts.failed + counts.unknown;
  const skippedCount = counts.skipped + counts.cancelled;
  return {
    totalCount: counts.total,
    processedCount: counts.succeeded + failureCount + skippedCount,
    successCount: counts.succeeded,
    failureCount,
    skippedCount,
  };
}

export interface Named {
  readonly actionId: string;
  readonly entityType: string;
}

export function renderAction({ actionId, entityType }: Named, view: OperationView) {
  const status = statusOf(view);
  return { actionId, actionType: ACTION_TYPE, entityType, status, ...countsOf(view), createdAt: view.createdAt };
}

/** Upper case, as its readers know it. */
export const CANCELLED_REASON = 'CANCELLED';
export const DUPLICATE_REASON = 'DUPLICATE';

export function renderStats(actionId: string, view: OperationView, reasons: Readonly<Record<string, number>>) {
  const { cancelled } = view.counts;
  const skippedByReason: Record<string, number> = {};
  for (const [reason, count] of Object.entries(reasons)) skippedByReason[reason.toUpperCase()] = count;
  if (cancelled > 0) skippedByReason[CANCELLED_REASON] = (skippedByReason[CANCELLED_REASON] ?? 0) + cancelled;
  return { actionId, ...countsOf(view), skippedByReason };
}
