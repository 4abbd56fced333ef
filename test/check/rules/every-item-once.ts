/** Every accepted item has exactly one outcome once its run has ended: each index once, in input order, as the counts say. */
import type { ItemOutcome } from '../../../src/model/outcome.ts';
import type { OperationSeen } from '../arrange.ts';
import type { Reading } from '../history.ts';
import { type Rows, rowsOf } from '../rows.ts';
import type { Rule, Witness } from '../rule.ts';
import type { RunSeen } from '../runs-seen.ts';

export const everyItemOnce: Rule = {
  name: 'every item once',
  check({ operations }, witness) {
    for (const operation of operations) {
      for (const reading of operation.readings) checkTotal(operation, reading, witness);
      for (const run of operation.runs) checkRun(operation, run, witness);
      for (const download of operation.unplaced) checkOrder(operation, rowsOf(download), witness);
    }
  },
};

function checkTotal(operation: OperationSeen, { counts, state, run }: Reading, witness: Witness): void {
  const { items } = operation;
  witness.fact();
  if (items !== null && counts.total !== items) {
    witness.violation(`${items} items were accepted, and a reading says ${counts.total}`, operation);
  }
  const undecided = (counts.pending ?? 0) + (counts.running ?? 0) + (counts.undecided ?? 0);
  if (state === 'ended' && undecided !== 0) {
    witness.violation(`run ${run} has ended with ${undecided} items undecided`, operation);
  }
}

function checkRun(operation: OperationSeen, { run, finals, partials }: RunSeen, witness: Witness): void {
  for (const { rows } of partials) checkOrder(operation, rows, witness);
  for (const { rows } of finals) {
    checkOrder(operation, rows, witness);
    const total = operation.items ?? operation.readings[0]?.counts.total ?? null;
    witness.fact(total ?? 0);
    if (total !== null && rows.inOrder.length !== total) {
      witness.violation(`the results of run ${run} have ${rows.inOrder.length} lines for ${total} items`, operation);
    }
    const gap = rows.inOrder.findIndex((row, place) => row.index !== place);
    if (gap !== -1) witness.violation(`line ${gap} of run ${run} is of index ${rows.inOrder[gap]?.index}`, operation);
    const ended = operation.readings.find((reading) => reading.run === run && reading.state === 'ended');
    if (ended !== undefined) checkTally(operation, rows, ended, witness);
  }
}

/** Of the part that is there, too. */
function checkOrder(operation: OperationSeen, { inOrder }: Rows, witness: Witness): void {
  let before = -1;
  for (const { index } of inOrder) {
    if (index <= before) witness.violation(`results show index ${index} after ${before}`, operation);
    before = index;
  }
  witness.fact();
}

function checkTally(operation: OperationSeen, rows: Rows, { counts, run }: Reading, witness: Witness): void {
  const found: Record<ItemOutcome, number> = { succeeded: 0, failed: 0, skipped: 0, cancelled: 0, unknown: 0 };
  for (const { outcome } of rows) found[outcome] += 1;
  for (const [outcome, count] of Object.entries(found)) {
    const said = counts[outcome as ItemOutcome] ?? 0;
    if (said !== count) witness.violation(`run ${run} counts ${said} ${outcome}, its results ${count}`, operation);
  }
}
