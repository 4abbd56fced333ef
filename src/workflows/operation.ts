/** The workflow of one operation: keeps a window of chunks in work, obeys its operators, ends with a summary. */
import {
  CancellationScope,
  condition,
  continueAsNew,
  setHandler,
  sleep,
  upsertSearchAttributes,
  workflowInfo,
} from '@temporalio/workflow';
import { decidedItems, EMPTY_TALLY } from '../model/operation.ts';
import type { OperationInput } from '../model/workflow-contract.ts';
import { settle, survey } from './activities.ts';
import { createCrew } from './crew.ts';
import { createLedger, type Ledger } from './ledger.ts';
import { freshChunk } from './progress.ts';
import { cancelSignal, pauseSignal, progressQuery, progressSignal, resumeSignal, stateAttributes } from './signals.ts';

export async function operation(input: OperationInput): Promise<void> {
  const ledger = createLedger(input);
  const wishes = listen(ledger);
  // An operator's `temporal workflow cancel` is a cancel like any other: it must end in a truthful operation.
  CancellationScope.current().cancelRequested.catch(() => wishes.cancel());
  await CancellationScope.nonCancellable(() => live(input, ledger, wishes));
}

/** What operators want; `changed` is looked at between any two steps. */
interface Wishes {
  paused: boolean;
  cancelled: boolean;
  cancel(): void;
}

function listen(ledger: Ledger): Wishes {
  const wishes: Wishes = {
    paused: ledger.paused(),
    cancelled: false,
    cancel() {
      if (wishes.cancelled) return;
      wishes.cancelled = true;
      ledger.enter('cancelling');
    },
  };
  setHandler(progressSignal, (progress) => ledger.report(progress.ordinal, progress.tally, progress.throttle));
  setHandler(cancelSignal, () => wishes.cancel());
  setHandler(pauseSignal, () => {
    if (wishes.cancelled || wishes.paused) return;
    wishes.paused = true;
    ledger.enter('pausing');
  });
  setHandler(resumeSignal, () => {
    if (wishes.cancelled || !wishes.paused) return;
    wishes.paused = false;
    ledger.enter('running');
  });
  return wishes;
}

async function live(input: OperationInput, ledger: Ledger, wishes: Wishes): Promise<void> {
  if (input.carried === null && !(await begin(input, ledger, wishes))) return;
  setHandler(progressQuery, ledger.progress);
  while (!wishes.cancelled && !ledger.finished()) {
    if (wishes.paused) await rest(ledger, wishes);
    else if (await workUntilCalled(input, ledger, wishes)) return await passOn(input, ledger, wishes);
  }
  if (wishes.cancelled) await giveUpTheRest(input, ledger);
  await ledger.end(wishes.cancelled && decidedBySlices(ledger) < input.total);
}

/**
 * A first run goes to work at once; one that follows a lost workflow first reads what the log holds, and answers no
 * query before: readers fall back to the checkpoint. False: there is nothing left to do.
 */
async function begin(input: OperationInput, ledger: Ledger, wishes: Wishes): Promise<boolean> {
  if (input.mode === 'start') return true;
  upsertSearchAttributes(stateAttributes('running', null));
  // Slices of the lost workflow end with their lease; only then does the log say all that was done.
  // Children are ended after their parent, hence twice.
  await sleep(2 * input.plan.heartbeatTimeoutMs);
  const { ref, run, chunkItems, plan } = input;
  // What left no trace may have been begun all the same, as far as a window reaches.
  const windowMax = input.mode === 'settle_untouched' ? 0 : plan.windowMax;
  const found = await survey({ version: 1, ref, run, chunkItems, windowMax, boxMs: plan.boxMs });
  if (found.ended) return false;
  ledger.adopt(found);
  if (found.paused) wishes.paused = true;
  if (input.mode !== 'resume') wishes.cancel();
  return true;
}

/** Paused: nothing runs, nothing is scheduled. */
async function rest(ledger: Ledger, wishes: Wishes): Promise<void> {
  ledger.enter('paused');
  upsertSearchAttributes(stateAttributes('paused', null));
  await condition(() => !wishes.paused || wishes.cancelled);
  if (!wishes.cancelled) upsertSearchAttributes(stateAttributes('running', null));
}

/** True where the history has grown so long that the work must go on in a new run. */
async function workUntilCalled(input: OperationInput, ledger: Ledger, wishes: Wishes): Promise<boolean> {
  const tooLong = () =>
    workflowInfo().historyLength > input.plan.historyEventsMax || workflowInfo().continueAsNewSuggested;
  const crew = createCrew(input, ledger);
  const called = () => wishes.cancelled || wishes.paused;
  const home = () => crew.atWork() === 0;
  while (!called() && !tooLong()) {
    crew.fill();
    if (home()) return false;
    await condition(() => called() || tooLong() || crew.hasRoom());
  }
  if (!called()) {
    crew.callHome('after_slice');
    await condition(() => called() || home());
  }
  if (called()) crew.callHome('now');
  await condition(home);
  return tooLong() && !called() && !ledger.finished();
}

async function passOn(input: OperationInput, ledger: Ledger, wishes: Wishes): Promise<never> {
  return await continueAsNew<typeof operation>({ ...input, carried: ledger.carry(wishes.paused) });
}

function decidedBySlices(ledger: Ledger): number {
  const { succeeded, failed, skipped } = ledger.tally();
  return succeeded + failed + skipped;
}

/** Every chunk that was begun is decided from its log; those never begun are cancelled as a whole. */
async function giveUpTheRest(input: OperationInput, ledger: Ledger): Promise<void> {
  const { ref, plan, run, source } = input;
  for (const { ordinal, lost } of ledger.openChunks()) {
    const { tally } = await settle({ version: 1, ref, plan, run, ordinal, source, lost });
    ledger.finish({ ...freshChunk(ordinal, plan), tally }, null);
  }
  const untouched = input.total - decidedItems(ledger.tally());
  ledger.add({ ...EMPTY_TALLY, cancelled: untouched });
}
