/** The workflow of one operation: keeps a window of chunks in work, obeys its operators, ends with a summary. */
import {
  CancellationScope,
  condition,
  continueAsNew,
  isCancellation,
  patched,
  setHandler,
  sleep,
  upsertSearchAttributes,
  workflowInfo,
} from '@temporalio/workflow';
import { decidedItems, EMPTY_TALLY, sumItems } from '../model/operation.ts';
import type { OperationInput } from '../model/workflow-contract.ts';
import { careActivities, prepareActivity } from './activities.ts';
import { createCrew } from './crew.ts';
import { keepDeadline } from './deadline.ts';
import { bringUpToDate } from './former-input.ts';
import { createLedger, type Ledger } from './ledger.ts';
import { freshChunk, SLEEP_MAX_MS, widestPlan } from './progress.ts';
import { progressQuery, stateAttributes } from './signals.ts';
import { listen, type Wishes } from './wishes.ts';

/** Thousands may wait for callbacks when they are cancelled. */
const SETTLED_AT_ONCE = 8;

export async function operation(given: OperationInput): Promise<void> {
  const input = bringUpToDate(given);
  const ledger = createLedger(input);
  const wishes = listen(input, ledger);
  // An operator's `temporal workflow cancel` is a cancel like any other: it must end in a truthful operation.
  CancellationScope.current().cancelRequested.catch(() => wishes.cancel());
  await CancellationScope.nonCancellable(() => live(input, ledger, wishes));
}

async function live(input: OperationInput, ledger: Ledger, wishes: Wishes): Promise<void> {
  if (input.carried === null && !(await lookBack(input, ledger, wishes))) return;
  setHandler(progressQuery, ledger.progress);
  keepDeadline(ledger, wishes);
  const historyIsLong = () =>
    workflowInfo().historyLength > input.plan.historyEventsMax || workflowInfo().continueAsNewSuggested;
  const passOn = () => continueAsNew<typeof operation>({ ...input, carried: ledger.carry(wishes.paused) });

  while (!wishes.cancelled && !ledger.finished()) {
    if (!ledger.hasBegun()) await awaitItsTime(input, ledger, { wishes, historyIsLong });
    else if (wishes.paused) await rest(ledger, { wishes, historyIsLong });
    else if (ledger.needsPreparing()) await prepareChunks(input, ledger, wishes);
    else await workUntilCalled(input, ledger, { wishes, historyIsLong });
    if (!historyIsLong() || wishes.cancelled || ledger.finished()) continue;
    if (ledger.failures.told() !== null) await ledger.failures.told();
    if (!wishes.cancelled) return await passOn();
  }
  if (wishes.cancelled) await giveUpTheRest(input, ledger);
  const early = wishes.cancelled && !allDecidedBySlices(input, ledger);
  ledger.failures.end(early);
  // What the service itself did stands in the audit trail before the workflow that did it is gone.
  if (ledger.failures.told() !== null) await ledger.failures.told();
  await ledger.end(early);
}

interface Bounds {
  readonly wishes: Wishes;
  /** So long that the work must go on in a new run of the workflow. */
  readonly historyIsLong: () => boolean;
}

/**
 * A first run goes to work at once; one that follows a lost workflow first reads what the log holds, and answers no
 * query before: readers fall back to the checkpoint. False: there is nothing left to do.
 */
async function lookBack(input: OperationInput, ledger: Ledger, wishes: Wishes): Promise<boolean> {
  if (input.mode === 'start') return true;
  // Slices of the lost workflow end with their lease; only then does the log say all that was done.
  // Children are ended after their parent, hence twice.
  await sleep(2 * input.plan.heartbeatTimeoutMs);
  const { ref, run, chunkItems, plan } = input;
  // What left no trace may have been begun all the same, as far as a window reaches.
  const windowMax = input.mode === 'settle_untouched' ? 0 : plan.windowMax;
  const scheduled = input.scheduledAt !== null;
  const { survey } = careActivities(plan);
  const log = await survey({ version: 1, ref, run, chunkItems, windowMax, boxMs: plan.boxMs, scheduled });
  if (log.ended) return false;
  const found = { ...log, paused: log.paused && !wishes.resumed };
  ledger.adopt(found);
  if (wishes.resumed) ledger.failures.lift();
  if (found.paused) wishes.paused = true;
  if (input.mode !== 'resume' || found.cancelled) wishes.cancel();
  else if (ledger.hasBegun()) upsertSearchAttributes(stateAttributes('running', null));
  ledger.failures.judge();
  return true;
}

/** Scheduled: one timer, and nothing else happens until it is over, or until somebody wants something. */
async function awaitItsTime(input: OperationInput, ledger: Ledger, { wishes, historyIsLong }: Bounds): Promise<void> {
  if (ledger.dueAtMs() !== null) {
    // The one that was started so is listed so.
    if (input.mode !== 'start' || input.carried !== null || ledger.amended().scheduledAt !== undefined) {
      upsertSearchAttributes(stateAttributes('scheduled', null));
    }
    void ledger.save();
  }
  for (let dueAtMs = ledger.dueAtMs(); dueAtMs !== null; dueAtMs = ledger.dueAtMs()) {
    const changed = () => wishes.cancelled || historyIsLong() || ledger.dueAtMs() !== dueAtMs;
    await condition(changed, Math.min(SLEEP_MAX_MS, dueAtMs - Date.now()));
    if (wishes.cancelled || historyIsLong()) return;
  }
  if (!wishes.cancelled) await ledger.begin();
}

/** Paused: nothing runs, nothing is scheduled. */
async function rest(ledger: Ledger, { wishes, historyIsLong }: Bounds): Promise<void> {
  ledger.enter('paused');
  // The checkpoint that says of the halt may still be on its way, and says that it is about to pause.
  if (ledger.failures.kept().halt !== undefined) void ledger.save();
  upsertSearchAttributes(stateAttributes('paused', null));
  await condition(() => !wishes.paused || wishes.cancelled || historyIsLong());
  if (!wishes.cancelled && !wishes.paused) upsertSearchAttributes(stateAttributes('running', null));
}

/** Marks duplicates before the first slice. Called home in the middle, it is done from the start another time. */
async function prepareChunks(input: OperationInput, ledger: Ledger, wishes: Wishes): Promise<void> {
  const { ref, plan, run, source, chunkItems } = input;
  const prepare = prepareActivity(plan, ledger.amended());
  const scope = new CancellationScope({ cancellable: true });
  let over = false;
  const preparing = scope
    .run(() => prepare({ version: 1, ref, plan, run, source, chunkItems }))
    .then(() => ledger.prepared())
    .catch((error: unknown) => {
      if (!isCancellation(error)) throw error;
    })
    .finally(() => {
      over = true;
    });
  await condition(() => over || wishes.cancelled || wishes.paused);
  scope.cancel();
  await preparing;
}

async function workUntilCalled(
  input: OperationInput,
  ledger: Ledger,
  { wishes, historyIsLong }: Bounds,
): Promise<void> {
  wishes.amended = false;
  ledger.failures.countAfresh();
  const crew = createCrew(input, ledger);
  wishes.onArrival = crew.tell;
  const called = () => wishes.cancelled || wishes.paused || wishes.amended;
  const home = () => crew.atWork() === 0;
  const mustComeHome = () => historyIsLong() || crew.isDealtOut();
  while (!called() && !mustComeHome()) {
    crew.fill();
    if (home() && crew.waiting() === 0) return;
    await condition(() => called() || mustComeHome() || crew.hasRoom());
  }
  if (!called()) {
    crew.callHome('after_slice');
    await condition(() => called() || home());
  }
  if (called()) crew.callHome('now');
  await condition(home);
}

/** Of this run's items, whatever earlier runs have left undone. */
function allDecidedBySlices({ base, chunkItems }: OperationInput, ledger: Ledger): boolean {
  const { succeeded, failed, skipped } = ledger.tally();
  return succeeded + failed + skipped - base.succeeded - base.failed - base.skipped >= sumItems(chunkItems);
}

/** Every chunk that was begun is decided from its log; those never begun are cancelled as a whole, but for what was in doubt. */
async function giveUpTheRest(input: OperationInput, ledger: Ledger): Promise<void> {
  const { ref, run, source, base, chunkItems } = input;
  const plan = widestPlan(input.plan, ledger.amended());
  const { settle } = careActivities(plan);
  const open = [...ledger.openChunks()];
  async function settleNext(): Promise<void> {
    for (let next = open.shift(); next !== undefined; next = open.shift()) {
      const { ordinal, lost } = next;
      const { tally } = await settle({ version: 1, ref, plan, run, ordinal, source, lost });
      ledger.finish({ ...freshChunk(ordinal, plan), tally }, null);
    }
  }
  // Whoever goes on after a loss must not go on with what was cancelled.
  const isKept = patched('a-cancel-is-kept');
  if (isKept) void ledger.save();
  await Promise.all(Array.from({ length: isKept ? SETTLED_AT_ONCE : 1 }, settleNext));
  const untouched = sumItems(chunkItems) + decidedItems(base) - decidedItems(ledger.tally());
  const inDoubt = sumItems((input.doubts ?? []).slice(ledger.nextChunk()));
  ledger.add({ ...EMPTY_TALLY, unknown: inDoubt, cancelled: untouched - inDoubt });
}
