/** What a client was told is on its way comes: after an accepted pause or cancel calls cease, and what was cancelled ends so. */
import type { Arranged, OperationSeen } from '../arrange.ts';
import { departedAtMs } from '../departures.ts';
import { AFTERMATH_MS } from '../explain.ts';
import { type Exchange, FAULT_KINDS, type FaultKind, type Reading } from '../history.ts';
import type { Rule, Witness } from '../rule.ts';
import { mayHaveBegun } from '../runs-seen.ts';

/** Heartbeats bring the news to every slice within about 3 s. */
export const OBEYED_WITHIN_MS = 8_000;
/** Until then a slice may begin calls in good faith: it hears of a cancel with its next heartbeat. */
const NEWS_MS = 4_000;
const HINDERING: readonly FaultKind[] = FAULT_KINDS.filter((kind) => kind !== 'vendor' && kind !== 'link_vendor');

export const controlsObeyed: Rule = {
  name: 'controls obeyed',
  check(arranged, witness) {
    for (const operation of arranged.operations) {
      for (const request of operation.requests) {
        const isAccepted = request.status !== null && request.status < 300;
        if (!isAccepted || (request.action !== 'cancel' && request.action !== 'pause')) continue;
        if (request.action === 'cancel') checkCancelled(arranged, operation, request, witness);
        checkCalls(arranged, operation, request, witness);
      }
    }
  },
};

/**
 * The run that the answer spoke of ends as `cancelled`: it is not refused, so it came in time. But for one that all
 * items of were decided before the news had reached its slices: it ends as its counts say.
 */
function checkCancelled({ faults }: Arranged, operation: OperationSeen, request: Exchange, witness: Witness): void {
  const run = answerTo(operation, request)?.run ?? null;
  const ended = operation.readings.find((reading) => reading.run === run && reading.state === 'ended');
  if (run === null || ended === undefined) return;
  witness.fact();
  if (ended.outcome === 'cancelled') return;
  const wasSoon = ended.seenAtMs <= heardBy(faults, request.endedAtMs, NEWS_MS);
  if (wasSoon && request.status === 202 && (ended.counts.cancelled ?? 0) === 0) return;
  const answered = `a cancel of run ${run} was answered ${request.status}`;
  witness.violation(`${answered}, and the run ended as ${ended.outcome}`, operation);
}

function answerTo({ readings }: OperationSeen, { client, sentAtMs }: Exchange): Reading | undefined {
  return readings.find(
    (reading) => reading.via === 'control' && reading.client === client && reading.beganAtMs === sentAtMs,
  );
}

/** Where the news had its time, with nothing to hold it up, and nobody asked for more. */
function checkCalls({ faults }: Arranged, operation: OperationSeen, request: Exchange, witness: Witness): void {
  const { action, sentAtMs, endedAtMs } = request;
  const wakes = (other: Exchange) =>
    other.action === 'retry' || (action === 'pause' && (other.action === 'resume' || other.action === 'amend'));
  const wakers = operation.requests.filter((other) => wakes(other) && mayHaveBegun(other.status));
  // An earlier one may have arrived late, and after this.
  if (wakers.some((waker) => waker.sentAtMs <= endedAtMs && waker.endedAtMs >= sentAtMs)) return;
  const next = wakers.find((waker) => waker.sentAtMs > endedAtMs)?.sentAtMs ?? Number.POSITIVE_INFINITY;
  const heardByMs = heardBy(faults, endedAtMs, OBEYED_WITHIN_MS);
  for (const calls of operation.calls.values()) {
    for (const call of calls) {
      const departed = departedAtMs(call, faults);
      if (departed <= endedAtMs) continue;
      witness.fact();
      if (departed < heardByMs || departed >= next) continue;
      const after = Math.round(departed - endedAtMs);
      witness.violation(`index ${call.index} is called ${after} ms after ${action} was answered`, operation);
    }
  }
}

/** By when the news was everywhere: a hindrance begins its time anew, a machine that stood still only lengthens it. */
function heardBy(faults: Arranged['faults'], fromMs: number, withinMs: number): number {
  let by = fromMs + withinMs;
  for (const { what, fromMs: begins, toMs } of faults) {
    const over = toMs + AFTERMATH_MS[what];
    if (!HINDERING.includes(what) || begins >= by || over < fromMs) continue;
    if (what === 'stall') by += Math.max(0, toMs - Math.max(begins, fromMs));
    else by = Math.max(by, over + withinMs);
  }
  return by;
}
