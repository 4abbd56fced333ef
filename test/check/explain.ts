/** What faults explain, and for how long: the one place where the checker forgives. All times in ms. */
import type { Fault, FaultKind, Frame } from './history.ts';

/** Answers that a kill may find unwritten: on disk the journal is at most this far behind, on S3 a write of it takes so long. */
export const JOURNAL_GAP_MS: Readonly<Record<Frame['store'], number>> = { fs: 100, s3: 1_200 };

/** An answer is written down in three steps (the answer, the group's turn, the disk's word), each of which waits for the machine. */
export function journalGapMs({ store, machineLagMs = 0 }: Frame): number {
  return JOURNAL_GAP_MS[store] + 3 * machineLagMs;
}

/** A fault's effects outlast it: a lease runs out only after the heartbeat timeout, a lost connection is noticed late. */
export const AFTERMATH_MS: Readonly<Record<FaultKind, number>> = {
  api: 2_000,
  worker: 500,
  temporal: 8_000,
  database: 2_000,
  store: 3_000,
  vendor: 500,
  link_client: 500,
  link_temporal: 8_000,
  link_store: 3_000,
  link_database: 2_000,
  link_vendor: 500,
  link_callback: 500,
  stall: 6_000,
};

/** True where one of these kinds of faults, or what it left behind, fell into the span. */
export function isTouched(
  faults: readonly Fault[],
  kinds: readonly FaultKind[],
  fromMs: number,
  toMs: number,
): boolean {
  return faults.some(
    ({ what, ...fault }) => kinds.includes(what) && fault.fromMs <= toMs && fault.toMs + AFTERMATH_MS[what] >= fromMs,
  );
}

/** Faults of one process; a machine without time is everybody's. */
export function isTouchedAt(
  faults: readonly Fault[],
  { what, whom }: Pick<Fault, 'what' | 'whom'>,
  fromMs: number,
  toMs: number,
): boolean {
  const own = faults.filter((fault) => fault.what === 'stall' || (fault.what === what && fault.whom === whom));
  return isTouched(own, [what, 'stall'], fromMs, toMs);
}
