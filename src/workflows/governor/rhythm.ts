/** How often workers ask and how far ahead they book: so seldom that one governor answers them all, whatever their number. */
import { BOOK_AHEAD_MAX_MS } from '../../model/governor.ts';
import { activeHolders } from './shares.ts';
import type { GovernorState } from './state.ts';

export interface Rhythm {
  readonly askEveryMs: number;
  /** Slots are booked up to so far ahead; for a worker that holds none, one up to `BOOK_AHEAD_MAX_MS`. */
  readonly leadMs: number;
}

const ASK_PER_WORKER_MS = 250;
const ASK_MS_MIN = 500;
const ASK_MS_MAX = 1_500;
/** No worker asks sooner than this. */
const WAIT_MS_MIN = 100;
/** A worker that has nothing under way may stay away for so long, others must tell of their calls. */
const WAIT_MS_MAX = 10_000;
const WAIT_BUSY_MS_MAX = 2_000;
const SPREAD_OUT_MS_MAX = 300;

export function rhythmOf(state: GovernorState, nowMs: number): Rhythm {
  const active = activeHolders(state.holders, nowMs).length;
  const askEveryMs = Math.min(Math.max(active * ASK_PER_WORKER_MS, ASK_MS_MIN), ASK_MS_MAX);
  return { askEveryMs, leadMs: 2 * askEveryMs };
}

/** When a worker is to ask that has got what there is for now. */
export function askRegularly({ askEveryMs }: Rhythm, worker: string, asked: number): number {
  return Math.round(askEveryMs * (0.8 + 0.2 * phaseOf(worker, asked)));
}

/** When to ask for the slot at `slotAtMs`, which is out of reach now. */
export function askWhenInReach(
  slotAtMs: number,
  nowMs: number,
  { rhythm, holdsNone, isBusy }: { readonly rhythm: Rhythm; readonly holdsNone: boolean; readonly isBusy: boolean },
): number {
  const inReachMs = slotAtMs - (holdsNone ? BOOK_AHEAD_MAX_MS : rhythm.leadMs) - nowMs;
  return Math.min(Math.max(inReachMs, rhythm.askEveryMs), isBusy ? WAIT_BUSY_MS_MAX : WAIT_MS_MAX);
}

/** Waits that end for all workers at once end a little apart. */
export function spreadOut(waitMs: number, worker: string, asked: number): number {
  const whole = Math.min(Math.max(waitMs, WAIT_MS_MIN), WAIT_MS_MAX);
  return Math.round(whole + Math.min(SPREAD_OUT_MS_MAX, whole / 4) * phaseOf(worker, asked));
}

/** From 0 to 1, another one for each worker and each time. */
function phaseOf(worker: string, asked: number): number {
  let hash = 7;
  for (let i = 0; i < worker.length; i++) hash = (hash * 31 + worker.charCodeAt(i)) % 1_009;
  return ((hash + asked * 383) % 1_009) / 1_009;
}
