/** Named places where a process may die: tests arm one and prove that nothing is lost there. Unarmed it costs a null check. */

/** `<step>.<what has just happened>`, in the order of the journey. */
export const CRASH_POINTS = [
  'submit.chunk_written',
  'submit.chunks_written',
  'submit.keyless_claimed',
  'submit.place_taken',
  'submit.marker_written',
  'submit.record_created',
  'submit.workflow_started',
  'submit.left_to_outbox',
  'retry.chunks_written',
  'retry.place_taken',
  'retry.marker_written',
  'retry.run_created',
  'retry.workflow_started',
  'control.noted',
  'control.signalled',
  'reconciler.before_start',
  'survey.read',
  'prepare.marks_written',
  'slice.log_read',
  'slice.call_answered',
  'slice.journalled',
  'slice.before_commit',
  'slice.committed',
  'slice.compacted',
  'slice.journals_deleted',
  'slice.summary_written',
  'batch.before_effect',
  'batch.before_database_commit',
  'batch.database_committed',
  'callback.stored',
  'callback.collected',
  'settle.before_commit',
  'settle.committed',
  'checkpoint.written',
  'finalize.summary_written',
  'finalize.marker_deleted',
  'governor.before_booking',
  'governor.booked',
  'purge.tombstone_written',
  'purge.blobs_deleted',
  'purge.workflow_deleted',
  'sweep.before_delete',
] as const;
export type CrashPoint = (typeof CRASH_POINTS)[number];

let armed: ((point: CrashPoint) => void) | null = null;

/** Called where the point is reached. */
export function reach(point: CrashPoint): void {
  if (armed !== null) armed(point);
}

/** `main` alone arms, from the setting `CRASH_POINT`. */
export function armCrashPoints(onReach: (point: CrashPoint) => void): void {
  armed = onReach;
}
