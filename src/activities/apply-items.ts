/** Applies a chunk's undecided items with bounded concurrency until none is left, the time box is over or it is called home. */
import type { Log } from '../model/log.ts';
import type { Applied } from '../model/outcome.ts';
import type { SliceInput } from '../model/workflow-contract.ts';
import type { ItemReader } from '../targets/item-reader.ts';
import type { Target, TargetContext, TargetItem } from '../targets/target.ts';
import type { NotCalled } from '../vendors/vendor.ts';
import type { Vendor } from '../vendors/vendor-standing.ts';
import type { Control } from './control.ts';
import { createDueQueue } from './due-queue.ts';
import type { Journal } from './journal.ts';
import type { Lease } from './lease.ts';
import type { Decision, Rows } from './rows.ts';
import { judge } from './verdict.ts';

export interface SliceRun {
  readonly input: SliceInput;
  readonly target: Target;
  readonly rows: Rows;
  readonly reader: ItemReader;
  readonly journal: Journal;
  readonly lease: Lease;
  readonly control: Control;
  /** Null for targets that call nobody. */
  readonly vendor: Vendor | null;
  readonly log: Log;
}

export interface SliceEnd {
  /** Epoch ms before which nothing that is left may be tried; null = at once. */
  readonly waitUntil: number | null;
  readonly vendorDown: boolean;
}

/** An item under way within this slice. */
interface Task {
  readonly position: number;
  /** Attempts that count against the retry policy, and calls made. */
  readonly counted: number;
  readonly attempts: number;
  readonly doubt: boolean;
  readonly dueMs: number;
}

/** Work without I/O gives the event loop back after this long, so that heartbeats go out. */
const BURST_MS = 10;
/** How soon an item is looked at again whose call could not be made (the lease was being renewed). */
const NOT_CALLED_RETRY_MS = 50;

export function applyItems(run: SliceRun): Promise<SliceEnd> {
  return new Promise((resolve, reject) => {
    const engine = createEngine(run, (end) => {
      run.control.end();
      resolve(end);
    });
    run.control.onWake(() => {
      if (!run.control.lost()) return engine.pump();
      run.control.end();
      reject(new Error('the slice has lost its lease'));
    });
    engine.pump();
  });
}

function createEngine(run: SliceRun, finish: (end: SliceEnd) => void) {
  const { input, target, rows, reader, journal, lease, control, vendor } = run;
  const { plan } = input;
  const boxEndMs = Date.now() + input.boxMs;
  const fresh: number[] = [];
  const later = createDueQueue<Task>();
  for (const position of rows.open()) {
    const { notBefore, attempts, doubt } = rows.standing(position);
    if (attempts === 0 && !doubt && notBefore === 0) fresh.push(position);
    else later.add({ position, counted: attempts, attempts, doubt, dueMs: notBefore });
  }
  const context: TargetContext = {
    signal: control.signal,
    vendor: createCaller(run),
  };
  let nextFresh = 0;
  let active = 0;
  let probing = input.probe || vendor?.health.down === true;
  let sawOutage = false;
  let ended = false;
  let timer: NodeJS.Timeout | undefined;

  const closing = (): boolean =>
    control.calledHome() || sawOutage || journal.failure() !== null || Date.now() >= boxEndMs;

  /** The next item that may begin now; null where none may. */
  function take(): Task | null {
    if (!lease.held() || (vendor !== null && vendor.closedUntil() > Date.now())) return null;
    // A probe asks with an item that never failed, where there is one: a bad item must not keep a vendor closed.
    const due = probing && nextFresh < fresh.length ? null : later.takeDue(Date.now());
    return due ?? takeFresh();
  }

  function takeFresh(): Task | null {
    const position = fresh[nextFresh];
    if (position === undefined || !journal.mayBegin(position)) return null;
    nextFresh++;
    return { position, counted: 0, attempts: 0, doubt: false, dueMs: 0 };
  }

  function pump(): void {
    if (ended) return;
    const limit = probing ? 1 : plan.sliceConcurrency;
    const burstEnd = performance.now() + BURST_MS;
    for (let begun = 1; active < limit && !closing(); begun++) {
      const task = take();
      if (task === null) break;
      begin(task);
      if ((begun & 63) === 0 && performance.now() > burstEnd) {
        setImmediate(pump);
        return;
      }
    }
    if (active === 0 && (closing() || nothingDueInBox())) end();
    else rest();
  }

  function nothingDueInBox(): boolean {
    if (nextFresh < fresh.length) return vendor !== null && vendor.closedUntil() >= boxEndMs;
    const next = later.next();
    return next === null || next.dueMs >= boxEndMs;
  }

  /** Sleeps until something is due; completions, heartbeats and journal writes wake it too. */
  function rest(): void {
    clearTimeout(timer);
    const next = later.next()?.dueMs ?? boxEndMs;
    const opens = vendor?.closedUntil() ?? 0;
    const wakeMs = Math.min(boxEndMs, Math.max(next, opens > Date.now() && nextFresh < fresh.length ? opens : 0));
    const until = nextFresh < fresh.length && opens > Date.now() ? Math.min(wakeMs, opens) : wakeMs;
    timer = setTimeout(pump, Math.max(1, until - Date.now()));
  }

  function begin(task: Task): void {
    const read = reader.read(task.position);
    if (!read.ok) {
      const decision: Decision = { outcome: 'failed', attempts: task.attempts, error: read.error };
      record(rows.decide(task.position, read.label, decision));
      return;
    }
    active++;
    const applied = attempt(read.item);
    if (applied instanceof Promise) {
      applied.then((result) => {
        settle(task, read.label, result);
        pump();
      });
    } else settle(task, read.label, applied);
  }

  /** A target that throws has a bug: the item fails, its neighbours go on. */
  function attempt(item: TargetItem<unknown>): Applied | Promise<Applied | NotCalled> {
    try {
      const applied = target.applyOne?.(item, context) ?? noApply(target.name);
      return applied instanceof Promise ? applied.catch((cause) => bug(run.log, item.index, cause)) : applied;
    } catch (cause) {
      return bug(run.log, item.index, cause);
    }
  }

  function settle(task: Task, label: Parameters<Rows['decide']>[1], applied: Applied | NotCalled): void {
    active--;
    if (applied.kind === 'not_called') {
      later.add({ ...task, dueMs: Date.now() + NOT_CALLED_RETRY_MS });
      return;
    }
    const down = observe(task, applied);
    const trial = { counted: task.counted, attempts: task.attempts + 1, doubt: task.doubt };
    const verdict = judge(plan, trial, applied, Date.now(), down);
    if (verdict.kind === 'decided') {
      record(rows.decide(task.position, label, verdict.decision));
      return;
    }
    const { counted, doubt, dueMs } = verdict;
    later.add({ position: task.position, attempts: trial.attempts, counted, doubt, dueMs });
  }

  /** Tells the vendor's health; true where the vendor is down. */
  function observe(task: Task, applied: Applied): boolean {
    if (vendor === null) return false;
    if (applied.kind === 'transient') {
      if (applied.code === 'aborted') return false;
      vendor.refused(`${input.ref.uid}:${input.ordinal}:${task.position}`, applied);
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

  function end(): void {
    ended = true;
    clearTimeout(timer);
    const waiting = later.drain();
    for (const { position, counted, doubt, dueMs } of waiting) {
      rows.defer(position, { notBefore: Math.round(dueMs), attempts: counted, doubt });
    }
    const closed = vendor?.closedUntil() ?? 0;
    const untouched = nextFresh < fresh.length;
    const earliest = waiting.length === 0 ? null : Math.round(Math.min(...waiting.map(({ dueMs }) => dueMs)));
    const waitUntil = untouched ? (closed > Date.now() ? closed : null) : earliest;
    finish({ waitUntil, vendorDown: sawOutage });
  }

  return { pump };
}

/** Calls the vendor under the slice's lease and its share of the operation's rate. */
function createCaller(run: SliceRun): TargetContext['vendor'] {
  const { vendor, lease, control, input } = run;
  if (vendor === null) return () => Promise.reject(new Error(`target ${run.target.name} has no vendor to call`));
  const { plan, callsPerSecond } = input;
  const context = {
    pace: vendor.paceOf(`${input.ref.uid}:${input.ordinal}`, callsPerSecond),
    timeoutMs: plan.callTimeoutMs,
    signal: control.signal,
    mayCall: () => lease.held() && !control.calledHome(),
  };
  return (request) => vendor.client.call(request, context);
}

function noApply(name: string): Applied {
  const message = `target ${name} cannot be applied item by item`;
  return { kind: 'failed', error: { code: 'target_error', message, retryable: false } };
}

function bug(log: Log, index: number, cause: unknown): Applied {
  log('error', 'a target threw', { index, cause });
  const message = 'the target failed on this item; the service log says why';
  return { kind: 'failed', error: { code: 'target_error', message, retryable: true } };
}
