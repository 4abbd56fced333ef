/** No call starts after `paused` or the end was shown, until somebody asks for more. */
import type { Arranged, OperationSeen } from '../arrange.ts';
import { departedAtMs } from '../departures.ts';
import type { Exchange, Reading } from '../history.ts';
import type { Rule, Witness } from '../rule.ts';
import { mayHaveBegun } from '../runs-seen.ts';
import { SHARED_ANSWER_MS } from './counts-rise.ts';

/** A resume that nobody answered may still arrive: a signal is given up after its deadline. */
const UNANSWERED_MS = 60_000;

export const quietWhenPaused: Rule = {
  name: 'quiet when paused',
  check(arranged, witness) {
    for (const operation of arranged.operations) {
      const spells = quietSpells(operation);
      if (spells.length > 0) checkSpells(arranged, operation, spells, witness);
    }
  },
};

interface Spell {
  readonly state: 'paused' | 'ended';
  readonly fromMs: number;
  /** When somebody asked for more. */
  readonly toMs: number;
}

/** From each sight of rest to the first request that may end it. */
function quietSpells({ readings, requests }: OperationSeen): readonly Spell[] {
  const wakers = requests.filter(({ action, status }) => WAKERS.has(action) && mayHaveBegun(status));
  const spells: Spell[] = [];
  for (const reading of readings) {
    const { state, seenAtMs } = reading;
    if (state !== 'paused' && state !== 'ended') continue;
    const relevant = wakers.filter((waker) => wakes(waker, reading));
    // Once somebody asked for another run, an end says nothing of the calls that come.
    const isOld = (waker: Exchange) => (state === 'ended' ? waker.sentAtMs <= seenAtMs : mayBeOlder(reading, waker));
    if (relevant.some(isOld)) continue;
    const next = relevant.find(({ sentAtMs }) => sentAtMs > seenAtMs);
    const toMs = next?.sentAtMs ?? Number.POSITIVE_INFINITY;
    // Every further sight of it is within the first.
    if (spells.at(-1)?.toMs !== toMs) spells.push({ state, fromMs: seenAtMs, toMs });
  }
  return spells;
}

/** An end is ended by a retry of that run alone. */
function wakes({ action, retried }: Exchange, { state, run }: Reading): boolean {
  if (state === 'paused') return true;
  return action === 'retry' && (run === null || (retried?.fromRun ?? run) >= run);
}

/** `amend` may put a paused one back in time; a cancel of a paused one makes no call. */
const WAKERS: ReadonlySet<Exchange['action']> = new Set(['resume', 'retry', 'amend']);

/** True where the state that was seen may be one of before that request had its effect. */
function mayBeOlder({ beganAtMs, seenAtMs, live }: Reading, { sentAtMs, endedAtMs, status }: Exchange): boolean {
  if (sentAtMs > seenAtMs) return false;
  if (!live) return true;
  const effectiveBy = endedAtMs + (status === null || status >= 500 ? UNANSWERED_MS : SHARED_ANSWER_MS);
  return effectiveBy >= beganAtMs;
}

function checkSpells({ faults }: Arranged, operation: OperationSeen, spells: readonly Spell[], witness: Witness): void {
  for (const calls of operation.calls.values()) {
    for (const call of calls) {
      const departed = departedAtMs(call, faults);
      witness.fact();
      const spell = spells.find(({ fromMs, toMs }) => departed > fromMs && departed < toMs);
      if (spell === undefined) continue;
      const after = Math.round(departed - spell.fromMs);
      witness.violation(`a call of index ${call.index} left ${after} ms after ${spell.state} was shown`, operation);
    }
  }
}
