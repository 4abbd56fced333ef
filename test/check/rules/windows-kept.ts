/** No window of a vendor's budget holds more calls than it allows, over all worker processes together. */
import { SPREAD_MS } from '../../../src/model/governor.ts';
import type { Arranged } from '../arrange.ts';
import { isHeldUp } from '../departures.ts';
import type { BudgetInForce, VendorCall } from '../history.ts';
import type { Rule, Witness } from '../rule.ts';
import { largestWindow } from '../windows.ts';

export const windowsKept: Rule = {
  name: 'windows kept',
  check(arranged, witness) {
    for (const budget of arranged.budgets) checkBudget(arranged, budget, witness);
  },
};

function checkBudget({ calls, faults }: Arranged, budget: BudgetInForce, witness: Witness): void {
  const { vendor, fromMs, toMs, windows } = budget;
  const timeOf = (call: VendorCall): number | null => {
    if (!isHeldUp(call, faults, SPREAD_MS)) return call.at;
    return call.sentAtMs;
  };
  // What was held up and does not say when it left says nothing of how calls were paced.
  const times = calls
    .filter((call) => call.vendor === vendor)
    .map(timeOf)
    .filter((time) => time !== null)
    .filter((time) => time >= fromMs && time <= toMs);
  witness.fact(times.length * windows.length);
  for (const { calls: allowed, seconds } of windows) {
    const { count, atMs } = largestWindow(times, seconds * 1_000);
    if (count <= allowed) continue;
    const where = `the ${seconds} s from ${Math.round(atMs)} on`;
    witness.violation(`${vendor} was called ${count} times within ${where}, and ${allowed} are allowed`);
  }
}
