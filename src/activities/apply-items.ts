/** Applies a chunk's undecided items with bounded concurrency until none is left, the time box is over or it is called home. */
import type { Applied } from '../model/outcome.ts';
import type { ItemReader } from '../targets/item-reader.ts';
import type { ItemLabel } from '../targets/target.ts';
import type { NotCalled } from '../vendors/vendor.ts';
import { type AttemptDeps, createAttempt } from './attempt.ts';
import type { Journal } from './journal.ts';
import type { Rows } from './rows.ts';
import { judge } from './verdict.ts';
import { createWorkQueue, type Task } from './work-queue.ts';

export interface SliceRun extends AttemptDeps {
  readonly rows: Rows;
  readonly reader: ItemReader;
  readonly journal: Journal;
}

export interface SliceEnd {
  /** Epoch ms before which nothing that is left may be tried; null = at once. */
  readonly waitUntil: number | null;
  readonly vendorDown: boolean;
}

/** Work without I/O gives the event loop back after this long, so that heartbeats go out. */
const BURST_MS = 10;
/** How soon an item is looked at again whose call could not be made (the lease was being renewed). */
const NOT_CALLED_RETRY_MS = 50;

/** The lease is lost: nothing that the slice holds may be committed. `begun`: positions that may have had their effect. */
export interface SliceLost {
  readonly begun: readonly number[];
}

export function applyItems(run: SliceRun): Promise<SliceEnd | SliceLost> {
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

function createEngine(run: SliceRun, finish: (end: SliceEnd) => void) {
  const { rows, reader, journal, lease, control, vendor } = run;
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
    control.calledHome() || control.endingSoon() || sawOutage || journal.failure() !== null || Date.now() >= boxEndMs;

  function pump(): void {
    if (ended) return;
    if (closing() && !waiting.signal.aborted) waiting.abort();
    const limit = probing ? 1 : plan.sliceConcurrency;
    const burstEnd = performance.now() + BURST_MS;
    for (let begun = 1; active < limit && !closing(); begun++) {
      const mayBegin = lease.held() && closedUntilMs() <= Date.now();
      const task = mayBegin ? queue.take(Date.now(), probing) : null;
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
    const dueMs = queue.hasFresh() ? 0 : (queue.nextDueMs() ?? Number.POSITIVE_INFINITY);
    return Math.max(dueMs, closedUntilMs()) < boxEndMs;
  }

  /** Sleeps until something may begin; completions, heartbeats and journal writes wake it too. */
  function rest(): void {
    clearTimeout(timer);
    const dueMs = queue.hasFresh() ? Date.now() + NOT_CALLED_RETRY_MS : (queue.nextDueMs() ?? boxEndMs);
    const wakeMs = Math.min(boxEndMs, Math.max(dueMs, closedUntilMs()));
    timer = setTimeout(pump, Math.max(1, wakeMs - Date.now()));
  }

  function begin(task: Task): void {
    const read = reader.read(task.position);
    if (!read.ok) {
      record(rows.decide(task.position, read.label, { outcome: 'failed', attempts: task.attempts, error: read.error }));
      return;
    }
    active++;
    inFlight.add(task.position);
    const applied = attempt(read.item);
    if (applied instanceof Promise) {
      applied.then((result) => {
        settle(task, read.label, result);
        pump();
      });
    } else settle(task, read.label, applied);
  }

  function settle(task: Task, label: ItemLabel, applied: Applied | NotCalled): void {
    active--;
    inFlight.delete(task.position);
    if (ended) return;
    if (applied.kind === 'not_called') {
      queue.putOff({ ...task, dueMs: Date.now() + NOT_CALLED_RETRY_MS });
      return;
    }
    const down = observe(task, applied);
    const trial = { counted: task.counted, attempts: task.attempts + 1, doubt: task.doubt };
    const verdict = judge(plan, trial, applied, Date.now(), down);
    if (isAttemptToKeep(applied) || rows.wasTried(task.position)) rows.tried(task.position, codeOf(applied));
    if (verdict.kind === 'decided') {
      record(rows.decide(task.position, label, verdict.decision));
      return;
    }
    const { counted, doubt, dueMs } = verdict;
    queue.putOff({ position: task.position, attempts: trial.attempts, counted, doubt, dueMs });
  }

  /** Tells the vendor's standing; true where the vendor is down. */
  function observe(task: Task, applied: Applied): boolean {
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
  }

  function end(): void {
    stop();
    const untouched = queue.hasFresh();
    const waiting = queue.drain();
    for (const { position, counted, doubt, dueMs } of waiting) {
      if (counted > 0 || doubt || dueMs > Date.now()) {
        rows.defer(position, { notBefore: Math.round(dueMs), attempts: counted, doubt });
      }
    }
    const soonestMs = untouched || waiting.length === 0 ? 0 : Math.min(...waiting.map(({ dueMs }) => dueMs));
    const waitUntilMs = Math.round(Math.max(soonestMs, closedUntilMs()));
    finish({ waitUntil: waitUntilMs > Date.now() ? waitUntilMs : null, vendorDown: sawOutage });
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
