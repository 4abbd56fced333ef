/** No window of a vendor's budget holds more calls than it allows, over all worker processes together. */
import { SLOT_LATE_MAX_MS, SPREAD_MS } from '../../../src/model/governor.ts';
import type { Arranged } from '../arrange.ts';
import { isHeldUp } from '../departures.ts';
import type { BudgetInForce, VendorCall } from '../history.ts';
import type { Rule, Witness } from '../rule.ts';
import { largestWindow } from '../windows.ts';

/** Of J, what is left for the way to the vendor: a call that takes longer was kept waiting by the machine, not by us. */
const WAY_MAX_MS = SPREAD_MS - SLOT_LATE_MAX_MS;

export const windowsKept: Rule = {
  name: 'windows kept',
  check(arranged, witness) {
    for (const budget of arranged.budgets) checkBudget(arranged, budget, witness);
  },
};

function checkBudget({ calls, faults }: Arranged, budget: BudgetInForce, witness: Witness): void {
  const { vendor, fromMs, toMs, windows } = budget;
  const timeOf = (call: VendorCall): number | null => {
    const { at, sentAtMs } = call;
    if (sentAtMs !== null && at - sentAtMs > WAY_MAX_MS) return sentAtMs;
    return isHeldUp(call, faults, SPREAD_MS) ? sentAtMs : at;
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
