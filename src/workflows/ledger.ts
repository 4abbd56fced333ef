/** What an operation workflow knows of itself: counts, state, revision; answers the query, keeps the checkpoint. */
import { patched, upsertSearchAttributes } from '@temporalio/workflow';
import type { SurveyAnswer } from '../model/activity-contract.ts';
import { amendedPolicy } from '../model/failure-policy.ts';
import {
  type Amendment,
  addTallies,
  decidedItems,
  earlierItemsOf,
  isAhead,
  type OperationState,
  outcomeOf,
  type Progress,
  type Tally,
  type Throttle,
} from '../model/operation.ts';
import type {
  ChunkProgress,
  ChunkState,
  OperationCarry,
  OperationEnd,
  OperationInput,
} from '../model/workflow-contract.ts';
import { finalize } from './activities.ts';
import { createCheckpoints } from './checkpoints.ts';
import { createFailureWatch } from './failure-watch.ts';
import { createInFlight } from './in-flight.ts';
import { afterLoss, changesWork, deadlineOf, freshChunk, runningItems, sumTallies } from './progress.ts';
import { stateAttributes } from './signals.ts';

const LISTED_AFTER_MS = 2_000;
/** Signals that may come while the last slice runs, and then some. */
const REVISIONS_LEFT = 1_000;

export type Ledger = ReturnType<typeof createLedger>;

export function createLedger(input: OperationInput) {
  const { ref, plan, run, chunkItems, carried } = input;
  let amended = carried?.amended ?? {};
  const open = new Map((carried?.open ?? []).map((chunk) => [chunk.ordinal, chunk] as const));
  let finished = carried?.tally ?? input.base;
  let nextChunk = carried?.nextChunk ?? 0;
  let revision = carried?.revision ?? 1;
  /** Null until it begins. */
  let startedAt = carried?.startedAt ?? null;
  let state: OperationState = startedAt === null ? 'scheduled' : carried?.paused === true ? 'paused' : 'running';
  let pausedAhead = startedAt === null && carried?.paused === true;
  let prepared = carried?.prepared ?? false;
  let throttle: Throttle | null = null;
  const busy = createInFlight();
  let ended: Pick<Progress, 'outcome' | 'endedAt'> = { outcome: null, endedAt: null };
  let summary: Progress | null = null;
  let listedAsRunning = carried !== null && startedAt !== null;
  let beganAtMs = Date.now();
  /** Until the log was read, nothing that is known here is worth showing. */
  let informed = input.mode === 'start' || carried !== null;

  const scheduledAt = () => amended.scheduledAt ?? input.scheduledAt;
  const tally = () => sumTallies(finished, open.values());
  const failures = createFailureWatch(input, {
    policy: () => amendedPolicy(plan.failure, amended),
    tally,
    open,
    mayHalt: () => state !== 'cancelling' && decidedItems(tally()) < input.total,
    changed: () => touch('save'),
  });
  const deadline = () => deadlineOf(input, amended);
  const progress = (): Progress => ({
    version: 1,
    run,
    revision,
    state,
    ...ended,
    tally: tally(),
    ...earlierItemsOf(input.base),
    running: state === 'paused' || state === 'ended' ? 0 : runningItems(chunkItems, open.values()),
    throttle,
    amended,
    ...(pausedAhead ? { pausedAhead: true } : {}),
    ...deadline(),
    ...failures.kept(),
    startedAt,
    asOf: new Date().toISOString(),
  });

  const checkpoints = createCheckpoints({ ref, progress, hasEnded: () => state === 'ended' });

  /** Most operations end before a list could show them as running: each change of an attribute costs the server a write. */
  function listAsRunning(): void {
    listedAsRunning = true;
    upsertSearchAttributes(stateAttributes('running', null));
  }

  async function beginAsScheduled(): Promise<void> {
    state = 'queued';
    upsertSearchAttributes(stateAttributes('queued', null));
    touch();
    await save();
    // It may have been paused or cancelled meanwhile.
    if (state === 'queued') state = 'running';
  }

  /** Every change passes here. The checkpoint is for readers who find no worker: it may be five seconds old. */
  function touch(how?: 'save'): void {
    revision++;
    if (!listedAsRunning && state === 'running' && Date.now() - beganAtMs >= LISTED_AFTER_MS) listAsRunning();
    if (informed && state !== 'ended' && (checkpoints.isDue() || mustShowPause())) void save();
    if (how === 'save') void save();
  }

  /** One that is being written says that it is about to pause, and nothing else may happen for days. */
  function mustShowPause(): boolean {
    return state === 'paused' && (checkpoints.isIdle() || patched('a-pause-is-kept'));
  }

  function save(): Promise<void> {
    return informed ? checkpoints.save() : Promise.resolve();
  }

  return {
    progress,
    tally,
    deadline: () => deadline().deadline ?? null,
    failures,
    amended: () => amended,
    /** What the vendor grants just now, where it holds calls back; null where it does not. */
    grantedRate: () => throttle?.currentRate ?? null,
    hasBegun: () => startedAt !== null,
    isOpen: (ordinal: number) => open.has(ordinal),
    /** Resolves once the checkpoint says what is true now, or something later. */
    save,
    /** Epoch ms of the time that it waits for; null where there is none to wait for. */
    dueAtMs: () => (isAhead(scheduledAt(), Date.now()) ? Date.parse(scheduledAt() ?? '') : null),
    needsPreparing: () => plan.dedupe && !prepared,
    openChunks: (): readonly ChunkState[] => [...open.values()],
    /** Chunks that nobody has begun are those from here on. */
    nextChunk: () => nextChunk,
    finished: () => open.size === 0 && nextChunk >= chunkItems.length,

    enter(next: OperationState): void {
      if (state === next) return;
      state = next;
      touch();
    },

    keepPause(paused: boolean): void {
      pausedAhead = paused;
      touch('save');
    },

    /** True where those at work must work otherwise from now on. What was scheduled and has begun stays so. */
    amend({ scheduledAt, ...others }: Amendment): boolean {
      const before = amended;
      const schedule = scheduledAt === undefined || startedAt !== null ? {} : { scheduledAt };
      amended = { ...before, ...others, ...schedule };
      touch('save');
      failures.judge();
      return startedAt !== null && changesWork(before, amended);
    },

    /**
     * Its time has come. Where it was scheduled, a checkpoint says so before anything is done: while there is none, or
     * one that shows no start, nothing was begun (`survey`).
     */
    async begin(): Promise<void> {
      startedAt = new Date().toISOString();
      beganAtMs = Date.now();
      pausedAhead = false;
      if (scheduledAt() === null) state = 'running';
      else await beginAsScheduled();
      touch();
    },

    prepared(): void {
      prepared = true;
    },

    /** The next chunk that nobody has begun; null where there is none. */
    beginNext(): ChunkState | null {
      if (nextChunk >= chunkItems.length) return null;
      const chunk = freshChunk(nextChunk++, plan);
      open.set(chunk.ordinal, chunk);
      touch();
      return chunk;
    },

    /** News of a chunk in work. Counts never go back: a late signal of a finished chunk is dropped. */
    report({ ordinal, tally: reported, throttle: cause, inFlight }: ChunkProgress): void {
      const chunk = open.get(ordinal);
      const decided = decidedItems(reported);
      if (chunk === undefined || decided < decidedItems(chunk.tally) || decided > (chunkItems[ordinal] ?? 0)) return;
      open.set(ordinal, { ...chunk, tally: reported });
      throttle = cause;
      busy.report(ordinal, inFlight);
      touch();
      failures.judge();
    },

    inFlight: () => busy.sum(open.size),

    /** A chunk whose child was ended from outside: what it last reported stands. */
    lose(begun: ChunkState): ChunkState {
      const lost = afterLoss(open.get(begun.ordinal) ?? begun);
      open.set(lost.ordinal, lost);
      failures.cameHome(lost.ordinal);
      touch();
      return lost;
    },

    /** A chunk came home with work left. */
    shelve(chunk: ChunkState): void {
      open.set(chunk.ordinal, chunk);
      failures.cameHome(chunk.ordinal);
      touch();
      failures.judge();
    },

    /** What the slice that ends the operation writes into its summary: room is left for changes until then. */
    ending: (): OperationEnd => ({
      startedAt: startedAt ?? new Date().toISOString(),
      base: input.base,
      amended,
      ...deadline(),
      revision: revision + REVISIONS_LEFT,
    }),

    finish(chunk: ChunkState, written: Progress | null): void {
      summary = written;
      open.delete(chunk.ordinal);
      busy.forget(chunk.ordinal);
      finished = addTallies(finished, chunk.tally);
      failures.cameHome(chunk.ordinal);
      throttle = open.size === 0 ? null : throttle;
      touch();
      failures.judge();
    },

    add(more: Tally): void {
      finished = addTallies(finished, more);
    },

    adopt(found: SurveyAnswer): void {
      finished = addTallies(input.base, found.tally);
      amended = { ...found.amended, ...amended };
      nextChunk = found.nextChunk;
      for (const chunk of found.open) open.set(chunk.ordinal, chunk);
      revision = Math.max(revision, found.revision);
      // What has left a trace has begun, whoever knows since when.
      startedAt = found.startedAt ?? (found.nextChunk > 0 ? new Date().toISOString() : null);
      state = startedAt === null || state !== 'scheduled' ? state : 'running';
      pausedAhead = startedAt === null && (found.paused || pausedAhead);
      failures.adopt(found);
      informed = true;
      touch();
    },

    carry: (paused: boolean): OperationCarry => ({
      revision: revision + 1,
      startedAt,
      tally: finished,
      nextChunk,
      open: [...open.values()],
      paused,
      prepared,
      amended,
      ...failures.kept(),
    }),

    /** `ended` is shown only once the summary stands. */
    async end(early: boolean): Promise<void> {
      const standing = summary ?? (await writeSummary(early));
      const { outcome, endedAt } = standing;
      // What came too late to be written there has changed nothing.
      amended = standing.amended ?? {};
      failures.show(standing);
      pausedAhead = false;
      state = 'ended';
      throttle = null;
      ended = { outcome, endedAt };
      revision = standing.revision;
      upsertSearchAttributes(stateAttributes('ended', outcome));
    },
  };

  async function writeSummary(early: boolean): Promise<Progress> {
    const written: Progress = {
      ...progress(),
      revision: revision + 1,
      state: 'ended',
      running: 0,
      throttle: null,
      outcome: outcomeOf(tally(), early),
      endedAt: new Date().toISOString(),
    };
    return await finalize({ version: 1, ref, summary: written });
  }
}
