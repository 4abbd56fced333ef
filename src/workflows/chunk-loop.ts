/** Works through one chunk, slice after slice, until nothing is undecided or it is called home. Used by both workflows. */
import { ActivityFailure, CancellationScope, condition, isCancellation } from '@temporalio/workflow';
import type { Throttle } from '../model/operation.ts';
import type { Plan } from '../model/plan.ts';
import type { ChunkAnswer, ChunkState, OperationRef, SliceAnswer } from '../model/workflow-contract.ts';
import { sliceActivity } from './activities.ts';
import { afterLoss, afterSlice, throttleOf, waitMs } from './progress.ts';

/** Open while work may begin; `callHome` ends the slices that run and lets no further one start. */
export interface Gate {
  readonly leaving: () => boolean;
  callHome(): void;
  /** Runs `work` in a scope that `callHome` cancels. */
  run<T>(work: () => Promise<T>): Promise<T>;
}

export function createGate(): Gate {
  const scopes = new Set<CancellationScope>();
  let closed = false;
  return {
    leaving: () => closed,
    callHome() {
      closed = true;
      for (const scope of scopes) scope.cancel();
    },
    async run(work) {
      const scope = new CancellationScope({ cancellable: true });
      scopes.add(scope);
      try {
        return await scope.run(work);
      } finally {
        scopes.delete(scope);
      }
    },
  };
}

export interface ChunkWork {
  readonly ref: OperationRef;
  readonly plan: Plan;
  readonly run: number;
  readonly inline: boolean;
  readonly callsPerSecond: number | null;
  readonly gate: Gate;
  /** Called after every slice. */
  readonly report: (state: ChunkState, throttle: Throttle | null) => void;
  /** True: end between two slices (history grows long). */
  readonly mustLeave: () => boolean;
}

export async function workChunk(work: ChunkWork, start: ChunkState): Promise<ChunkAnswer> {
  const slice = sliceActivity(work.plan);
  let state = start;
  while (!work.gate.leaving() && !work.mustLeave()) {
    const answer = await oneSlice(work, slice, state);
    state = answer === null ? afterLoss(state) : afterSlice(state, answer, work.plan);
    work.report(state, answer === null ? null : throttleOf(work.plan, state, answer, Date.now()));
    if (answer?.done === true) return { state, done: true };
    const pause = waitMs(state, answer, Date.now());
    if (pause > 0) await condition(work.gate.leaving, pause);
  }
  return { state, done: false };
}

/** Null: the slice was lost on the way (its worker died while it was being called home). */
async function oneSlice(
  work: ChunkWork,
  slice: ReturnType<typeof sliceActivity>,
  state: ChunkState,
): Promise<SliceAnswer | null> {
  const { ref, plan, run, inline, callsPerSecond } = work;
  const { ordinal, boxMs, probe, lost } = state;
  try {
    return await work.gate.run(() =>
      slice({ version: 1, ref, plan, run, ordinal, inline, boxMs, probe, lost, callsPerSecond }),
    );
  } catch (error) {
    if (isCancellation(error) || error instanceof ActivityFailure) return null;
    throw error;
  }
}
