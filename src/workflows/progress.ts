/** Pure folds: how a chunk's and an operation's standing change with what slices answer. No Temporal in here. */
import {
  type Amendment,
  addTallies,
  decidedItems,
  EMPTY_TALLY,
  type Progress,
  type Tally,
  type Throttle,
} from '../model/operation.ts';
import type { Plan } from '../model/plan.ts';
import type { ChunkNews, ChunkProgress, ChunkState, OperationInput, SliceAnswer } from '../model/workflow-contract.ts';

/** Latency assumed for a vendor that nobody has measured yet: the slowest call that the product surface promises. */
const ASSUMED_LATENCY_MS = 1_000;
/** Waits between two probes of a vendor that is down; the last one repeats, so work resumes within it. */
const OUTAGE_WAITS_MS = [1_000, 2_000, 4_000, 8_000] as const;
/** Far times are slept to in steps: a timer of centuries overflows the server's. */
export const SLEEP_MAX_MS = 30 * 86_400_000;
/** After lost slices, one upon the other: replaced at once, but no busy loop where each is lost (a store takes no writes). */
const LOSS_WAIT_MIN_MS = 100;
const LOSS_WAIT_MAX_MS = 10_000;

export function freshChunk(ordinal: number, plan: Plan): ChunkState {
  return { ordinal, tally: EMPTY_TALLY, boxMs: plan.boxMs, probe: false, outages: 0, lost: false };
}

/** Only what can be worked by: an operator's own signal may say anything. */
export function soundAmendment(said: unknown): Amendment {
  const { concurrency, callsPerSecond, priority, scheduledAt, maxFailures, maxFailurePercent, deadline } = Object(
    said,
  ) as Readonly<Record<string, unknown>>;
  return {
    ...(isWhole(concurrency) ? { concurrency } : {}),
    ...(callsPerSecond === null || isPositive(callsPerSecond) ? { callsPerSecond } : {}),
    ...(isWhole(priority) ? { priority } : {}),
    ...(isTime(scheduledAt) ? { scheduledAt } : {}),
    ...(maxFailures === null || maxFailures === 0 || isWhole(maxFailures) ? { maxFailures } : {}),
    ...(maxFailurePercent === null || maxFailurePercent === 0 || isPositive(maxFailurePercent)
      ? { maxFailurePercent }
      : {}),
    ...(deadline === null || isTime(deadline) ? { deadline } : {}),
  };
}

/** Of a chunk's report what is sound: others than its child may signal. null: nothing is. */
export function soundReport(said: unknown): ChunkProgress | null {
  const { ordinal, tally, throttle, inFlight } = Object(said) as Readonly<Record<string, unknown>>;
  if (!isCount(ordinal)) return null;
  const counts = Object(tally) as Readonly<Record<string, unknown>>;
  const { succeeded, failed, skipped, cancelled, unknown } = counts;
  if (!isCount(succeeded) || !isCount(failed) || !isCount(skipped)) return null;
  if (!isCount(cancelled) || !isCount(unknown)) return null;
  const cause = isThrottle(throttle) ? throttle : null;
  const busy = typeof inFlight === 'number' && inFlight >= 0 ? { inFlight } : {};
  return { ordinal, tally: { succeeded, failed, skipped, cancelled, unknown }, throttle: cause, ...busy };
}

function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}

function isThrottle(value: unknown): value is Throttle {
  const { cause, vendor, currentRate = null } = Object(value) as Readonly<Record<string, unknown>>;
  const isRate = currentRate === null || (typeof currentRate === 'number' && currentRate >= 0);
  return typeof cause === 'string' && typeof vendor === 'string' && isRate;
}

function isTime(value: unknown): value is string {
  return typeof value === 'string' && !Number.isNaN(Date.parse(value));
}

function isPositive(value: unknown): value is number {
  return typeof value === 'number' && value > 0;
}

function isWhole(value: unknown): value is number {
  return isPositive(value) && Number.isInteger(value);
}

/** The plan as it is worked by from now on. */
export function amendPlan(plan: Plan, { concurrency, callsPerSecond }: Amendment): Plan {
  return {
    ...plan,
    sliceConcurrency: concurrency ?? plan.sliceConcurrency,
    callsPerSecond: callsPerSecond === undefined ? plan.callsPerSecond : callsPerSecond,
  };
}

/** Of the run, as amended; a member that is absent where there is none. */
export function deadlineOf(
  { deadline }: Pick<OperationInput, 'deadline'>,
  amended: Amendment,
): Pick<Progress, 'deadline'> {
  const last = amended.deadline === undefined ? (deadline ?? null) : amended.deadline;
  return last === null ? {} : { deadline: last };
}

/** As far as a slice that was lost may have reached, whether it worked by the first plan or by the amended one. */
export function widestPlan(plan: Plan, { concurrency = 0 }: Amendment): Plan {
  return { ...plan, sliceConcurrency: Math.max(plan.sliceConcurrency, concurrency) };
}

/** True where the plan, or the priority, is another one after it. */
export function changesWork(before: Amendment, after: Amendment): boolean {
  return WORKED_BY.some((name) => before[name] !== after[name]);
}

const WORKED_BY = ['concurrency', 'callsPerSecond', 'priority', 'maxFailures', 'maxFailurePercent'] as const;

/** The box doubles while nobody waits for the slot; it shrinks at once where somebody does. */
export function afterSlice(state: ChunkState, answer: SliceAnswer, plan: Plan): ChunkState {
  return {
    ordinal: state.ordinal,
    tally: answer.tally,
    boxMs: answer.contended ? plan.boxMs : Math.min(plan.boxMaxMs, state.boxMs * 2),
    probe: answer.vendorDown,
    outages: answer.vendorDown ? state.outages + 1 : 0,
    lost: false,
  };
}

/** Whether callbacks are all that the chunk's undecided items wait for: what else is to be done keeps its place. */
export function awaitsOf(
  { tally, awaiting, waitUntil, vendorDown }: SliceAnswer,
  items: number,
): Pick<ChunkState, 'awaits'> {
  if (!(awaiting > 0) || waitUntil === null || vendorDown) return {};
  return awaiting < items - decidedItems(tally) ? {} : { awaits: { items: awaiting, until: waitUntil } };
}

export function afterLoss({ awaits: _awaits, ...state }: ChunkState): ChunkState {
  return { ...state, lost: true };
}

/** How long a chunk sleeps before its next slice. */
export function waitMs(state: ChunkState, answer: SliceAnswer, nowMs: number): number {
  const until = answer.waitUntil === null ? 0 : answer.waitUntil - nowMs;
  if (!answer.vendorDown) return Math.max(0, until);
  const backoff = OUTAGE_WAITS_MS[Math.min(state.outages, OUTAGE_WAITS_MS.length) - 1] ?? OUTAGE_WAITS_MS[0];
  return backoff;
}

/** The same after so many lost slices in a row. */
export function lossWaitMs(losses: number): number {
  return Math.min(LOSS_WAIT_MAX_MS, LOSS_WAIT_MIN_MS * 2 ** (losses - 1));
}

/** What a target without a vendor waits for. */
const DATABASE = 'database';

export function newsOf(plan: Plan, state: ChunkState, answer: SliceAnswer, nowMs: number): ChunkNews {
  const inFlight = answer.pressure?.inFlight;
  return { throttle: throttleOf(plan, state, answer, nowMs), ...(inFlight === undefined ? {} : { inFlight }) };
}

export function throttleOf(plan: Plan, state: ChunkState, answer: SliceAnswer, nowMs: number): Throttle | null {
  const vendor = plan.vendor ?? (answer.vendorDown ? DATABASE : null);
  if (vendor === null || state.awaits !== undefined) return null;
  const wait = waitMs(state, answer, nowMs);
  if (answer.vendorDown || wait > 0) {
    const cause = answer.vendorDown ? 'vendor_unavailable' : 'vendor_limit';
    const currentRate = answer.pressure?.callsPerSecond ?? null;
    return { cause, vendor, until: new Date(nowMs + wait).toISOString(), currentRate };
  }
  if (answer.pressure === undefined || answer.done) return null;
  const { callsPerSecond, adapted } = answer.pressure;
  return { cause: adapted ? 'vendor_limit' : 'rate_limit', vendor, until: null, currentRate: callsPerSecond };
}

/**
 * Chunks worked on at once: all that the plan allows, or, under a cap, as many as the capped rate can feed
 * (DESIGN §2.5). Fixed while slices run: each works with an equal share of the rate.
 */
export function windowOf(plan: Plan, chunks: number): number {
  const fed =
    plan.callsPerSecond === null
      ? plan.windowMax
      : Math.ceil((plan.callsPerSecond * ASSUMED_LATENCY_MS) / 1_000 / plan.sliceConcurrency);
  return Math.max(1, Math.min(plan.windowMax, fed, chunks));
}

/** Calls may take so many times longer before those at work are too few. */
const LATENCY_RESERVE = 8;
/** An operation that shares its vendor has slices on several workers, so that it has its turn at each. */
const FED_MIN = 4;

/**
 * The window that a vendor's granted rate can feed, twice over: calls that take longer must not let it run dry. Fewer
 * where several operations share that rate, by what this one's slices had in flight (null: unknown).
 *
 * @param callsPerSecond Granted over all workers; null: the vendor holds nothing back.
 */
export function fedWindow(
  { sliceConcurrency }: Plan,
  window: number,
  callsPerSecond: number | null,
  inFlight: number | null,
): number {
  if (callsPerSecond === null) return window;
  const fed = 2 * Math.max(1, Math.ceil((callsPerSecond * ASSUMED_LATENCY_MS) / 1_000 / sliceConcurrency));
  const busy =
    inFlight === null ? window : Math.max(FED_MIN, Math.ceil((LATENCY_RESERVE * inFlight) / sliceConcurrency));
  return Math.min(window, fed, busy);
}

/** An operation's tally: finished chunks, and what those in work have decided so far. */
export function sumTallies(finished: Tally, open: Iterable<ChunkState>): Tally {
  let sum = finished;
  for (const chunk of open) sum = addTallies(sum, chunk.tally);
  return sum;
}

/** Items of the chunks in work that are not decided. */
export function runningItems(chunkItems: readonly number[], open: Iterable<ChunkState>): number {
  let running = 0;
  for (const chunk of open) running += Math.max(0, (chunkItems[chunk.ordinal] ?? 0) - decidedItems(chunk.tally));
  return running;
}
