/** From a request to an accepted operation: chunks, then the record whose exclusive create decides, then the start. */
import type { Ingest, Ingested } from '../../ingest/ingest.ts';
import { reach } from '../../model/crash-point.ts';
import { TrancheError } from '../../model/errors.ts';
import { failurePolicyOf } from '../../model/failure-policy.ts';
import { isAhead, type OperationRecord } from '../../model/operation.ts';
import type { Plan } from '../../model/plan.ts';
import type { QuotaStanding } from '../../model/quota.ts';
import { readSubmitFields, refuseDeadline, refusePast } from '../../model/submit-fields.ts';
import type { Standing } from '../../storage/records.ts';
import { orUnavailable, within } from '../deadline.ts';
import type { OperationsStorage, TargetRegistry } from '../deps.ts';
import { type Acceptance, type Admission, fateUnknown, isFateKnown } from '../limits/admission.ts';
import type { FormFields, OperationView, SubmitPolicy, SubmitRequest } from '../operations.ts';
import { goneError, refuseGone } from '../purge/gone.ts';
import type { Starter } from '../running/starter.ts';
import type { OperationsSettings } from '../settings.ts';
import type { Status } from '../status/status.ts';
import { knownRecord, queuedProgress, toView } from '../status/view.ts';
import { fingerprintOf } from './fingerprint.ts';
import { claimKeyless } from './keyless.ts';
import { newUid, operationIdOf } from './operation-id.ts';
import { createStaging, type Staging } from './staging.ts';

/** The middle of Temporal's five. */
const PRIORITY_DEFAULT = 3;

export interface SubmitDeps {
  readonly storage: OperationsStorage;
  readonly ingest: Ingest;
  readonly targets: TargetRegistry;
  readonly starter: Starter;
  readonly status: Status;
  readonly admission: Admission;
  readonly settings: OperationsSettings;
}

export interface Submitted {
  readonly operation: OperationView;
  readonly replayed: boolean;
  /** How the account's limits stand now; absent where none was asked. */
  readonly limits?: readonly QuotaStanding[];
}

export function createSubmit(deps: SubmitDeps): (request: SubmitRequest) => Promise<Submitted> {
  const { storage, settings } = deps;
  return async (request) => {
    const arrivedAtMs = Date.now();
    checkBeforeReading(deps.targets, request);
    await deps.admission.refuseEarly(request);
    const { stagingLeaseMs: leaseMs, storeDeadlineMs } = settings;
    const staging = createStaging({ ...storage, leaseMs, storeDeadlineMs }, request.account, newUid());
    let acceptance: Acceptance;
    try {
      const ingested = await receive(deps, request, staging);
      reach('submit.chunks_written');
      const record = await draft(deps, request, { ingested, staging });
      const late = await lateReplay(deps, request, { record, arrivedAtMs });
      acceptance =
        late ??
        (await deps.admission.admit(record, async () => {
          await keep('the open marker', staging.assign(record));
          reach('submit.marker_written');
          return await accept(deps, record);
        }));
      if (acceptance.standing !== null) judge(acceptance.standing, record);
    } catch (error) {
      if (isFateKnown(error)) await staging.discard();
      else staging.close();
      throw error;
    }
    if (acceptance.standing === null) {
      const { record, limits } = acceptance;
      return { operation: await begin(deps, record), replayed: false, ...(limits === undefined ? {} : { limits }) };
    }
    await staging.discard();
    return { operation: await replay(deps, acceptance.standing), replayed: true };
  };
}

/** What is wrong whatever the body says is said before a byte of it is read. */
function checkBeforeReading(targets: TargetRegistry, request: SubmitRequest): void {
  if (request.target !== null) choose(targets, request.target, request.policy);
  else if (!/^\s*multipart\/form-data\b/i.test(request.contentType ?? '')) throw unknownTarget(targets, null);
}

async function receive(
  { ingest, settings, targets }: SubmitDeps,
  request: SubmitRequest,
  staging: Staging,
): Promise<Ingested> {
  const { body, contentType, contentEncoding, itemsMax, signal } = request;
  const sent = { body, contentType, contentEncoding, itemsMax, signal };
  const { bytesMax, idleTimeoutMs, itemBytesMax } = settings;
  const chunkItemsFirst = request.target === null ? undefined : targets.findTarget(request.target)?.chunkItemsFirst;
  const sizes = { ...(chunkItemsFirst === undefined ? {} : { chunkItemsFirst }), ...request.intake };
  try {
    return await ingest({ ...sent, bytesMax, idleTimeoutMs, itemBytesMax, ...sizes }, staging.sink);
  } catch (error) {
    throw staging.storeFault() ?? error;
  }
}

interface Received {
  readonly ingested: Ingested;
  readonly staging: Staging;
}

async function draft(deps: SubmitDeps, request: SubmitRequest, received: Received): Promise<OperationRecord> {
  const { ingested, staging } = received;
  const form = (request.readFields ?? readForm)(ingested.fields);
  const policy = { ...request.policy, ...form.policy };
  const metadata = form.metadata ?? request.metadata;
  const account = form.account ?? request.account;
  const scheduledAt = form.scheduledAt ?? request.scheduledAt;
  const { target, plan } = choose(deps.targets, request.target ?? form.target ?? null, policy);
  const { input, total, chunkItems } = ingested;
  const fingerprint = fingerprintOf({ target, input, policy, metadata, scheduledAt });
  const now = Date.now();
  return {
    version: 1,
    id: await chooseId(deps, { ...request, account }, { fingerprint, uid: staging.uid }),
    account,
    uid: staging.uid,
    key: request.key,
    fingerprint,
    surface: request.surface,
    target,
    plan,
    chunkItems,
    total,
    input,
    metadata,
    priority: policy.priority ?? PRIORITY_DEFAULT,
    createdAt: new Date(now).toISOString(),
    scheduledAt,
    ...(policy.deadline === undefined ? {} : { deadline: policy.deadline }),
    expiresAt: new Date(now + deps.settings.retentionMs).toISOString(),
    submittedBy: request.submittedBy,
    traceId: request.traceId,
    inlineChunk: staging.inlineChunk(),
  };
}

/**
 * A time, or a deadline, that was over when the request came is refused, except to a request that was accepted while it
 * lay ahead. A surface that reads its own form says itself what a past time means.
 */
async function lateReplay(
  { storage, settings }: SubmitDeps,
  request: SubmitRequest,
  { record, arrivedAtMs }: { readonly record: OperationRecord; readonly arrivedAtMs: number },
): Promise<Acceptance | null> {
  const { account, id, scheduledAt, deadline = null } = record;
  const isLate = (time: string | null) => time !== null && !isAhead(time, arrivedAtMs);
  const refusesPast = request.readFields === undefined;
  if (!isLate(deadline) && !(refusesPast && isLate(scheduledAt))) {
    refuseDeadline(deadline, scheduledAt, arrivedAtMs);
    return null;
  }
  const reading = within(settings.storeDeadlineMs, 'the record', storage.records.readStanding(account, id));
  const standing = recordIn(await keep('the record', reading), record);
  if (standing !== null) return { record, standing };
  if (refusesPast) refusePast(scheduledAt, arrivedAtMs);
  refuseDeadline(deadline, scheduledAt, arrivedAtMs);
  return null;
}

function readForm(fields: Ingested['fields']): FormFields {
  const { target, metadata, ...rest } = readSubmitFields(fields);
  return { ...rest, ...(target === null ? {} : { target }), ...(metadata === null ? {} : { metadata }) };
}

function choose(targets: TargetRegistry, name: string | null, policy: SubmitPolicy): { target: string; plan: Plan } {
  const target = name === null ? null : targets.findTarget(name);
  if (target === null || target === undefined) throw unknownTarget(targets, name);
  return { target: target.name, plan: { ...targets.resolvePlan(target, policy), ...failurePolicyOf(policy) } };
}

function unknownTarget(targets: TargetRegistry, name: string | null): TrancheError {
  const names = targets.targetNames();
  const fault = name === null ? 'name a target' : 'there is no such target';
  return new TrancheError('unknown_target', `${fault}; take one of: ${names.join(', ')}`, { allowed: names });
}

async function chooseId(
  { storage, settings }: SubmitDeps,
  request: SubmitRequest,
  fresh: { readonly fingerprint: string; readonly uid: string },
): Promise<string> {
  if (request.id !== null) return request.id;
  if (request.key !== null) return operationIdOf(request.key);
  if (request.keylessReplayWindowMs === 0) return fresh.uid;
  const { account, keylessReplayWindowMs: windowMs } = request;
  const claim = { account, fingerprint: fresh.fingerprint, windowMs, freshId: fresh.uid };
  const claiming = claimKeyless(storage.store, storage.records, claim);
  const id = await keep('the claim', within(settings.storeDeadlineMs, 'the claim', claiming));
  reach('submit.keyless_claimed');
  return id;
}

async function accept({ storage, settings }: SubmitDeps, record: OperationRecord): Promise<Acceptance> {
  const { records } = storage;
  let fault: unknown = null;
  try {
    const created = await within(settings.storeDeadlineMs, 'the record', records.createRecord(record));
    if (created) {
      reach('submit.record_created');
      return { record, standing: null };
    }
  } catch (error) {
    fault = error;
  }
  const reading = records.readStanding(record.account, record.id);
  const found = await within(settings.storeDeadlineMs, 'the record', reading).catch((error: unknown) => {
    fault ??= error;
    return null;
  });
  const standing = recordIn(found, record);
  if (standing === null) throw fateUnknown(fault);
  // A driver that repeats a lost create finds its own blob standing there.
  return standing.uid === record.uid ? { record, standing: null } : { record, standing };
}

/** As long as a tombstone stands, the same request gets what a reader of the operation gets: it is not done again. */
function recordIn(standing: Standing | null, sent: OperationRecord): OperationRecord | null {
  if (standing === null || standing.tombstone === null) return standing?.record ?? null;
  judge(standing.tombstone, sent);
  throw goneError(standing.tombstone);
}

/** The key decides too: a client's own key may look like the name made from another's. */
function judge(standing: Pick<OperationRecord, 'fingerprint' | 'key'>, sent: OperationRecord): void {
  if (standing.fingerprint === sent.fingerprint && standing.key === sent.key) return;
  throw new TrancheError(
    'idempotency_key_reused',
    'this idempotency key belongs to a request with another target, payload or policy; take a new key',
  );
}

/** The server has taken the start, or the open marker is the outbox: either way the operation will run. */
async function begin({ starter, status }: SubmitDeps, record: OperationRecord): Promise<OperationView> {
  status.remember(record);
  const started = await starter.start({ record, run: null, mode: 'start', again: false });
  reach(started ? 'submit.workflow_started' : 'submit.left_to_outbox');
  const known = knownRecord(record);
  return toView(known, queuedProgress(known), started);
}

/** A summary that cannot be read is not "not ended": started again, what was cancelled would be applied. */
async function replay(
  { starter, status, storage, settings }: SubmitDeps,
  standing: OperationRecord,
): Promise<OperationView> {
  const { account, id } = standing;
  const { records } = storage;
  const read = <T>(what: string, work: Promise<T>) => keep(what, within(settings.storeDeadlineMs, what, work));
  status.remember(standing);
  const summary = await read('the summary', records.readSummary(account, id, 1));
  const last = await status.stored(account, id);
  if (last.state === 'ended') return last;
  // A retry goes on: the same operation, whatever its run.
  if (summary !== null) return await status.get(account, id);
  if (!starter.hasStarted(standing, 1)) {
    // Its summary may have gone with it.
    await read('the record', refuseGone(records, standing));
    const checkpoint = await read('the checkpoint', records.readCheckpoint(account, id));
    const mode = checkpoint === null ? 'start' : 'resume';
    if (!(await starter.start({ record: standing, run: null, mode, again: false }))) return last;
  }
  return await status.get(account, id);
}

function keep<T>(what: string, work: Promise<T>): Promise<T> {
  return orUnavailable(`the operation cannot be kept now (${what}); send it again`, work);
}
