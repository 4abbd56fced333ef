/** The signals, queries and search attributes of both workflows, by the names that other processes use. */
import { defineQuery, defineSignal, type upsertSearchAttributes } from '@temporalio/workflow';
import type { Amendment, OperationOutcome, OperationState, Progress } from '../model/operation.ts';
import {
  type Arrival,
  type ChunkProgress,
  PROGRESS_QUERY,
  SEARCH_ATTRIBUTES,
  SIGNALS,
  type YieldRequest,
} from '../model/workflow-contract.ts';

export const pauseSignal = defineSignal(SIGNALS.pause);
export const resumeSignal = defineSignal(SIGNALS.resume);
export const cancelSignal = defineSignal(SIGNALS.cancel);
export const amendSignal = defineSignal<[Amendment]>(SIGNALS.amend);
export const arrivedSignal = defineSignal<[Arrival]>(SIGNALS.arrived);
export const yieldSignal = defineSignal<[YieldRequest]>(SIGNALS.yield);
export const progressSignal = defineSignal<[ChunkProgress]>(SIGNALS.progress);
export const progressQuery = defineQuery<Progress>(PROGRESS_QUERY);

type Attributes = Extract<Parameters<typeof upsertSearchAttributes>[0], readonly unknown[]>;

export function stateAttributes(state: OperationState, outcome: OperationOutcome | null): Attributes {
  const attributes: Attributes = [{ key: { name: SEARCH_ATTRIBUTES.state, type: 'KEYWORD' }, value: state }];
  if (outcome !== null) attributes.push({ key: { name: SEARCH_ATTRIBUTES.outcome, type: 'KEYWORD' }, value: outcome });
  return attributes;
}
