/** What a workflow of an earlier release was started with, as this one has it: its operation goes on through an upgrade. */
import { EMPTY_TALLY } from '../model/operation.ts';
import type { OperationInput } from '../model/workflow-contract.ts';

/** Members that came with runs, schedules and live policy. Without a source the chunks are those of the submission. */
type Later = 'base' | 'scheduledAt';
type FormerInput = Omit<OperationInput, Later> & Partial<Pick<OperationInput, Later>>;

export function bringUpToDate(input: FormerInput): OperationInput {
  return { ...input, base: input.base ?? EMPTY_TALLY, scheduledAt: input.scheduledAt ?? null };
}
