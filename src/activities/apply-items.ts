/** Applies a chunk's undecided items with bounded concurrency until none is left, the time box is over or it is called home. */
import { reach } from '../model/crash-point.ts';
import type { Applied, Submitted } from '../model/outcome.ts';
import type { ItemReader } from '../targets/item-reader.ts';
import type { ItemLabel, Polled, TargetItem } from '../targets/target.ts';
import type { NotCalled } from '../vendors/vendor.ts';
import { type AttemptDeps, type CallbackUrl, createAttempt } from './attempt.ts';
import type { Inbox } from './callbacks/inbox.ts';
import type { Journal } from './journal.ts';
import type { Rows } from './rows.ts';
import { judge, unanswered } from './verdict.ts';
import { createWorkQueue, type Task } from './work-queue.ts';

export interface SliceRun extends AttemptDeps {
  readonly rows: Rows;
  readonly reader: ItemReader;
  readonly journal: Journal;
}

/** What items one by one need beside: their vendor may answer by callback. */
export interface ItemsRun extends SliceRun {
  readonly inbox: Inbox;
  readonly callbackUrl: CallbackUrl;
}

export interface SliceEnd {
  /** Epoch ms before which nothing that is left may be tried; null = at once. */
  readonly waitUntil: number | null;
  readonly vendorDown: boolean;
  /** Items that a vendor has taken and owes a callback for. */
  readonly awaiting: number;
}

/** Work without I/O gives the event loop back after this long, so that heartbeats go out. */
const BURST_MS = 10;
/** How soon an item is looked at again whose call could not be made (the lease was being renewed). */
const NOT_CALLED_RETRY_MS = 50;
/** A callback that is overdue so soon is waited for; no slice stays for longer ones. */
const OVERDUE_SOON_MS = 1_000;
/** Overdue callbacks are gathered for this share of their time, so that a slow vendor does not cost a slice for each. */
const GATHERED_SHARE = 20;
const GATHERED_MAX_MS = 60_000;

/** The lease is lost: nothing that the slice holds may be committed. `begun`: positions that may have had their effect. */
export interface SliceLost {
  readonly begun: readonly number[];
}

export function applyItems(run: ItemsRun): Promise<SliceEnd | SliceLost> {
  // Lost while it read its chunk.
  if (run.control.lost()) return Promise.resolve({ begun: [] });
  return new Promise((resolve) => {
    const engine = createEngine(run, (end) => {
      run.control.end();
      resolve(end);
    });
    run.control.onWake(() => {
      if (!run.control.lost()) return engine.pump();
      run.control.end();
      resolve({ begun: engine.abandon() });
    });
    engine.pump();
  });
}

function createEngine(run: ItemsRun, finish: (end: SliceEnd) => void) {
  const { rows, reader, journal, inbox, lease, control, vendor } = run;
  const { plan, probe, boxMs, ref, ordinal } = run.input;
  const boxEndMs = Date.now() + boxMs;
  const queue = createWorkQueue(rows, journal.mayBegin);
  /** Aborted when nothing more is to begin: calls that wait for a place or a slot are not made. */
  const waiting = new AbortController();
  const mayCall = (): boolean => !waiting.signal.aborted && lease.held() && closedUntilMs() <= Date.now();
  const attempt = createAttempt(run, { waiting: waiting.signal, mayCall });
  const boxTimer = setTimeout(pump, boxMs);
  const inFlight = new Set<number>();
  let active = 0;
  let probing = probe || vendor?.health.down === true;
  let sawOutage = false;
  let ended = false;
  let timer: NodeJS.Timeout | undefined;

  const closedUntilMs = (): number => vendor?.closedUntil() ?? 0;
  const closing = (): boolean =>
    control.calledHome() ||
    control.endingSoon() ||
    sawOutage ||
    journal.failure() !== null ||
    Date.now() >= boxEndMs ||
    run.isSpent();

  function pump(): void {
    if (ended) return;
    if (closing() && !waiting.signal.aborted) waiting.abort();
    const limit = probing ? 1 : plan.sliceConcurrency;
    const burstEnd = performance.now() + BURST_MS;
    for (let begun = 1; active < limit && !closing(); begun++) {
      const mayBegin = lease.held() && closedUntilMs() <= Date.now();
      const task = mayBegin ? (queue.take(Date.now(), probing) ?? queue.takeOverdue(inbox.lookedAtMs())) : null;
      if (task === null) break;
      begin(task);
      if ((begun & 63) === 0 && performance.now() > burstEnd) {
        setImmediate(pump);
        return;
      }
    }
    if (active === 0 && (closing() || !moreInBox())) end();
    // Where every place is taken, the next answer wakes: no timer for each of them.
    else if (active < limit) rest();
  }

  /** False where nothing that is left can begin before the box is over. */
  function moreInBox(): boolean {
    const overdueMs = queue.nextOverdueMs() ?? Number.POSITIVE_INFINITY;
    const dueMs = queue.hasFresh() ? 0 : (queue.nextDueMs() ?? Number.POSITIVE_INFINITY);
    const soonMs = overdueMs < Date.now() + OVERDUE_SOON_MS ? Math.min(dueMs, overdueMs) : dueMs;
    return Math.max(soonMs, closedUntilMs()) < boxEndMs || inbox.hopeful();
  }

  /** Sleeps until something may begin; completions, heartbeats and journal writes wake it too. */
  function rest(): void {
    clearTimeout(timer);
    const dueMs = queue.hasFresh() ? Date.now() + NOT_CALLED_RETRY_MS : (queue.nextDueMs() ?? boxEndMs);
    const wakeMs = Math.min(boxEndMs, Math.max(dueMs, closedUntilMs()));
    // Overdue callbacks need no timer: every look wakes.
    timer = setTimeout(pump, Math.max(1, wakeMs - Date.now()));
  }

  function begin(task: Task): void {
    // Its callback came while it waited for another attempt.
    if (!rows.isOpen(task.position)) return;
    const read = reader.read(task.position);
    if (!read.ok) {
      record(rows.decide(task.position, read.label, { outcome: 'failed', attempts: task.attempts, error: read.error }));
      return;
    }
    if (task.submitted !== undefined && (attempt.poll === null || task.submitted.vendorRef === null)) {
      record(rows.decide(task.position, read.label, unanswered('callback_missing', task.attempts)));
      return;
    }
    active++;
    inFlight.add(task.position);
    const applied = callFor(task, read.item);
    if (applied instanceof Promise) {
      applied.then((result) => {
        settle(task, read.label, result);
        pump();
      });
    } else settle(task, read.label, applied);
  }

  function callFor(task: Task, item: TargetItem<unknown>) {
    const vendorRef = task.submitted?.vendorRef ?? null;
    return vendorRef === null || attempt.poll === null ? attempt.begin(item) : attempt.poll(vendorRef, item);
  }

  function settle(task: Task, label: ItemLabel, applied: Applied | Polled | Submitted): void {
    active--;
    inFlight.delete(task.position);
    if (ended) return;
    if (applied.kind === 'not_called') {
      queue.putOff({ ...task, dueMs: Date.now() + NOT_CALLED_RETRY_MS });
      return;
    }
    reach('slice.call_answered');
    const down = observe(task, applied);
    // Its callback was quicker than the answer.
    if (!rows.isOpen(task.position)) return;
    if (applied.kind === 'submitted') {
      awaitCallback(task, applied);
      return;
    }
    if (applied.kind === 'pending') {
      record(rows.decide(task.position, label, unanswered('vendor_pending', task.attempts + 1)));
      return;
    }
    const trial = {
      counted: task.counted,
      attempts: task.attempts + 1,
      doubt: task.doubt || task.submitted !== undefined,
    };
    const verdict = judge(plan, trial, applied, Date.now(), down);
    if (isAttemptToKeep(applied) || rows.wasTried(task.position)) rows.tried(task.position, codeOf(applied));
    if (verdict.kind === 'decided') {
      record(rows.decide(task.position, label, verdict.decision));
      return;
    }
    const { counted, doubt, dueMs } = verdict;
    queue.putOff({ ...task, attempts: trial.attempts, counted, doubt, dueMs });
  }

  /** From now on the item waits for its callback; what was counted of its attempts is kept. */
  function awaitCallback(task: Task, { vendorRef }: Submitted): void {
    const { position, counted, doubt } = task;
    const dueMs = Date.now() + (plan.callbackTimeoutMs ?? 0);
    const submitted = { vendorRef };
    const row = { notBefore: dueMs, attempts: counted, doubt, submitted };
    rows.defer(position, row);
    if (plan.journal) journal.taken({ index: rows.indexAt(position), ...row });
    queue.putOff({ ...task, attempts: task.attempts + 1, dueMs, submitted });
    inbox.expect();
  }

  /** Tells the vendor's standing; true where the vendor is down. */
  function observe(task: Task, applied: Applied | Submitted | Exclude<Polled, NotCalled>): boolean {
    if (vendor === null) return false;
    if (applied.kind === 'transient') {
      if (applied.code === 'aborted') return false;
      vendor.refused(`${ref.uid}:${ordinal}:${task.position}`, applied);
      // A probe that fails says enough: back to sleep.
      if (vendor.health.down || (probing && applied.code !== 'vendor_rate_limited')) sawOutage = true;
    } else {
      vendor.answered();
      probing = false;
    }
    return sawOutage;
  }

  function record(line: string): void {
    if (plan.journal) journal.outcome(line);
  }

  function stop(): void {
    ended = true;
    clearTimeout(timer);
    clearTimeout(boxTimer);
    inbox.stop();
  }

  function end(): void {
    stop();
    const untouched = queue.hasFresh();
    const waiting = queue.drain().filter(({ position }) => rows.isOpen(position));
    for (const { position, counted, doubt, dueMs, submitted } of waiting) {
      if (counted > 0 || doubt || dueMs > Date.now()) {
        const row = { notBefore: Math.round(dueMs), attempts: counted, doubt };
        rows.defer(position, submitted === undefined ? row : { ...row, submitted });
      }
    }
    const soonestMs = untouched || waiting.length === 0 ? 0 : Math.min(...waiting.map(wakesAtMs));
    const waitUntilMs = Math.round(Math.max(soonestMs, closedUntilMs()));
    const waitUntil = waitUntilMs > Date.now() ? waitUntilMs : null;
    finish({ waitUntil, vendorDown: sawOutage, awaiting: rows.awaiting() });
  }

  function wakesAtMs({ dueMs, submitted }: Task): number {
    if (submitted === undefined) return dueMs;
    return dueMs + Math.min(GATHERED_MAX_MS, (plan.callbackTimeoutMs ?? 0) / GATHERED_SHARE);
  }

  function abandon(): number[] {
    stop();
    const doubtful = queue.drain().filter(({ doubt }) => doubt);
    return [...inFlight, ...doubtful.map(({ position }) => position)];
  }

  return { pump, abandon };
}

function isAttemptToKeep(applied: Applied): boolean {
  return applied.kind === 'transient' && applied.code !== 'aborted';
}

function codeOf(applied: Applied): string {
  if (applied.kind === 'transient') return applied.code;
  return applied.kind === 'failed' ? applied.error.code : applied.kind;
}
