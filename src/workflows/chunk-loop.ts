/** Works through one chunk, slice after slice, until nothing is undecided or it is called home. Used by both workflows. */
import { ActivityFailure, CancellationScope, condition, isCancellation } from '@temporalio/workflow';
import type { Amendment, Throttle } from '../model/operation.ts';
import type { Plan } from '../model/plan.ts';
import type {
  ChunkAnswer,
  ChunkSource,
  ChunkState,
  OperationEnd,
  OperationRef,
  SliceAnswer,
  SliceLimit,
  YieldRequest,
} from '../model/workflow-contract.ts';
import { sliceActivity } from './activities.ts';
import { afterLoss, afterSlice, awaitsOf, throttleOf, waitMs } from './progress.ts';

/** Open while work may begin. Closing it lets no further slice start; `now` also cuts short those that run. */
export interface Gate {
  readonly leaving: () => boolean;
  close(how: YieldRequest): void;
  /** Runs `work` in a scope that `close('now')` cancels. */
  run<T>(work: () => Promise<T>): Promise<T>;
}

export function createGate(): Gate {
  const scopes = new Set<CancellationScope>();
  let closed = false;
  return {
    leaving: () => closed,
    close(how) {
      closed = true;
      if (how === 'now') for (const scope of scopes) scope.cancel();
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
  readonly report: (state: ChunkState, throttle: Throttle | null) => void;
  /** True: end between two slices (history grows long, or a place is needed). */
  readonly mustLeave: () => boolean;
  /** True: end now, whatever is to be waited for: what has failed must be told. */
  readonly mustTell: (state: ChunkState) => boolean;
}

/** Not done: called home, or (`state.awaits`) nothing can be done but wait for callbacks. */
export async function workChunk(work: ChunkWork, start: ChunkState): Promise<ChunkAnswer> {
  const slice = sliceActivity(work.plan, work.amended);
  let state = start;
  while (!work.gate.leaving()) {
    const limit = work.limit(state);
    if (limit === 'used_up') break;
    const answer = await oneSlice(work, slice, state, limit);
    if (answer === 'not_begun') continue;
    state =
      answer === 'lost'
        ? afterLoss(state)
        : { ...afterSlice(state, answer, work.plan), ...awaitsOf(answer, work.itemsOf(state.ordinal)) };
    work.report(state, answer === 'lost' ? null : throttleOf(work.plan, state, answer, Date.now()));
    if (answer !== 'lost' && answer.done) return { state, done: true, summary: answer.summary };
    if (state.awaits !== undefined && answer !== 'lost') break;
    if (work.mustTell(state)) break;
    const pause = waitMs(state, answer === 'lost' ? null : answer, Date.now());
    if (pause > 0) await condition(work.gate.leaving, pause);
    if (work.mustLeave()) break;
  }
  return { state, done: false, summary: null };
}

/** `lost`: its worker died while it was being called home. `not_begun`: called home before a worker had taken it. */
async function oneSlice(
  work: ChunkWork,
  slice: ReturnType<typeof sliceActivity>,
  state: ChunkState,
  limit: SliceLimit | null,
): Promise<SliceAnswer | 'lost' | 'not_begun'> {
  const { ref, plan, run, source, callsPerSecond } = work;
  const ends = work.ends();
  const { ordinal, boxMs, probe, lost } = state;
  const bounds = { boxMs, ...(limit === null ? {} : { limit }) };
  try {
    return await work.gate.run(() =>
      slice({ version: 1, ref, plan, run, ordinal, source, ...bounds, probe, lost, callsPerSecond, ends }),
    );
  } catch (error) {
    // A slice that has begun returns what it did; only one that has not is cancelled as such.
    if (isCancellation(error)) return 'not_begun';
    if (error instanceof ActivityFailure) return 'lost';
    throw error;
  }
}
