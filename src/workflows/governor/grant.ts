/** Which of the next slots a worker gets: its share of those within reach, or one further ahead where it has none. */
import { BOOK_AHEAD_MAX_MS, type CallWindow, type SlotRun } from '../../model/governor.ts';
import { type Calendar, layOut, type Pace } from './calendar.ts';
import type { Rhythm } from './rhythm.ts';
import { activeHolders, aheadInLine, demandOf, heldNow, waterline } from './shares.ts';
import type { GovernorState, Holder } from './state.ts';

export interface Grant {
  readonly runs: readonly SlotRun[];
  readonly count: number;
  readonly calendar: Calendar;
  /** Where the next slot after these would be. */
  readonly nextAtMs: number;
}

interface Asked {
  readonly me: Holder;
  /** Those of its calls that wait already. */
  readonly calls: number;
  readonly pace: Pace;
  readonly rhythm: Rhythm;
  readonly earliestMs: number;
}

/** More than a vendor's slots within reach. */
const COUNT_MAX = 10_000_000;

/** From asking to having slots. */
const ANSWER_MS = 150;
/** Beyond what was asked for. */
const UNCONTESTED_MAX = 5_000;

/** `state` already knows what `me` holds and waits for. */
export function grantSlots(state: GovernorState, { me, calls, pace, rhythm, earliestMs }: Asked, nowMs: number): Grant {
  const reach = (untilMs: number, countMax: number) => layOut(state.calendar, pace, { earliestMs, untilMs, countMax });
  const leadMs = nowMs + rhythm.leadMs;
  const within = reach(leadMs, COUNT_MAX);
  if (me.waiting === 0) return none(state, within.count === 0 ? within.nextAtMs : earliestMs);
  const active = activeHolders(state.holders, nowMs);
  const heldOf = (it: Holder) => (it.worker === me.worker ? it.held : heldNow(it, nowMs, pace.everyMs));
  const capacity = active.reduce((sum, it) => sum + heldOf(it), within.count);
  const share = Math.floor(Math.min(waterline(active.map(demandOf), capacity), COUNT_MAX));
  const count = Math.min(me.waiting, share - me.held, within.count, affordable(pace, calls, rhythm));
  if (count >= 1) return reach(leadMs, Math.max(count, active.length === 1 ? uncontested() : 0));
  if (me.held > 0) return none(state, within.nextAtMs);
  const furthest = reach(nowMs + BOOK_AHEAD_MAX_MS, COUNT_MAX);
  if (aheadInLine(me, active, nowMs, pace.everyMs) < furthest.count) return reach(nowMs + BOOK_AHEAD_MAX_MS, 1);
  return none(state, furthest.nextAtMs);

  /** Slots that nobody else wants: few calls that end quickly use many times until the next answer, not many slots. */
  function uncontested(): number {
    if (pace.counted.some(isScarce(pace))) return 0;
    return reach(nowMs + rhythm.askEveryMs + ANSWER_MS, UNCONTESTED_MAX).count;
  }
}

/** True of a window that slots at this pace would use up, counted a bucket longer: then none is for the taking. */
function isScarce({ everyMs }: Pace): (window: CallWindow) => boolean {
  return ({ calls, seconds }) => seconds * 1_000 * (1 + 1 / 64) > calls * everyMs;
}

/**
 * A slot that no call uses is lost to a scarce window: for calls to come there are no more than the window has again
 * until the next answer.
 */
function affordable(pace: Pace, calls: number, { askEveryMs }: Rhythm): number {
  const again = pace.counted
    .filter(isScarce(pace))
    .map((it) => (it.calls / it.seconds) * ((askEveryMs + ANSWER_MS) / 1_000));
  return Math.max(calls, Math.ceil(Math.min(...again)));
}

/** One slot, whoever else waits. */
export function grantProbe(state: GovernorState, pace: Pace, earliestMs: number, nowMs: number): Grant {
  return layOut(state.calendar, pace, { earliestMs, untilMs: nowMs + BOOK_AHEAD_MAX_MS, countMax: 1 });
}

export function none({ calendar }: GovernorState, nextAtMs: number): Grant {
  return { runs: [], count: 0, calendar, nextAtMs };
}
