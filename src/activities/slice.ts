/** One slice: reads the chunk's log, applies what is undecided within its time box, commits one segment. */
import { ApplicationFailure, activityInfo, cancellationSignal, heartbeat } from '@temporalio/activity';
import { type Chunk, keyRunAt, positionOf } from '../model/chunk.ts';
import { reach } from '../model/crash-point.ts';
import { isSpent, since, standingOf } from '../model/failure-policy.ts';
import {
  addTallies,
  decidedItems,
  EMPTY_TALLY,
  earlierItemsOf,
  outcomeOf,
  type Progress,
  type Tally,
} from '../model/operation.ts';
import type { OperationEnd, SliceAnswer, SliceInput, SliceLimit, VendorPressure } from '../model/workflow-contract.ts';
import { journalKey } from '../storage/keys.ts';
import { letGo } from '../storage/let-go.ts';
import { NO_MARKS, readMarks } from '../storage/marks.ts';
import type { ChunkLogRef } from '../storage/segments.ts';
import { createItemReader } from '../targets/item-reader.ts';
import type { Target } from '../targets/target.ts';
import type { Vendor } from '../vendors/vendor-standing.ts';
import { applyItems } from './apply-items.ts';
import type { CallbackUrl } from './attempt.ts';
import { applyBatches } from './batches/apply-batches.ts';
import { nothingBegunBefore, sayNothingBegun } from './begun.ts';
import { openInbox } from './callbacks/inbox.ts';
import { readChunk } from './chunk-blob.ts';
import { type Control, createControl } from './control.ts';
import { ALONE, createCrowd, type Visit } from './crowd.ts';
import type { ActivityDeps } from './deps.ts';
import { createFinalize } from './finalize.ts';
import { openJournal, reachUnjournalled, readLeavings } from './journal.ts';
import { type Lease, startLease } from './lease.ts';
import { createRows, type Rows } from './rows.ts';
import { targetOf } from './target-of.ts';
import { createTurnstile } from './turnstile.ts';

export function createSlice(deps: ActivityDeps) {
  const turnstile = createTurnstile();
  const crowd = createCrowd(deps.slicesMax);
  let running = 0;
  return async function slice(input: SliceInput): Promise<SliceAnswer> {
    running++;
    const control = createControl();
    const lease = leaseOf(deps, input, control);
    const cancelled = cancellationSignal();
    cancelled.addEventListener('abort', control.callHome);
    deps.stopping.addEventListener('abort', control.endSoon);
    if (deps.stopping.aborted) control.endSoon();
    const { plan, ref } = input;
    const visit = plan.vendor === null ? ALONE : crowd.enter(plan.vendor, ref.account);
    let leave = () => {};
    const begun = { own: false, before: !nothingBegunBefore(activityInfo().attempt, activityInfo().heartbeatDetails) };
    try {
      const target = targetOf(deps, input.plan.target);
      leave = await turnstile.enter(target, control);
      const answer = await runSlice({ deps: traced(deps, input), input, target, control, lease, visit, begun });
      return { ...answer, contended: running >= deps.slicesMax };
    } catch (error) {
      if (begun.own) throw endOfActivity(error);
      if (!begun.before) sayNothingBegun();
      throw error;
    } finally {
      cancelled.removeEventListener('abort', control.callHome);
      deps.stopping.removeEventListener('abort', control.endSoon);
      lease.stop();
      control.end();
      leave();
      visit.leave();
      running--;
    }
  };
}

/** Every line of a slice's log says whose work it was. */
function traced(deps: ActivityDeps, { ref, ordinal }: SliceInput): ActivityDeps {
  const whose = { traceId: ref.traceId, operationId: ref.id, account: ref.account, chunk: ordinal };
  return { ...deps, log: (level, message, facts) => deps.log(level, message, { ...whose, ...facts }) };
}

/** The workflow hears of it at once: while the server kept it for another attempt, a cancel would hide that it had begun. */
function endOfActivity(error: unknown): ApplicationFailure {
  const { message, type } = ApplicationFailure.fromError(error);
  return ApplicationFailure.create({
    message,
    ...(type ? { type } : {}),
    nonRetryable: true,
    ...(error instanceof Error ? { cause: error } : {}),
  });
}

type Answer = Omit<SliceAnswer, 'contended'>;

interface Parts {
  readonly deps: ActivityDeps;
  readonly input: SliceInput;
  readonly target: Target;
  readonly control: Control;
  readonly lease: Lease;
  /** So many slices of this vendor may be here that this one is not to stay if it would only wait. */
  readonly visit: Visit;
  /** Whether calls may have been made: by this attempt, by one before it. */
  readonly begun: { own: boolean; readonly before: boolean };
}

/** How soon a slice comes back that was sent away: others of its vendor work meanwhile. */
const SENT_AWAY_MS = 5_000;
/** A box is shortened by up to this share of it, by lot. */
const BOX_SPREAD = 0.4;

async function runSlice({ deps, input, target, control, lease, visit, begun }: Parts): Promise<Answer> {
  const { ref, plan, run, ordinal } = input;
  const at: ChunkLogRef = { uid: ref.uid, run, ordinal };
  const startedAtMs = performance.now();

  const chunk = await readChunk(deps, input);
  const log = await deps.segments.readLog(at, chunk);
  const lost = input.lost || begun.before;
  const leavings = await readLeavings(deps, { ...at, seq: log.nextSeq, chunk, lost, plan });
  reach('slice.log_read');
  const reader = createItemReader(chunk, target, ref.uid);
  const marks = plan.dedupe ? await readMarks(deps.store, at) : NO_MARKS;
  const rows = createRows({ chunk, log, leavings, reader, plan, marks });
  const decidedBefore = decidedItems(rows.tally());

  const key = journalKey(ref.uid, run, ordinal, log.nextSeq, attemptName());
  const reachFirst = reachUnjournalled(plan);
  const journal = openJournal({ store: deps.store, key, startedAtMs, reach: reachFirst, onReach: control.wake });
  const { store } = deps;
  const { readCallback } = target;
  const onLook = control.wake;
  const inbox = await openInbox({ store, uid: ref.uid, chunk, rows, reader, readCallback, onLook, log: deps.log });
  try {
    const vendor = vendorOf(deps, plan.vendor);
    const callbackUrl = callbackUrlOf(deps, input, target, chunk);
    const sentAway = vendor !== null && makesWait(vendor) && visit.sendAway();
    const boxed = { ...input, boxMs: sentAway ? 0 : unevenly(input.boxMs) };
    const spent = spentBy(rows, input.limit);
    const sliceRun = {
      input: boxed,
      target,
      rows,
      reader,
      journal,
      lease,
      control,
      vendor,
      isSpent: spent,
      log: deps.log,
    };
    // Handed out late, it would spend its whole box waiting for the right to work, slice after slice.
    if (!lease.held()) await lease.renew();
    begun.own = true;
    const ended =
      target.applyBatch === undefined
        ? await applyItems({ ...sliceRun, inbox, callbackUrl })
        : await applyBatches({ ...sliceRun, database: deps.database });
    if ('begun' in ended) {
      journal.farewell(ended.begun);
      throw ApplicationFailure.retryable('the slice has lost its lease', 'lease_lost');
    }
    await journal.close();
    const committed = await commit(deps, at, log.nextSeq, rows, lease);
    await tidy(deps, journal.written() ? [...leavings.journals, key] : leavings.journals);
    await inbox.clear();
    reach('slice.journals_deleted');
    const summary =
      committed.done && input.ends !== null ? await endOperation(deps, input, input.ends, committed.tally) : null;
    if (summary !== null) reach('slice.summary_written');
    const decided = decidedItems(committed.tally) - decidedBefore;
    const pressure = pressureOn(vendor, decided, performance.now() - startedAtMs);
    const waitUntil = sentAway ? Math.max(ended.waitUntil ?? 0, Date.now() + SENT_AWAY_MS) : ended.waitUntil;
    return { ...committed, ...ended, waitUntil, ...(pressure === null ? {} : { pressure }), summary };
  } finally {
    inbox.stop();
    rows.end();
    letGo(chunk.payload);
    await journal.close().catch((cause) => deps.log('warn', 'a journal could not be closed', { cause }));
  }
}

/** Slices that began together must not all end together: their commits would hold up every call of their workers. */
function unevenly(boxMs: number): number {
  return boxMs * (1 - BOX_SPREAD * Math.random());
}

function pressureOn(vendor: Vendor | null, decided: number, elapsedMs: number): VendorPressure | null {
  const pressure = vendor?.pressure() ?? null;
  if (pressure === null) return null;
  const { latencyMs, ...granted } = pressure;
  return latencyMs === null ? granted : { ...granted, inFlight: (decided * latencyMs) / Math.max(1, elapsedMs) };
}

function makesWait(vendor: Vendor): boolean {
  return vendor.pressure() !== null || vendor.health.down || vendor.closedUntil() > Date.now();
}

/** True once this slice has used up what its chunk may fail: it comes home, and the operation decides. */
function spentBy(rows: Rows, limit: SliceLimit | undefined): () => boolean {
  if (limit === undefined) return () => false;
  return () => isSpent(limit.allowance, since(limit.from, standingOf(rows.tally())));
}

/** Exclusive create decides between two slices of one chunk; who comes second adopts what stands there. */
async function commit(deps: ActivityDeps, at: ChunkLogRef, seq: number, rows: Rows, lease: Lease) {
  const done = rows.undecided() === 0;
  if (!rows.changed()) return { tally: rows.tally(), done };
  if (!lease.held() && !(await lease.renew())) {
    throw ApplicationFailure.retryable('the slice lost its lease and commits nothing', 'lease_lost');
  }
  const segment = rows.segment(deps.segments.isCumulative(seq));
  reach('slice.before_commit');
  if (!(await deps.segments.commit(at, seq, segment))) {
    throw ApplicationFailure.retryable('another slice committed this segment first', 'segment_taken');
  }
  reach('slice.committed');
  letGo(segment.outcomeLines);
  if (done && seq > 0) {
    await deps.segments.compact(at, rows.segment(true));
    reach('slice.compacted');
  }
  return { tally: rows.tally(), done };
}

/** As finalize does, without another trip over the server: most operations are one slice long. */
async function endOperation(deps: ActivityDeps, input: SliceInput, end: OperationEnd, tally: Tally): Promise<Progress> {
  const now = new Date().toISOString();
  // A slice that an earlier release began says nothing of runs.
  const { base = EMPTY_TALLY, amended = {} }: Partial<OperationEnd> = end;
  const whole = addTallies(base, tally);
  const summary: Progress = {
    version: 1,
    run: input.run,
    revision: end.revision,
    state: 'ended',
    outcome: outcomeOf(whole, false),
    tally: whole,
    ...earlierItemsOf(base),
    running: 0,
    throttle: null,
    amended,
    ...(end.deadline === undefined ? {} : { deadline: end.deadline }),
    startedAt: end.startedAt,
    endedAt: now,
    asOf: now,
  };
  return await createFinalize(deps).finalize({ version: 1, ref: input.ref, summary });
}

/** Journals whose rows are committed are of no more use; what cannot be deleted goes with the operation. */
async function tidy(deps: ActivityDeps, journals: readonly string[]): Promise<void> {
  for (const key of journals) {
    await deps.store.deleteLog(key).catch((cause) => deps.log('debug', 'a journal stays', { cause, key }));
  }
}

/** A worker of another release may not know it: the work is kept until one comes that does. */
function vendorOf(deps: ActivityDeps, name: string | null): Vendor | null {
  if (name === null) return null;
  const vendor = deps.findVendor(name);
  if (vendor === undefined) throw ApplicationFailure.retryable(`this worker has no vendor ${name}`, 'unknown_vendor');
  return vendor;
}

/** A worker without the secret leaves the work to one that has it. */
function callbackUrlOf(deps: ActivityDeps, { ref, plan }: SliceInput, target: Target, chunk: Chunk): CallbackUrl {
  const { callbackUrl } = deps;
  const { account, id, uid } = ref;
  const vendor = plan.vendor ?? target.name;
  if (target.submit !== undefined && callbackUrl === null) {
    throw ApplicationFailure.retryable('this worker has no CALLBACK_SECRET or no CALLBACK_BASE_URL', 'no_callbacks');
  }
  return ({ index }) =>
    callbackUrl?.({ vendor, account, id, uid, keyRun: keyRunAt(chunk, positionOf(chunk, index)), index }) ?? '';
}

function leaseOf(deps: ActivityDeps, input: SliceInput, control: Control): Lease {
  const info = activityInfo();
  return startLease({
    taskToken: info.taskToken,
    heartbeatTimeoutMs: input.plan.heartbeatTimeoutMs,
    grantedAtMs: info.currentAttemptScheduledTimestampMs,
    beat: deps.heartbeat,
    beatSdk: heartbeat,
    onCalledHome: control.callHome,
    onLost: control.lose,
    onRenewed: control.wake,
  });
}

function attemptName(): string {
  const { activityId, attempt, workflowExecution } = activityInfo();
  return `${workflowExecution?.runId ?? 'none'}-${activityId}-${attempt}`;
}
