/** An operation lives as DESIGN §4 says: it goes from state to state in order, and it ends once nothing holds it up. */
import { type OperationState, outcomeOf, type Tally } from '../../../src/model/operation.ts';
import type { Arranged, OperationSeen } from '../arrange.ts';
import { AFTERMATH_MS } from '../explain.ts';
import type { Reading } from '../history.ts';
import type { Rule, Witness } from '../rule.ts';

export const lifeEnds: Rule = {
  name: 'life ends',
  check(arranged, witness) {
    for (const operation of arranged.operations) {
      checkStates(operation, witness);
      for (const reading of operation.readings) checkOutcome(operation, reading, witness);
      checkEnd(arranged, operation, witness);
    }
  },
};

/** What may be seen after each state within a run. Readers see only some of the steps. */
const AFTER: Readonly<Record<OperationState, readonly OperationState[]>> = {
  scheduled: ['scheduled', 'queued', 'running', 'pausing', 'paused', 'cancelling', 'ended'],
  queued: ['queued', 'running', 'pausing', 'paused', 'cancelling', 'ended'],
  running: ['running', 'pausing', 'paused', 'cancelling', 'ended'],
  pausing: ['running', 'pausing', 'paused', 'cancelling', 'ended'],
  paused: ['running', 'pausing', 'paused', 'cancelling', 'ended'],
  cancelling: ['cancelling', 'ended'],
  ended: ['ended'],
};

/** Answers of the workflow itself, each asked for after the one before was seen; by one server, which keeps their order. */
function checkStates(operation: OperationSeen, witness: Witness): void {
  const wasMoved = operation.requests.some(({ action }) => action === 'amend');
  const last = new Map<string, Reading>();
  for (const reading of operation.readings) {
    const { state, run, live, server } = reading;
    if (state === null || run === null || !live) continue;
    const before = last.get(server);
    if (before !== undefined && reading.beganAtMs < before.seenAtMs) continue;
    last.set(server, reading);
    if (before?.state == null || before.run !== run) continue;
    witness.fact();
    const isRescheduled = wasMoved && state === 'scheduled' && before.state === 'queued';
    if (AFTER[before.state].includes(state) || isRescheduled) continue;
    witness.violation(`${before.state} and then ${state} in run ${run}`, operation);
  }
}

function checkOutcome(operation: OperationSeen, reading: Reading, witness: Witness): void {
  const { state, outcome, run, counts } = reading;
  if (state === null || run === null) return;
  witness.fact();
  if ((state === 'ended') !== (outcome !== null)) {
    witness.violation(`${state} with the outcome ${outcome} in run ${run}`, operation);
    return;
  }
  const tally = tallyOf(counts);
  if (outcome === null || tally === null) return;
  if (outcome === 'cancelled') {
    if (!mayEndEarly(operation)) witness.violation(`run ${run} is cancelled, and nobody asked for it`, operation);
  } else if (outcome !== outcomeOf(tally, false)) {
    witness.violation(`run ${run} is called ${outcome} with ${JSON.stringify(tally)}`, operation);
  }
}

function tallyOf({ succeeded, failed, skipped, cancelled, unknown }: Reading['counts']): Tally | null {
  const parts = { succeeded, failed, skipped, cancelled, unknown };
  return Object.values(parts).includes(undefined) ? null : (parts as Tally);
}

function mayEndEarly({ requests, submissions }: OperationSeen): boolean {
  return (
    requests.some(({ action }) => action === 'cancel') ||
    submissions.some(({ submitted }) => submitted?.mayStopItself === true)
  );
}

function checkEnd({ frame, faults }: Arranged, operation: OperationSeen, witness: Witness): void {
  const { acceptedAtMs, readings, requests } = operation;
  if (acceptedAtMs === null || requests.some(({ action }) => action === 'purge')) return;
  const moved = requests.filter(({ action }) => action !== 'look' && action !== 'download' && action !== 'read');
  const deadline =
    frame.endsWithinMs +
    Math.max(
      acceptedAtMs,
      ...operation.submissions.map(({ submitted }) => submitted?.scheduledAtMs ?? 0),
      ...moved.map(({ endedAtMs }) => endedAtMs),
      ...faults.map(({ toMs, what }) => toMs + AFTERMATH_MS[what]),
    );
  const last = readings.findLast(({ state }) => state !== null);
  const isRestful = last?.state === 'paused' && mayRest(operation);
  if (last?.state === 'ended' || isRestful) {
    witness.fact();
    const late = readings.find(({ state, beganAtMs, live }) => live && state !== 'ended' && beganAtMs > deadline);
    if (late !== undefined && !isRestful) {
      witness.violation(`it was still ${late.state} ${seconds(late.beganAtMs - deadline)} s after its time`, operation);
    }
  } else if (frame.endedAtMs >= deadline) {
    witness.fact();
    const words = `it has not ended (${last?.state ?? 'never seen'})`;
    witness.violation(`${words} ${seconds(frame.endedAtMs - deadline)} s after its time`, operation);
  }
}

/** Somebody asked for a pause, or it may do so itself. */
function mayRest({ requests, submissions }: OperationSeen): boolean {
  return (
    requests.some(({ action }) => action === 'pause') ||
    submissions.some(({ submitted }) => submitted?.mayStopItself === true)
  );
}

function seconds(ms: number): number {
  return Math.round(ms / 100) / 10;
}
