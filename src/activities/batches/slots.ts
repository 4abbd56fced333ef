/** A chunk's slots: which positions stand or fall together, what the ledger says of them, and how they are given up. */
import { ApplicationFailure } from '@temporalio/activity';
import type { Database } from '../../model/database.ts';
import type { Plan } from '../../model/plan.ts';
import { createEffects, type Placed } from '../../storage/effects.ts';
import type { ChunkLogRef } from '../../storage/segments.ts';
import type { ItemReader } from '../../targets/item-reader.ts';
import type { Decision, Rows } from '../rows.ts';

/** Of targets that name no size of their own. Unit: items. */
const BATCH_ITEMS_DEFAULT = 500;

export function batchItemsMaxOf(plan: Plan): number {
  return plan.batchItemsMax ?? BATCH_ITEMS_DEFAULT;
}

/** Fixed by position: every slice of a chunk, whatever is decided by then, means the same by a slot. */
export function slotAt(plan: Plan, position: number): number {
  return Math.floor(position / batchItemsMaxOf(plan));
}

export interface ChunkRows {
  readonly rows: Rows;
  readonly reader: ItemReader;
}

/** Decides what the ledger says was applied and no segment does. */
export function adoptSlots({ rows, reader }: ChunkRows, standing: ReadonlyMap<number, readonly Placed<Decision>[]>) {
  if (standing.size === 0) return;
  const open = new Set(rows.open());
  for (const placed of standing.values()) {
    for (const { position, decision } of placed) {
      if (open.has(position)) rows.decide(position, reader.label(position), decision);
    }
  }
}

export interface GiveUpRequest extends ChunkRows {
  readonly database: Database | null;
  readonly plan: Plan;
  readonly at: ChunkLogRef;
  /** A slice of this chunk did not return. */
  readonly lost: boolean;
}

/**
 * Nobody applies any more what is open, not even a slice that thaws with its transaction open; what was applied is
 * decided. Nothing that is left is in doubt then.
 */
export async function giveUpSlots({ database, plan, at, lost, rows, reader }: GiveUpRequest): Promise<void> {
  const slots = [...new Set(rows.open().map((position) => slotAt(plan, position)))];
  if (slots.length === 0) return;
  if (database !== null) adoptSlots({ rows, reader }, await createEffects<Decision>(database).claim(at, slots));
  // Another worker may have had one, and have used it.
  else if (lost)
    throw ApplicationFailure.retryable(`this worker has no database for target ${plan.target}`, 'no_database');
  for (const position of rows.open()) {
    const standing = rows.standing(position);
    if (standing.doubt) rows.defer(position, { ...standing, doubt: false });
  }
}
