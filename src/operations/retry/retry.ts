/** Runs chosen items of an ended operation again: their chunks, then the run's record whose exclusive create decides. */
import { createHash } from 'node:crypto';
import type { Ingest } from '../../ingest/ingest.ts';
import { reach } from '../../model/crash-point.ts';
import { isTrancheError, TrancheError } from '../../model/errors.ts';
import { RUNS_MAX } from '../../model/limits.ts';
import type { OperationRecord, RunRecord } from '../../model/operation.ts';
import { refuseDeadline } from '../../model/submit-fields.ts';
import { correctionPrefix, openName, runChunkPrefix } from '../../storage/keys.ts';
import { unavailable, within } from '../deadline.ts';
import type { OperationsStorage, TargetRegistry } from '../deps.ts';
import { type Admission, fateUnknown, isFateKnown } from '../limits/admission.ts';
import type { OperationView, RetryRequest } from '../operations.ts';
import { refusePurged } from '../purge/late-run.ts';
import { readRecord, readRetries } from '../results/results.ts';
import { runStart } from '../results/runs.ts';
import type { Nudges } from '../running/nudges.ts';
import type { Starter } from '../running/starter.ts';
import type { OperationsSettings } from '../settings.ts';
import type { Status } from '../status/status.ts';
import { expiryOf, knownRecord, queuedProgress, toView } from '../status/view.ts';
import { canonicalJson } from '../submit/fingerprint.ts';
import { newUid } from '../submit/operation-id.ts';
import { createChosenChunks } from './chosen-chunks.ts';
import { type Corrections, stageCorrections } from './corrections.ts';
import { RETRYABLE, select } from './selection.ts';
import { createTurns, type Turns } from './turns.ts';

/** Walks over results that a process makes at once: each holds a few chunks. */
const WALKS_MAX = 4;
/** A refusal is answered even where the store hangs; what is left then goes with the operation. */
const DISCARD_MS = 2_000;

export interface RetryDeps {
  readonly storage: OperationsStorage;
  readonly ingest: Ingest;
  readonly targets: TargetRegistry;
  readonly starter: Starter;
  readonly status: Status;
  readonly nudges: Nudges;
  readonly admission: Admission;
  readonly settings: OperationsSettings;
}

export interface Retried {
  readonly operation: OperationView;
  readonly replayed: boolean;
}

/** One attempt to be the retry that follows `fromRun`. */
interface Attempt {
  readonly record: OperationRecord;
  readonly request: RetryRequest;
  /** The run that it would be. */
  readonly run: number;
  readonly chunkPrefix: string;
  readonly correctionPrefix: string;
}

/**
 * The same request again is the same retry, as its `fromRun` says. Throws `illegal_transition` where that run has not
 * ended, where another retry follows it already, and where nothing is left to choose; `invalid_selection` where what is
 * asked for cannot be chosen or corrected; `invalid_policy` where its deadline has passed.
 */
export function createRetry(deps: RetryDeps): (request: RetryRequest) => Promise<Retried> {
  const { storage, status, settings } = deps;
  const { storeDeadlineMs } = settings;
  const turns = createTurns(WALKS_MAX);
  return async (request) => {
    const { account, id } = request;
    const before = await status.get(account, id);
    const record = await readRecord(storage, { account, id, storeDeadlineMs });
    const latest = await latestRun(deps, record, before.run);
    const fromRun = request.fromRun ?? latest;
    if (fromRun > latest) throw refusal(`run ${fromRun} is not there yet; the latest is ${latest}`, before.state);
    // Said before a body is read.
    if (fromRun === latest) await mustHaveEnded(deps, record, before, latest);
    const attempt = attemptAt(record, request, fromRun + 1);
    try {
      const { run, begun } = await follow(deps, attempt, turns);
      if (begun) return { operation: await begin(deps, record, run), replayed: false };
      await discard(deps, attempt);
      return { operation: await replay(deps, record, run), replayed: true };
    } catch (error) {
      if (isFateKnown(error)) await discard(deps, attempt);
      throw error;
    }
  };
}

function attemptAt(record: OperationRecord, request: RetryRequest, run: number): Attempt {
  const name = newUid();
  return {
    record,
    request,
    run,
    chunkPrefix: runChunkPrefix(record.uid, run, name),
    correctionPrefix: correctionPrefix(record.uid, run, name),
  };
}

/** What others have begun since the status was read counts, too. */
async function latestRun({ storage, settings }: RetryDeps, record: OperationRecord, from: number): Promise<number> {
  const { account, id } = record;
  for (let run = from; ; run++) {
    const reading = storage.records.readRun(account, id, run + 1);
    const next = await keep('the runs', within(settings.storeDeadlineMs, 'the runs', reading));
    if (next === null) return run;
  }
}

async function mustHaveEnded(
  { storage, settings }: RetryDeps,
  { account, id }: OperationRecord,
  { state }: OperationView,
  latest: number,
): Promise<void> {
  const reading = storage.records.readSummary(account, id, latest);
  const summary = await keep('the summary', within(settings.storeDeadlineMs, 'the summary', reading));
  if (summary === null) {
    const now = state === 'ended' ? 'queued' : state;
    throw refusal(`the operation is ${now}; only what has ended is retried: cancel it or wait`, now);
  }
  if (latest >= RUNS_MAX) throw refusal(`an operation has at most ${RUNS_MAX} runs; submit what is left anew`, 'ended');
}

/** The run that follows `fromRun`: ours, or the one that stands there by the same request. */
async function follow(
  deps: RetryDeps,
  attempt: Attempt,
  turns: Turns,
): Promise<{ readonly run: RunRecord; readonly begun: boolean }> {
  const { record, request, run } = attempt;
  const { storage, ingest, settings } = deps;
  const staging = { request, prefix: attempt.correctionPrefix, total: record.total };
  const corrections = await stageCorrections({ store: storage.store, ingest, settings }, staging);
  const fingerprint = fingerprintOf(request, corrections);
  return await turns.take(async () => {
    // Its twin may have been accepted while this one waited.
    const standing = await readRun(deps, record, run);
    if (standing !== null) return { run: judge(standing, fingerprint), begun: false };
    refuseDeadline(request.deadline ?? null, null, Date.now());
    const drafted = await draft(deps, attempt, corrections, fingerprint);
    reach('retry.chunks_written');
    const accepted = await deps.admission.admitRun(record, drafted, () => accept(deps, record, drafted));
    if (accepted === null) return { run: drafted, begun: true };
    return { run: judge(accepted, fingerprint), begun: false };
  });
}

function fingerprintOf({ outcomes, codes, indexes, deadline }: RetryRequest, corrections: Corrections | null): string {
  const asked = {
    outcomes: [...new Set(outcomes.length === 0 && corrections === null ? RETRYABLE : outcomes)].sort(),
    codes: codes === null ? null : [...new Set(codes)].sort(),
    indexes: indexes === null ? null : [...new Set(indexes)].sort((a, b) => a - b),
    corrections: corrections === null ? null : [corrections.mediaType, corrections.sha256],
    ...(deadline === undefined ? {} : { deadline }),
  };
  return createHash('sha256').update(canonicalJson(asked), 'utf8').digest('hex');
}

async function readRun({ storage, settings }: RetryDeps, { account, id }: OperationRecord, run: number) {
  const reading = storage.records.readRun(account, id, run);
  return await keep('the run', within(settings.storeDeadlineMs, 'the run', reading));
}

/** Writes the chosen items' chunks. */
async function draft(
  deps: RetryDeps,
  { record, request, run, chunkPrefix }: Attempt,
  corrections: Corrections | null,
  fingerprint: string,
): Promise<RunRecord> {
  const { storage, targets, settings } = deps;
  const { storeDeadlineMs } = settings;
  const runs = await readRetries(storage, record, { upTo: run - 1, storeDeadlineMs });
  const itemsFirst = targets.findTarget(record.target)?.chunkItemsFirst;
  const format = { kind: 'json' } as const;
  const chunks = createChosenChunks({ store: storage.store, prefix: chunkPrefix, format, itemsFirst, storeDeadlineMs });
  const { itemBytesMax } = settings;
  const selection = { record, runs, request, corrections: corrections?.layer ?? null, itemBytesMax };
  const base = await select(deps, selection, chunks.add);
  const { doubts, ...layout } = await chunks.end();
  return {
    version: 1,
    run,
    fingerprint,
    prefix: chunkPrefix,
    ...layout,
    ...(doubts.some((items) => items > 0) ? { doubts } : {}),
    corrections: corrections?.layer ?? null,
    base,
    ...(request.deadline === undefined ? {} : { deadline: request.deadline }),
    createdAt: new Date().toISOString(),
    requestedBy: request.actor.subject,
    traceId: request.actor.traceId,
  };
}

/** null: the record is ours. Otherwise the one that was there before. */
async function accept(deps: RetryDeps, record: OperationRecord, run: RunRecord): Promise<RunRecord | null> {
  const { storage, settings } = deps;
  const { account, id, uid } = record;
  const { records } = storage;
  const marker = { version: 1, uid, account, operationId: id, leaseAt: Date.now(), run: run.run } as const;
  const marking = within(settings.storeDeadlineMs, 'the open marker', records.putOpen(marker));
  await keep('the open marker', marking);
  reach('retry.marker_written');
  let fault: unknown = null;
  try {
    const creating = records.createRun(account, id, run);
    if (await within(settings.storeDeadlineMs, 'the run', creating)) {
      await refusePurged({ storage, settings }, record, run);
      reach('retry.run_created');
      return null;
    }
  } catch (error) {
    if (isTrancheError(error) && error.code === 'gone') throw error;
    fault = error;
  }
  const standing = await readRun(deps, record, run.run).catch((error: unknown) => {
    fault ??= error;
    return null;
  });
  if (standing === null) {
    await refusePurged({ storage, settings }, record, run).catch((error: unknown) => {
      if (isTrancheError(error) && error.code === 'gone') throw error;
    });
    throw fateUnknown(fault);
  }
  // A driver that repeats a lost create finds its own blob standing there.
  return standing.prefix === run.prefix ? null : standing;
}

function judge(standing: RunRecord, fingerprint: string): RunRecord {
  if (standing.fingerprint === fingerprint) return standing;
  const { run } = standing;
  throw refusal(`another retry follows run ${run - 1} already: run ${run}; name the run that yours is to follow`, null);
}

/** The server has taken the start, or the open marker is the outbox: either way the run will begin. */
async function begin(
  { starter, status, settings }: RetryDeps,
  record: OperationRecord,
  run: RunRecord,
): Promise<OperationView> {
  status.enter(record, run);
  const started = await starter.start({ record, run, mode: 'start', again: true });
  reach('retry.workflow_started');
  const known = knownRecord(record);
  const view = toView(known, queuedProgress(known, runStart(run)), started);
  return { ...view, expiresAt: expiryOf(run.createdAt, settings.retentionMs) };
}

/** Whoever accepted it may have died before its start: the reconciler is to look now. */
async function replay({ starter, status, nudges }: RetryDeps, record: OperationRecord, run: RunRecord) {
  status.enter(record, run);
  const operation = await status.get(record.account, record.id);
  const isOurs = operation.run === run.run && operation.state !== 'ended';
  if (isOurs && !starter.hasStarted(record, run.run)) nudges.add(openName(record.uid, run.run));
  return operation;
}

/** Best effort. */
async function discard({ storage: { store } }: RetryDeps, attempt: Attempt): Promise<void> {
  const prefixes = [attempt.chunkPrefix, attempt.correctionPrefix];
  const deleting = Promise.all(prefixes.map((prefix) => store.deletePrefix(prefix)));
  await within(DISCARD_MS, 'the clean-up', deleting).catch(() => {});
}

function refusal(message: string, currentState: string | null): TrancheError {
  return new TrancheError('illegal_transition', message, currentState === null ? {} : { currentState });
}

async function keep<T>(what: string, work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    throw unavailable(`the retry cannot be accepted now (${what}); send it again`, error);
  }
}
