/** Outcomes say what happened: as the vendor's ledger or the table has it, and `unknown` only where nobody can tell. */
import type { Arranged, OperationSeen } from '../arrange.ts';
import { isTouched } from '../explain.ts';
import { FAULT_KINDS, type VendorFacts } from '../history.ts';
import type { ItemCall } from '../item-calls.ts';
import { callsUnder, finalOf, isTakenUp, keyRunIn } from '../item-story.ts';
import { indexesIn, type Row } from '../rows.ts';
import type { Rule, Witness } from '../rule.ts';
import type { RunSeen } from '../runs-seen.ts';
import { isDefinite } from './repeats-explained.ts';

export const outcomesTrue: Rule = {
  name: 'outcomes are true',
  check(arranged, witness) {
    for (const operation of arranged.operations) {
      const vendor = arranged.vendors.get(operation.target ?? '');
      for (const run of operation.runs) {
        if (vendor !== undefined) checkRun(arranged, operation, { run, vendor }, witness);
        else checkDoubts(arranged, operation, run, witness);
      }
      checkTable(operation, witness);
    }
  },
};

interface AtVendor {
  readonly run: RunSeen;
  readonly vendor: VendorFacts;
}

function checkRun(arranged: Arranged, operation: OperationSeen, { run, vendor }: AtVendor, witness: Witness): void {
  for (const row of finalOf(run) ?? []) {
    const keyRun = keyRunIn(operation, run.run, row.index);
    if (keyRun === null || isTakenUp(run, row.index) !== true) continue;
    witness.fact();
    const calls = callsUnder(operation, row.index, keyRun);
    // What was never begun keeps its key: from the next retry on its calls may be of that one.
    const nextAtMs = operation.runs.find((other) => other.run === run.run + 1)?.askedAtMs ?? Number.POSITIVE_INFINITY;
    const mine = row.outcome === 'cancelled' ? calls.filter(({ at }) => at < nextAtMs) : calls;
    const lie = lieOf(row, mine, vendor);
    if (lie !== null)
      witness.violation(`index ${row.index} is ${row.outcome} in run ${run.run}, and ${lie}`, operation);
    const inDoubt = calls.some(({ status }) => !isDefinite(status));
    if (row.outcome === 'unknown' && !inDoubt && !isExplained(arranged, operation)) {
      witness.violation(`index ${row.index} is unknown in run ${run.run}, and nothing explains it`, operation);
    }
  }
}

/** Of asynchronous vendors `applied` says that the job was taken: how it went came later. */
const TAKEN_THEN_FAILED: ReadonlySet<string> = new Set(['vendor_job_failed', 'callback_invalid']);

/** null: it may be true. A ledger that has holes proves only what stands in it. */
function lieOf({ outcome, code }: Row, calls: readonly ItemCall[], { isComplete }: VendorFacts): string | null {
  const executed = calls.some(({ applied }) => applied);
  switch (outcome) {
    case 'succeeded':
      return executed || !isComplete ? null : 'the vendor never executed it';
    case 'failed': {
      if (code !== null && TAKEN_THEN_FAILED.has(code)) {
        return executed || !isComplete ? null : 'the vendor never took it';
      }
      if (executed) return `the vendor executed it (${code})`;
      const refused = calls.some(({ status }) => isDefinite(status) && (status ?? 0) >= 300);
      return code === 'vendor_rejected' && isComplete && !refused ? 'the vendor never refused it' : null;
    }
    case 'cancelled':
    case 'skipped':
      return executed ? 'the vendor executed it' : null;
    case 'unknown':
      return null;
  }
}

/** Targets without a ledger: `unknown` wants a reason there, too. */
function checkDoubts(arranged: Arranged, operation: OperationSeen, run: RunSeen, witness: Witness): void {
  for (const { index, outcome } of finalOf(run) ?? []) {
    if (outcome !== 'unknown') continue;
    witness.fact();
    if (!isExplained(arranged, operation)) {
      witness.violation(`index ${index} is unknown in run ${run.run}, and nothing explains it`, operation);
    }
  }
}

/** By a fault in its life, or by a cancel while calls were in flight. */
function isExplained({ faults, frame }: Arranged, { requests, submissions, readings }: OperationSeen): boolean {
  if (requests.some(({ action }) => action === 'cancel')) return true;
  if (submissions.some(({ submitted }) => submitted?.mayStopItself === true)) return true;
  const beganAtMs = submissions[0]?.sentAtMs ?? frame.startedAtMs;
  const ended = readings.findLast(({ state }) => state === 'ended');
  return isTouched(faults, FAULT_KINDS, beganAtMs, ended?.seenAtMs ?? frame.endedAtMs);
}

/** As it stands after the last run. */
function checkTable(operation: OperationSeen, witness: Witness): void {
  const { effects, runs } = operation;
  const rows = finalOf(runs.at(-1));
  if (effects === null || rows === null) return;
  const written = new Set([...indexesIn(effects.once), ...effects.more.map(([index]) => index)]);
  for (const { index, outcome } of rows) {
    witness.fact();
    const isWritten = written.has(index);
    if (outcome === 'succeeded' && !isWritten)
      witness.violation(`index ${index} succeeded and is in no row`, operation);
    if (outcome !== 'succeeded' && outcome !== 'unknown' && isWritten) {
      witness.violation(`index ${index} is ${outcome} and its row was written`, operation);
    }
  }
}
