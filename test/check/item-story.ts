/** What one item went through, run by run: which key its calls must bear, and which of them were made. */
import type { OperationSeen } from './arrange.ts';
import type { ItemCall } from './item-calls.ts';
import type { Rows } from './rows.ts';
import type { RunSeen } from './runs-seen.ts';

export function finalOf(run: RunSeen | undefined): Rows | null {
  return run?.finals[0]?.rows ?? null;
}

/** True where the run took the item up; null where nobody can tell. */
export function isTakenUp({ run, chosen }: RunSeen, index: number): boolean | null {
  if (run === 1) return true;
  return chosen === null ? null : chosen.has(index);
}

/**
 * The run that the item's key names in `run`: a definite failure gets a fresh key, everything else keeps its own, so
 * that the vendor can tell a repetition. null where an earlier run cannot be told.
 */
export function keyRunIn({ runs }: Pick<OperationSeen, 'runs'>, run: number, index: number): number | null {
  let keyRun = 1;
  for (const seen of runs.slice(1, run)) {
    const isTaken = isTakenUp(seen, index);
    const before = finalOf(runs[seen.run - 2])?.at(index);
    if (isTaken === null || before === undefined) return null;
    if (isTaken && before.outcome === 'failed') keyRun = seen.run;
  }
  return keyRun;
}

/** Under that key, polls left out. */
export function callsUnder({ calls }: OperationSeen, index: number, keyRun: number): readonly ItemCall[] {
  return (calls.get(index) ?? []).filter((call) => call.keyRun === keyRun && !call.isPoll);
}
