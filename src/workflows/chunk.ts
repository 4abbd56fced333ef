/** The workflow of one chunk of a large operation: slices until nothing is undecided; answers counts only. */
import {
  CancellationScope,
  continueAsNew,
  getExternalWorkflowHandle,
  setHandler,
  workflowInfo,
} from '@temporalio/workflow';
import { decidedItems } from '../model/operation.ts';
import type { ChunkAnswer, ChunkInput, ChunkNews, ChunkState } from '../model/workflow-contract.ts';
import { workChunk } from './chunk-loop.ts';
import { createChunkBudget } from './failure-watch.ts';
import { createGate } from './gate.ts';
import { progressSignal, yieldSignal } from './signals.ts';

/** At most one signal per chunk in this time: Temporal allows 10,000 a run, and each wakes the parent. */
const REPORT_EVERY_MS = 5_000;

export async function chunk(input: ChunkInput): Promise<ChunkAnswer> {
  const gate = createGate();
  setHandler(yieldSignal, (how) => gate.close(how));
  CancellationScope.current().cancelRequested.catch(() => gate.close('now'));
  return await CancellationScope.nonCancellable(async () => {
    const { ref, plan, run, source, callsPerSecond } = input;
    const mustLeave = () => workflowInfo().historyLength > plan.historyEventsMax;
    const report = createReporter(input);
    // The priority is that of the child itself.
    const fixed = { ref, plan, run, source, itemsOf: () => input.items, callsPerSecond, amended: {} };
    const budget = createChunkBudget(input.allowance, input.state.tally);
    const bounds = { limit: budget.limit, mustTell: budget.isSpent };
    const work = { ...fixed, ends: () => null, ...bounds, gate, report, mustLeave };
    const answer = await workChunk(work, input.state);
    // Its operation knows best when callbacks are to be looked for.
    if (answer.done || gate.leaving() || answer.state.awaits !== undefined) return answer;
    if (budget.isSpent(answer.state)) return answer;
    const allowance = budget.left(answer.state.tally);
    const bounded = allowance === undefined ? input : { ...input, allowance };
    return await continueAsNew<typeof chunk>({ ...bounded, state: answer.state });
  });
}

function createReporter(input: ChunkInput): (state: ChunkState, news: ChunkNews) => void {
  const parent = workflowInfo().parent;
  let reportedAtMs = Date.now();
  return (state, news) => {
    // The last report would race with the answer, which says the same.
    const last = decidedItems(state.tally) >= input.items;
    if (parent === undefined || last || Date.now() - reportedAtMs < REPORT_EVERY_MS) return;
    reportedAtMs = Date.now();
    getExternalWorkflowHandle(parent.workflowId)
      .signal(progressSignal, { ordinal: state.ordinal, tally: state.tally, ...news })
      // The parent may have ended or continued as new meanwhile; the answer carries the counts.
      .catch(() => undefined);
  };
}
