/** An outcome never changes within a run, nor is it lost: whatever was shown while it ran stands at its end. */
import type { OperationSeen } from '../arrange.ts';
import type { Row } from '../rows.ts';
import type { Rule, Witness } from '../rule.ts';
import type { PlacedDownload, RunSeen } from '../runs-seen.ts';

export const outcomesStay: Rule = {
  name: 'outcomes stay',
  check({ operations }, witness) {
    for (const operation of operations) for (const run of operation.runs) checkRun(operation, run, witness);
  },
};

function checkRun(operation: OperationSeen, { run, finals, partials }: RunSeen, witness: Witness): void {
  const downloads = [...partials, ...finals].sort((a, b) => a.download.endedAtMs - b.download.endedAtMs);
  const first = new Map<number, Row>();
  for (const { rows } of downloads) {
    for (const row of rows) {
      const shown = first.get(row.index);
      witness.fact();
      if (shown === undefined) first.set(row.index, row);
      else if (shown.outcome !== row.outcome || shown.code !== row.code) {
        const change = `${wordsOf(shown)} and then ${wordsOf(row)}`;
        witness.violation(`index ${row.index} is ${change} in run ${run}`, operation);
      }
    }
  }
  for (const [at, later] of downloads.entries()) checkKept(operation, downloads.slice(0, at), later, witness);
}

/** The last download that had ended before this one began: what it held must still be there. */
function checkKept(
  operation: OperationSeen,
  earlier: readonly PlacedDownload[],
  later: PlacedDownload,
  witness: Witness,
): void {
  const before = earlier.findLast(({ download }) => download.endedAtMs <= later.download.beganAtMs);
  if (before === undefined) return;
  for (const { index } of before.rows) {
    if (later.rows.at(index) === undefined) witness.violation(`index ${index} had an outcome and lost it`, operation);
  }
}

function wordsOf({ outcome, code }: Row): string {
  return code === null ? outcome : `${outcome} (${code})`;
}
