/** Applies a chunk's undecided items batch by batch to a target that answers for each of them, like single calls. */
import type { Sql } from '../../model/database.ts';
import type { Applied } from '../../model/outcome.ts';
import type { ItemLabel, TargetItem } from '../../targets/target.ts';
import type { NotCalled } from '../../vendors/vendor.ts';
import type { SliceEnd, SliceLost } from '../apply-items.ts';
import { workThroughBox } from '../box-loop.ts';
import { judge } from '../verdict.ts';
import { createWorkQueue, type Task } from '../work-queue.ts';
import type { BatchRun } from './apply-batches.ts';
import { createBatchCall } from './batch-call.ts';
import { batchFaultOf, REFUSED_TOGETHER } from './batch-fault.ts';
import { batchItemsMaxOf } from './slots.ts';

/** How soon an item is looked at again whose call could not be made. */
const NOT_CALLED_RETRY_MS = 50;
/** Items put off become due in steps of this, so that they come together as a batch again. */
const DUE_STEP_MS = 250;

interface Member {
  readonly task: Task;
  readonly item: TargetItem<unknown>;
  readonly label: ItemLabel;
}

export async function applyVendorBatches(run: BatchRun): Promise<SliceEnd | SliceLost> {
  const { control, journal } = run;
  const work = createBatchWork(run);
  try {
    await workThroughBox({
      control,
      lease: run.lease,
      boxMs: run.input.boxMs,
      limit: work.limit,
      mustEnd: () => work.mustEnd() || journal.failure() !== null,
      begin: work.begin,
      onClosing: work.close,
      nextDueMs: work.nextDueMs,
    });
  } finally {
    work.stop();
    control.end();
  }
  return control.lost() ? { begun: work.abandon() } : work.end();
}

function createBatchWork(run: BatchRun) {
  const { rows, reader, journal, lease, control, vendor, log } = run;
  const { plan, probe, ref, ordinal } = run.input;
  const itemsMax = batchItemsMaxOf(plan);
  const queue = createWorkQueue(rows, journal.mayBegin);
  const waiting = new AbortController();
  const closedUntilMs = (): number => vendor?.closedUntil() ?? 0;
  const mayCall = (): boolean => !waiting.signal.aborted && !closing() && lease.held() && closedUntilMs() <= Date.now();
  const batch = createBatchCall(run, { waiting: waiting.signal, mayCall });
  const sql: Sql = run.database ?? NO_DATABASE;
  const inFlight = new Set<number>();
  let probing = probe || vendor?.health.down === true;
  let sawOutage = false;
  let over = false;

  const closing = (): boolean => control.calledHome() || control.endingSoon() || sawOutage || run.isSpent();

  function begin(): Promise<void> | null {
    if (closedUntilMs() > Date.now()) return null;
    const members: Member[] = [];
    let refused = 0;
    while (members.length < itemsMax && refused < itemsMax) {
      const task = queue.take(Date.now(), probing);
      if (task === null) break;
      const read = reader.read(task.position);
      if (read.ok) members.push({ task, item: read.item, label: read.label });
      else {
        refused++;
        record(
          rows.decide(task.position, read.label, { outcome: 'failed', attempts: task.attempts, error: read.error }),
        );
      }
    }
    if (members.length === 0) return refused === 0 ? null : Promise.resolve();
    return applyMembers(members);
  }

  async function applyMembers(members: readonly Member[]): Promise<void> {
    for (const { task } of members) inFlight.add(task.position);
    const answers = await answersOf(members);
    if (over) return;
    observe(members, answers);
    for (const [i, member] of members.entries()) {
      const answer = answers[i];
      inFlight.delete(member.task.position);
      if (answer !== undefined) settle(member, answer);
    }
  }

  /** Without a transaction, an error says nothing of what took effect before it. */
  async function answersOf(members: readonly Member[]): Promise<readonly (Applied | NotCalled)[]> {
    try {
      return await batch.apply(
        members.map(({ item }) => item),
        sql,
      );
    } catch (cause) {
      log('error', 'a batch threw', { uid: ref.uid, ordinal, cause });
      const fault = batchFaultOf(cause, batch);
      if (fault.kind === 'away') sawOutage = true;
      const applied = { rows: REFUSED_TOGETHER, all: fault.kind === 'all' ? fault.applied : AWAY, away: AWAY }[
        fault.kind
      ];
      const same = applied.kind === 'transient' ? { ...applied, doubt: true } : applied;
      return members.map(() => same);
    }
  }

  /** A batch is one call: one observation of its vendor. */
  function observe(members: readonly Member[], answers: readonly (Applied | NotCalled)[]): void {
    const called = answers.filter((answer) => answer.kind !== 'not_called');
    const [first] = called;
    if (vendor === null || first === undefined) return;
    if (called.some(({ kind }) => kind !== 'transient')) {
      vendor.answered();
      probing = false;
    } else if (first.kind === 'transient' && first.code !== 'aborted') {
      vendor.refused(`${ref.uid}:${ordinal}:${members[0]?.task.position}`, first);
      if (vendor.health.down || (probing && first.code !== 'vendor_rate_limited')) sawOutage = true;
    }
  }

  function settle({ task, label }: Member, answer: Applied | NotCalled): void {
    if (answer.kind === 'not_called') {
      queue.putOff({ ...task, dueMs: Date.now() + NOT_CALLED_RETRY_MS });
      return;
    }
    const { position } = task;
    const trial = { counted: task.counted, attempts: task.attempts + 1, doubt: task.doubt };
    const verdict = judge(plan, trial, answer, Date.now(), sawOutage);
    if (answer.kind === 'transient' && answer.code !== 'aborted') rows.tried(position, answer.code);
    else if (rows.wasTried(position)) rows.tried(position, answer.kind === 'failed' ? answer.error.code : answer.kind);
    if (verdict.kind === 'decided') {
      record(rows.decide(position, label, verdict.decision));
      return;
    }
    const dueMs = Math.ceil(verdict.dueMs / DUE_STEP_MS) * DUE_STEP_MS;
    queue.putOff({ position, attempts: trial.attempts, counted: verdict.counted, doubt: verdict.doubt, dueMs });
  }

  function record(line: string): void {
    if (plan.journal) journal.outcome(line);
  }

  return {
    begin,
    limit: () => (probing ? 1 : plan.sliceConcurrency),
    mustEnd: () => sawOutage || run.isSpent(),
    nextDueMs(): number | null {
      const dueMs = queue.hasFresh() ? 0 : queue.nextDueMs();
      return dueMs === null ? null : Math.max(dueMs, closedUntilMs());
    },
    /** Calls that wait for a place or a slot are not made. */
    close: () => waiting.abort(),
    /** What is in flight is no longer heard. */
    stop(): void {
      over = true;
      waiting.abort();
    },
    end(): SliceEnd {
      const untouched = queue.hasFresh();
      const left = queue.drain();
      for (const { position, counted, doubt, dueMs } of left) {
        if (counted > 0 || doubt || dueMs > Date.now())
          rows.defer(position, { notBefore: dueMs, attempts: counted, doubt });
      }
      for (const position of inFlight) rows.defer(position, { ...rows.standing(position), doubt: true });
      const soonestMs = untouched || left.length === 0 ? 0 : Math.min(...left.map(({ dueMs }) => dueMs));
      const waitUntilMs = Math.round(Math.max(soonestMs, closedUntilMs()));
      return { waitUntil: waitUntilMs > Date.now() ? waitUntilMs : null, vendorDown: sawOutage, awaiting: 0 };
    },
    /** Positions that may have had their effect. */
    abandon: (): number[] => [
      ...inFlight,
      ...queue.drain().flatMap(({ doubt, position }) => (doubt ? [position] : [])),
    ],
  };
}

const AWAY: Applied = {
  kind: 'transient',
  code: 'database_unavailable',
  message: 'the database did not answer',
  doubt: true,
  counts: false,
};

const NO_DATABASE: Sql = { query: () => Promise.reject(new Error('this service has no database')) };
