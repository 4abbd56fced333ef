/** No effect twice: one execution per idempotency key, one per item unless it had definitely failed, one per row of a table. */
import type { Arranged, OperationSeen } from '../arrange.ts';
import type { ItemCall } from '../item-calls.ts';
import type { Rule, Witness } from '../rule.ts';
import { isDefinite } from './repeats-explained.ts';

/** A vendor that takes a job may say later that it failed: then it has executed nothing that a retry could double. */
const TAKES_NOW_ANSWERS_LATER = 'async';

export const effectsOnce: Rule = {
  name: 'effects once',
  check(arranged, witness) {
    for (const operation of arranged.operations) {
      for (const [index, calls] of operation.calls) checkItem(arranged, operation, { index, calls }, witness);
      checkTable(operation, witness);
    }
    checkStrays(arranged, witness);
  },
};

interface Item {
  readonly index: number;
  readonly calls: readonly ItemCall[];
}

function checkItem(arranged: Arranged, operation: OperationSeen, { index, calls }: Item, witness: Witness): void {
  const applied = calls.filter((call) => call.applied && arranged.vendors.get(call.vendor)?.honoursKeys !== false);
  witness.fact();
  const byKeyRun = new Map<number, number>();
  for (const { keyRun } of applied) byKeyRun.set(keyRun, (byKeyRun.get(keyRun) ?? 0) + 1);
  for (const [keyRun, times] of byKeyRun) {
    if (times > 1) {
      witness.violation(`index ${index} was executed ${times} times under one key (of run ${keyRun})`, operation);
    }
  }
  if (byKeyRun.size < 2 || applied.every(({ vendor }) => vendor === TAKES_NOW_ANSWERS_LATER)) return;
  const runs = [...byKeyRun.keys()].sort((a, b) => a - b);
  witness.violation(`index ${index} was executed under the keys of runs ${runs.join(' and ')}`, operation);
}

function checkTable(operation: OperationSeen, witness: Witness): void {
  const { effects } = operation;
  if (effects === null) return;
  witness.fact(effects.once.reduce((rows, [first, last]) => rows + last - first + 1, 0));
  for (const [index, times] of effects.more) {
    witness.violation(`the row of index ${index} was written ${times} times`, operation);
  }
}

/** Every call is somebody's: what nobody asked for is an effect too many. */
function checkStrays({ strays, exchanges }: Arranged, witness: Witness): void {
  // Sent without a key and never answered: it may have been accepted under an id that nobody knows.
  const nameless = new Set(
    exchanges
      .filter(({ submitted, status }) => submitted !== null && !isDefinite(status))
      .map(({ traceId }) => traceId),
  );
  for (const { traceId, key, vendor, applied } of strays) {
    witness.fact();
    if (traceId !== null && nameless.has(traceId)) continue;
    const what = applied ? 'executed' : 'was called';
    witness.violation(`${vendor} ${what} under the key ${key ?? '(none)'}, which no item of this history has`);
  }
}
