/** Lays out the next call slots of a vendor: never closer than its short windows allow, never more than its long ones. */
import { type Budget, type CallWindow, type SlotRun, SPREAD_MS } from '../../model/governor.ts';
import { addSlots, roomAt, SHORT_WINDOW_MAX_S, type Track } from './windows.ts';

export interface Calendar {
  /** The last slot booked: no other is booked at or before it, even where it was not used. 0 = none yet. */
  readonly lastAtMs: number;
  readonly tracks: readonly Track[];
}

export interface Pace {
  /** By the budget and by what the vendor has shown. */
  readonly everyMs: number;
  /** Windows that the spacing does not keep. */
  readonly counted: readonly CallWindow[];
  readonly ramp: Ramp | null;
}

/** A slow start: `factor` of the rate at first, twice as much with each second; the whole of it after five. */
export interface Ramp {
  readonly fromMs: number;
  readonly factor: number;
}

export interface Layout {
  readonly runs: readonly SlotRun[];
  readonly count: number;
  readonly calendar: Calendar;
  /** Where the slot after these would be; infinite where it cannot be told. */
  readonly nextAtMs: number;
}

/** A budget of long windows alone is used up no faster: else its first moment would bunch all of its calls. */
const BURST_CALLS_PER_SECOND_MAX = 1_000;
const RUNS_MAX = 8;
const STEPS_MAX = 256;
const RAMP_STEP_MS = 1_000;
/** Cold code and connections, a vendor's above all, bunch calls: full pace leaves no room for that. */
const WARM_STEPS = 5;
const WARM_FACTOR = 0.9;
/** Times are whole parts of 1/2048 ms: then epoch times, their sums and products are exact in a double. */
const PARTS_PER_MS = 2_048;

export function roundUp(ms: number): number {
  return Math.ceil(ms * PARTS_PER_MS) / PARTS_PER_MS;
}

/**
 * Least distance of two slots. Calls leave and arrive at most J apart from their slots, so those of a window of W lie
 * within W + J, and (W + J)/N apart there are N of them at most. Null where calls are not counted.
 */
export function spacingMs({ windows }: Budget): number | null {
  const short = windows.filter(({ seconds }) => seconds <= SHORT_WINDOW_MAX_S);
  if (short.length > 0) return roundUp(Math.max(...short.map(apartMs)));
  const [least] = [...windows].sort((a, b) => a.seconds - b.seconds);
  if (least === undefined) return null;
  return roundUp(1000 / Math.min(least.calls, BURST_CALLS_PER_SECOND_MAX));
}

/** All long ones, also where the spacing of now would keep them: the slots before may have been closer. */
export function countedWindows({ windows }: Budget): readonly CallWindow[] {
  return windows.filter(({ seconds }) => seconds > SHORT_WINDOW_MAX_S);
}

function apartMs({ calls, seconds }: CallWindow): number {
  return (seconds * 1000 + SPREAD_MS) / calls;
}

/** Up to `countMax` slots from `earliestMs` to `untilMs`. */
export function layOut(
  calendar: Calendar,
  pace: Pace,
  bounds: { readonly earliestMs: number; readonly untilMs: number; readonly countMax: number },
): Layout {
  let { lastAtMs, tracks } = calendar;
  const runs: SlotRun[] = [];
  let left = bounds.countMax;
  let atMs = roundUp(Math.max(lastAtMs + everyAt(pace, lastAtMs).everyMs, bounds.earliestMs));
  for (let step = 0; step < STEPS_MAX; step++) {
    const room = roomOf(tracks, pace.counted, atMs);
    if (room.slots === 0) {
      if (!Number.isFinite(room.fromMs)) return { ...laidOut(), nextAtMs: room.fromMs };
      atMs = roundUp(room.fromMs);
      continue;
    }
    if (left <= 0 || atMs > bounds.untilMs) break;
    const { everyMs, untilMs } = everyAt(pace, atMs);
    const fitting = Math.floor((Math.min(bounds.untilMs, untilMs) - atMs) / everyMs) + 1;
    const count = Math.min(left, room.slots, fitting);
    if (!addRun(runs, { firstAtMs: atMs, everyMs, count })) break;
    tracks = tracks.map((track) => addSlots(track, atMs, everyMs, count));
    left -= count;
    lastAtMs = atMs + (count - 1) * everyMs;
    atMs = lastAtMs + everyMs;
  }
  return { ...laidOut(), nextAtMs: atMs };

  function laidOut() {
    return { runs, count: bounds.countMax - left, calendar: { lastAtMs, tracks } };
  }
}

/** The distance to the slot after one at `atMs`, and until when it is that. */
function everyAt({ everyMs, ramp }: Pace, atMs: number): { readonly everyMs: number; readonly untilMs: number } {
  if (ramp === null || atMs < ramp.fromMs) return { everyMs, untilMs: Number.POSITIVE_INFINITY };
  const steps = Math.floor((atMs - ramp.fromMs) / RAMP_STEP_MS);
  const factor = Math.min(ramp.factor * 2 ** Math.min(steps, 30), steps < WARM_STEPS ? WARM_FACTOR : 1);
  if (factor >= 1) return { everyMs, untilMs: Number.POSITIVE_INFINITY };
  return { everyMs: roundUp(everyMs / factor), untilMs: ramp.fromMs + (steps + 1) * RAMP_STEP_MS };
}

function roomOf(tracks: readonly Track[], counted: readonly CallWindow[], atMs: number) {
  let slots = Number.POSITIVE_INFINITY;
  let fromMs = atMs;
  for (const { calls, seconds } of counted) {
    const track = tracks.find((it) => it.seconds === seconds);
    if (track === undefined) continue;
    const room = roomAt(track, calls, atMs);
    slots = Math.min(slots, room.slots);
    fromMs = Math.max(fromMs, room.fromMs);
  }
  return { slots, fromMs };
}

/** False: an answer holds no more runs. */
function addRun(runs: SlotRun[], run: SlotRun): boolean {
  const last = runs.at(-1);
  if (last !== undefined && last.everyMs === run.everyMs && endOf(last) === run.firstAtMs) {
    runs[runs.length - 1] = { ...last, count: last.count + run.count };
    return true;
  }
  return runs.length < RUNS_MAX && runs.push(run) > 0;
}

function endOf({ firstAtMs, everyMs, count }: SlotRun): number {
  return firstAtMs + count * everyMs;
}
