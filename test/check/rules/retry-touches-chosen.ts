/** A retry touches only what it chose: the others keep their outcomes and are not called, the chosen ones bear the right key. */
import type { Arranged, OperationSeen } from '../arrange.ts';
import { departedAtMs } from '../departures.ts';
import { finalOf, keyRunIn } from '../item-story.ts';
import type { Rule, Witness } from '../rule.ts';
import type { RunSeen } from '../runs-seen.ts';

export const retryTouchesChosen: Rule = {
  name: 'retry touches what it chose',
  check(arranged, witness) {
    for (const operation of arranged.operations) {
      checkAcceptances(operation, witness);
      for (const run of operation.runs) {
        if (run.chosen === null || run.retry === null) continue;
        checkOthers(operation, run, run.chosen, witness);
        checkCalls(arranged, operation, run, witness);
      }
    }
  },
};

/** One retry follows a run; the same again is answered 200, another one is refused. */
function checkAcceptances(operation: OperationSeen, witness: Witness): void {
  const accepted = operation.requests.filter(({ retried, status }) => retried !== null && status === 202);
  for (const [fromRun, twins] of Map.groupBy(accepted, ({ retried }) => retried?.fromRun ?? null)) {
    witness.fact();
    if (fromRun === null || twins.length === 1) continue;
    witness.violation(`${twins.length} retries were accepted after run ${fromRun}`, operation);
  }
}

function checkOthers(operation: OperationSeen, run: RunSeen, chosen: ReadonlySet<number>, witness: Witness): void {
  const [before, after] = [finalOf(operation.runs[run.run - 2]), finalOf(run)];
  if (before === null || after === null) return;
  for (const { index, outcome, code } of before) {
    if (chosen.has(index)) continue;
    witness.fact();
    const now = after.at(index);
    if (now?.outcome === outcome && now.code === code) continue;
    const change = `was ${outcome} and is ${now?.outcome ?? 'gone'}`;
    witness.violation(`index ${index} ${change} after run ${run.run}, which did not choose it`, operation);
  }
}

/** Those that left between this retry and the next. */
function checkCalls(arranged: Arranged, operation: OperationSeen, seen: RunSeen, witness: Witness): void {
  const { run, chosen, retry } = seen;
  const next = operation.runs[run]?.askedAtMs ?? Number.POSITIVE_INFINITY;
  // A later run that nobody can place would make its calls look like this one's.
  if (operation.runs.length > run && operation.runs[run]?.retry == null) return;
  for (const [index, calls] of operation.calls) {
    const own = calls.filter((call) => {
      const departed = departedAtMs(call, arranged.faults);
      return !call.isPoll && departed > (retry?.sentAtMs ?? 0) && departed < next;
    });
    witness.fact(own.length);
    if (own.length > 0 && chosen?.has(index) === false) {
      witness.violation(`index ${index} is called in run ${run}, which did not choose it`, operation);
      continue;
    }
    const keyRun = keyRunIn(operation, run, index);
    const wrong = keyRun === null ? undefined : own.find((call) => call.keyRun !== keyRun);
    if (wrong === undefined) continue;
    const keys = `the key of run ${wrong.keyRun} where that of run ${keyRun} was promised`;
    witness.violation(`index ${index} is called in run ${run} under ${keys}`, operation);
  }
}
