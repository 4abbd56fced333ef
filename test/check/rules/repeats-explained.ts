/** A vendor is called again only where nobody said how the first call went, or a fault took the answer with it. */
import type { Arranged, OperationSeen } from '../arrange.ts';
import { isTouched, journalGapMs } from '../explain.ts';
import type { FaultKind } from '../history.ts';
import type { ItemCall } from '../item-calls.ts';
import type { Rule, Witness } from '../rule.ts';

/** What can lose an answer that the vendor gave. */
const LOSING: readonly FaultKind[] = [
  'worker',
  'temporal',
  'store',
  'vendor',
  'link_temporal',
  'link_store',
  'link_vendor',
  'stall',
];
const LATENCY_MAX_MS = 1_000;
/** Answers that ask to be called again. */
const TRANSIENT: ReadonlySet<number> = new Set([408, 409, 425, 429]);

export const repeatsExplained: Rule = {
  name: 'repeats explained',
  check(arranged, witness) {
    for (const operation of arranged.operations) {
      // Whoever asks for another run of an item asks for the call, too: a doubt is resolved under the same key.
      const asked = ({ at, index }: ItemCall) =>
        operation.runs.filter(({ run, askedAtMs, chosen }) => {
          const isTaken = run > 1 && (chosen === null || chosen.has(index));
          return isTaken && (askedAtMs ?? 0) < at;
        }).length;
      for (const calls of operation.calls.values()) {
        const made = calls.filter(({ isPoll }) => !isPoll);
        const alike = Map.groupBy(made, (call) => `${call.keyRun} ${asked(call)}`);
        for (const own of alike.values()) checkKey(arranged, operation, own, witness);
      }
    }
  },
};

/** `calls` under one key and by one wish, by arrival. */
function checkKey(arranged: Arranged, operation: OperationSeen, calls: readonly ItemCall[], witness: Witness): void {
  const definite = calls.find(({ status }) => isDefinite(status));
  for (const [nth, call] of calls.entries()) {
    witness.fact();
    if (nth === 0 || definite === undefined || call.at <= definite.at) continue;
    if (mayHaveLost(arranged, definite)) continue;
    const after = Math.round(call.at - definite.at);
    const said = `had answered ${definite.status} under that key`;
    witness.violation(`index ${call.index} is called again ${after} ms after ${call.vendor} ${said}`, operation);
  }
}

/** A fault fell into the time in which the call was in flight or its answer not yet written down. */
function mayHaveLost({ faults, frame, vendors }: Arranged, call: ItemCall): boolean {
  const latencyMs = vendors.get(call.vendor)?.latencyMaxMs ?? LATENCY_MAX_MS;
  const writtenBy = call.at + latencyMs + journalGapMs(frame);
  return isTouched(faults, LOSING, call.at - call.lagMs, writtenBy);
}

export function isDefinite(status: number | null): boolean {
  return status !== null && status < 500 && !TRANSIENT.has(status);
}
