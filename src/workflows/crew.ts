/** The chunks in work at one time: small operations run their slices themselves, large ones give each chunk a child. */
import {
  ChildWorkflowCancellationType,
  type ChildWorkflowHandle,
  sleep,
  startChild,
  WorkflowIdReusePolicy,
  workflowInfo,
} from '@temporalio/workflow';
import type { FailureAllowance } from '../model/failure-policy.ts';
import type { Amendment } from '../model/operation.ts';
import type { ChunkAnswer, ChunkNews, ChunkState, OperationInput, YieldRequest } from '../model/workflow-contract.ts';
import { prioritize } from './activities.ts';
import { createAlarm } from './alarm.ts';
import { chunk as chunkWorkflow } from './chunk.ts';
import { workChunk } from './chunk-loop.ts';
import { limitOf } from './failure-watch.ts';
import { createGate } from './gate.ts';
import type { Ledger } from './ledger.ts';
import { amendPlan, fedWindow, windowOf } from './progress.ts';
import { yieldSignal } from './signals.ts';
import { createWaiting } from './waiting.ts';

/** What waits is carried into the next run of the workflow, whose input may be 2 MB: 400 bytes each. */
const WAITING_MAX = 2_000;

export interface Crew {
  /** Begins chunks until the window is full or none is left. */
  fill(): void;
  hasRoom(): boolean;
  /** What may still fail is in the hands of chunks at work: all must come home before it can be dealt out anew. */
  isDealtOut(): boolean;
  atWork(): number;
  /** Chunks that wait for callbacks. */
  waiting(): number;
  /** Callbacks have come for these chunks. */
  tell(ordinals: readonly number[]): void;
  /** Every chunk comes home with what is undecided. */
  callHome(how: YieldRequest): void;
}

/** Works by the plan as it is amended now: what is amended later needs another crew. */
export function createCrew(given: OperationInput, ledger: Ledger): Crew {
  const amended = ledger.amended();
  const input = { ...given, plan: amendPlan(given.plan, amended) };
  const { plan, chunkItems } = input;
  const window = windowOf(plan, chunkItems.length);
  const share = plan.callsPerSecond === null ? null : plan.callsPerSecond / window;
  const waiting = createWaiting(plan);
  const alarm = createAlarm(wakeInTime);
  const shelved: ChunkState[] = [];
  let working = 0;
  let cameHome = 0;
  let leaving = false;
  let dealtOut = false;

  /** Fewer than the window where the vendor's rate feeds no more: slices that only wait cost history and places. */
  const places = () => fedWindow(plan, window, ledger.grantedRate(), ledger.inFlight());
  let filledTo = 0;

  const isDue = () => (waiting.nextAtMs() ?? Number.POSITIVE_INFINITY) <= Date.now();
  const allow = (state: ChunkState) => {
    const allowance = ledger.failures.allow(state, { plan, window });
    if (allowance === null) dealtOut = true;
    return allowance;
  };
  const terms = { input, amended, callsPerSecond: share, allow };
  const own = directly(terms, ledger, () => (working >= places() && isDue()) || working > places());
  const children = chunkItems.length <= plan.directChunksMax ? own : asChild(terms);
  for (const chunk of ledger.openChunks()) {
    if (chunk.awaits === undefined) shelved.push(chunk);
    else waiting.comeBack(chunk, Date.now());
  }

  async function work(state: ChunkState): Promise<void> {
    try {
      // To look for callbacks is one slice, and not worth a child.
      keep(await (state.awaits === undefined ? children : own).work(state));
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

  function keep({ state, done, summary }: ChunkAnswer): void {
    if (done) {
      waiting.forget(state.ordinal);
      ledger.finish(state, summary);
      return;
    }
    if (state.awaits !== undefined) {
      ledger.shelve(waiting.enter(state, state.awaits, Date.now()));
      return;
    }
    ledger.shelve(state);
    // A chunk that came home by itself (a history grew long) goes on at once.
    shelved.push(state);
  }

  function nextChunk(): ChunkState | null {
    const next = waiting.takeDue(Date.now()) ?? shelved.shift();
    return next ?? (waiting.chunks() < WAITING_MAX ? ledger.beginNext() : null);
  }

  /** While every place is taken, whoever comes home wakes; what is due already needs nobody to. */
  function wakeInTime(): void {
    const nextAtMs = waiting.nextAtMs();
    if (nextAtMs !== null && !isDue() && working < places() && !leaving) alarm.setFor(nextAtMs);
  }

  return {
    fill() {
      cameHome = 0;
      filledTo = places();
      while (working < filledTo && !dealtOut) {
        const next = nextChunk();
        if (next === null) break;
        working++;
        void work(next);
      }
      wakeInTime();
    },
    isDealtOut: () => dealtOut,
    hasRoom: () => cameHome > 0 || places() > filledTo || (working < places() && isDue()),
    atWork: () => working,
    waiting: waiting.chunks,
    tell(ordinals) {
      for (const ordinal of ordinals) if (ledger.isOpen(ordinal)) waiting.tell(ordinal);
      wakeInTime();
    },
    callHome(how) {
      leaving = true;
      alarm.clear();
      own.callHome(how);
      if (children !== own) children.callHome(how);
    },
  };
}

interface Terms {
  readonly input: OperationInput;
  readonly amended: Amendment;
  readonly callsPerSecond: number | null;
  /** What the chunk may add to the run's failures; asked as late as can be. */
  readonly allow: (state: ChunkState) => FailureAllowance | undefined | null;
}

interface Employer {
  work(state: ChunkState): Promise<ChunkAnswer>;
  callHome(how: YieldRequest): void;
}

/** `isNeeded`: somebody waits for a place, or there are more than the vendor's rate feeds: one is given up between two slices. */
function directly({ input, amended, callsPerSecond, allow }: Terms, ledger: Ledger, isNeeded: () => boolean): Employer {
  const { ref, plan, run, source, chunkItems } = input;
  const itemsOf = (ordinal: number) => chunkItems[ordinal] ?? 0;
  const gate = createGate();
  const ends = () => (chunkItems.length === 1 ? ledger.ending() : null);
  const mustLeave = () => isNeeded() || workflowInfo().historyLength > plan.historyEventsMax;
  const report = ({ ordinal, tally }: ChunkState, news: ChunkNews) => ledger.report({ ordinal, tally, ...news });
  const limit = (chunk: ChunkState) => {
    const allowance = allow(chunk);
    return allowance === null ? 'used_up' : limitOf(allowance, chunk.tally);
  };
  // Every report is heard at once.
  const mustTell = () => false;
  const bounds = { ends, limit, mustLeave, mustTell };
  const work = { ref, plan, run, source, itemsOf, callsPerSecond, amended, ...bounds, gate, report };
  return {
    work: (state) => workChunk(work, state),
    callHome: (how) => gate.close(how),
  };
}

function asChild({ input, amended, callsPerSecond, allow }: Terms): Employer {
  const { ref, plan, run, chunkItems, source } = input;
  const children = new Set<ChildWorkflowHandle<typeof chunkWorkflow>>();
  let leaving: YieldRequest | null = null;
  const sendHome = (child: ChildWorkflowHandle<typeof chunkWorkflow>, how: YieldRequest) => {
    // A child that has just ended takes no signal; its result says so.
    child.signal(yieldSignal, how).catch(() => undefined);
  };
  return {
    async work(state) {
      const allowance = allow(state);
      if (allowance === null) return { state, done: false, summary: null };
      const bounds = { callsPerSecond, ...(allowance === undefined ? {} : { allowance }) };
      const child = await startChild(chunkWorkflow, {
        ...prioritize(amended),
        workflowId: `${ref.account}/${ref.id}/${run}.${state.ordinal}`,
        workflowIdReusePolicy: WorkflowIdReusePolicy.ALLOW_DUPLICATE,
        cancellationType: ChildWorkflowCancellationType.ABANDON,
        args: [{ version: 1, ref, plan, run, items: chunkItems[state.ordinal] ?? 0, source, ...bounds, state }],
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
