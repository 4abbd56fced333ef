/** Applies a chunk's undecided items in batches: exactly once by the ledger where it can be, else as a vendor takes them. */
import { ApplicationFailure } from '@temporalio/activity';
import type { Database } from '../../model/database.ts';
import { createEffects } from '../../storage/effects.ts';
import type { SliceEnd, SliceLost, SliceRun } from '../apply-items.ts';
import { applySlots } from './apply-slots.ts';
import { applyVendorBatches } from './apply-vendor-batches.ts';

export interface BatchRun extends SliceRun {
  /** Null where this process has none. */
  readonly database: Database | null;
}

export async function applyBatches(run: BatchRun): Promise<SliceEnd | SliceLost> {
  const { database, control } = run;
  // Lost while it read its chunk.
  if (control.lost()) return { begun: [] };
  const { guarantee, target } = run.input.plan;
  if (guarantee !== 'exactly_once') return await applyVendorBatches(run);
  // The work is kept until a worker comes that has one.
  if (database === null) {
    throw ApplicationFailure.retryable(`this worker has no database for target ${target}`, 'no_database');
  }
  return await applySlots(run, createEffects(database));
}
