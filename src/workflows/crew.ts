/** The chunks in work at one time: small operations run their slices themselves, large ones give each chunk a child. */
import {
  ChildWorkflowCancellationType,
  type ChildWorkflowHandle,
  sleep,
  startChild,
  WorkflowIdReusePolicy,
  workflowInfo,
} from '@temporalio/workflow';
import type { ChunkAnswer, ChunkState, OperationInput, YieldRequest } from '../model/workflow-contract.ts';
import { chunk as chunkWorkflow } from './chunk.ts';
import { createGate, workChunk } from './chunk-loop.ts';
import type { Ledger } from './ledger.ts';
import { windowOf } from './progress.ts';
import { yieldSignal } from './signals.ts';

export interface Crew {
  /** Begins chunks until the window is full or none is left. */
  fill(): void;
  hasRoom(): boolean;
  atWork(): number;
  /** Every chunk comes home with what is undecided. */
  callHome(how: YieldRequest): void;
}

export function createCrew(input: OperationInput, ledger: Ledger): Crew {
  const { plan, chunkItems } = input;
  const window = windowOf(plan, chunkItems.length);
  const share = plan.callsPerSecond === null ? null : plan.callsPerSecond / window;
  const shelved = [...ledger.openChunks()];
  const employ = chunkItems.length <= plan.directChunksMax ? directly(input, ledger, share) : asChild(input, share);
  let working = 0;
  let cameHome = 0;

  async function work(state: ChunkState): Promise<void> {
    try {
      const answer = await employ.work(state);
      if (answer.done) ledger.finish(answer.state, answer.summary);
      else ledger.shelve(answer.state);
      // A chunk that came home by itself (its own history grew long) goes on at once.
      if (!answer.done) shelved.push(answer.state);
    } catch {
      // A child that an operator terminated, or one that could not start: its log says what was done.
      const lost = ledger.lose(state);
      // Its slice may act until its lease is over; nobody takes its place before.
      await sleep(plan.heartbeatTimeoutMs);
      shelved.push(lost);
    } finally {
      working--;
      cameHome++;
    }
  }

  return {
    fill() {
      cameHome = 0;
      while (working < window) {
        const next = shelved.shift() ?? ledger.beginNext();
        if (next === null) return;
        working++;
        void work(next);
      }
    },
    hasRoom: () => cameHome > 0,
    atWork: () => working,
    callHome: (how) => employ.callHome(how),
  };
}

interface Employer {
  work(state: ChunkState): Promise<ChunkAnswer>;
  callHome(how: YieldRequest): void;
}

function directly(input: OperationInput, ledger: Ledger, callsPerSecond: number | null): Employer {
  const { ref, plan, run, source } = input;
  const gate = createGate();
  const ends = () => (input.chunkItems.length === 1 ? ledger.ending() : null);
  const tooLong = () => workflowInfo().historyLength > plan.historyEventsMax;
  return {
    work: (state) =>
      workChunk(
        {
          ref,
          plan,
          run,
          source,
          callsPerSecond,
          ends,
          gate,
          report: (chunk, throttle) => ledger.report(chunk.ordinal, chunk.tally, throttle),
          mustLeave: tooLong,
        },
        state,
      ),
    callHome: (how) => gate.close(how),
  };
}

function asChild(input: OperationInput, callsPerSecond: number | null): Employer {
  const { ref, plan, run, chunkItems, source } = input;
  const children = new Set<ChildWorkflowHandle<typeof chunkWorkflow>>();
  let leaving: YieldRequest | null = null;
  const sendHome = (child: ChildWorkflowHandle<typeof chunkWorkflow>, how: YieldRequest) => {
    // A child that has just ended takes no signal; its result says so.
    child.signal(yieldSignal, how).catch(() => undefined);
  };
  return {
    async work(state) {
      const child = await startChild(chunkWorkflow, {
        workflowId: `${ref.account}/${ref.id}/${run}.${state.ordinal}`,
        workflowIdReusePolicy: WorkflowIdReusePolicy.ALLOW_DUPLICATE,
        cancellationType: ChildWorkflowCancellationType.ABANDON,
        args: [{ version: 1, ref, plan, run, items: chunkItems[state.ordinal] ?? 0, source, callsPerSecond, state }],
      });
      children.add(child);
      if (leaving !== null) sendHome(child, leaving);
      try {
        return await child.result();
      } finally {
        children.delete(child);
      }
    },
    callHome(how) {
      leaving = how;
      for (const child of children) sendHome(child, how);
    },
  };
}
