/** Works through one chunk, slice after slice, until nothing is undecided or it is called home. Used by both workflows. */
import { condition } from '@temporalio/workflow';
import type { Amendment } from '../model/operation.ts';
import type { Plan } from '../model/plan.ts';
import type {
  ChunkAnswer,
  ChunkNews,
  ChunkSource,
  ChunkState,
  OperationEnd,
  OperationRef,
  SliceInput,
  SliceLimit,
} from '../model/workflow-contract.ts';
import { sliceActivity } from './activities.ts';
import type { Gate } from './gate.ts';
import { afterLoss, afterSlice, awaitsOf, lossWaitMs, newsOf, waitMs } from './progress.ts';

export interface ChunkWork {
  readonly ref: OperationRef;
  readonly plan: Plan;
  readonly run: number;
  readonly source: ChunkSource;
  readonly itemsOf: (ordinal: number) => number;
  readonly callsPerSecond: number | null;
  readonly amended: Amendment;
  /** Asked before every slice; see `SliceInput.ends`. */
  readonly ends: () => OperationEnd | null;
  /** Asked before every slice; null = it may fail as it will; `used_up`: others must come home before it goes on. */
  readonly limit: (state: ChunkState) => SliceLimit | null | 'used_up';
  readonly gate: Gate;
  /** Called after every slice. */
  readonly report: (state: ChunkState, news: ChunkNews) => void;
  /** True: end between two slices (history grows long, or a place is needed). */
  readonly mustLeave: () => boolean;
  /** True: end now, whatever is to be waited for: what has failed must be told. */
  readonly mustTell: (state: ChunkState) => boolean;
}

/** Not done: called home, or (`state.awaits`) nothing can be done but wait for callbacks. */
export async function workChunk(work: ChunkWork, start: ChunkState): Promise<ChunkAnswer> {
  const slice = sliceActivity(work.plan, work.amended);
  let state = start;
  let losses = 0;
  while (!work.gate.leaving()) {
    const limit = work.limit(state);
    if (limit === 'used_up') break;
    const answer = await work.gate.run(slice, sliceInput(work, state, limit));
    if (answer === 'not_begun') continue;
    losses = answer === 'lost' ? losses + 1 : 0;
    state =
      answer === 'lost'
        ? afterLoss(state)
        : { ...afterSlice(state, answer, work.plan), ...awaitsOf(answer, work.itemsOf(state.ordinal)) };
    work.report(state, answer === 'lost' ? { throttle: null } : newsOf(work.plan, state, answer, Date.now()));
    if (answer !== 'lost' && answer.done) return { state, done: true, summary: answer.summary };
    if (state.awaits !== undefined && answer !== 'lost') break;
    if (work.mustTell(state)) break;
    const pause = answer === 'lost' ? lossWaitMs(losses) : waitMs(state, answer, Date.now());
    if (pause > 0) await condition(work.gate.leaving, pause);
    if (work.mustLeave()) break;
  }
  return { state, done: false, summary: null };
}

function sliceInput(work: ChunkWork, state: ChunkState, limit: SliceLimit | null): SliceInput {
  const { ref, plan, run, source, callsPerSecond } = work;
  const { ordinal, boxMs, probe, lost } = state;
  const bounds = { boxMs, ...(limit === null ? {} : { limit }) };
  return { version: 1, ref, plan, run, ordinal, source, ...bounds, probe, lost, callsPerSecond, ends: work.ends() };
}
