/** Lets slices begin until it is closed, and calls home those at work; of one that never answers it says whether it had begun. */
import { ActivityFailure, CancellationScope, isCancellation, patched } from '@temporalio/workflow';
import type { SliceAnswer, SliceInput, YieldRequest } from '../model/workflow-contract.ts';
import { begunActivities, type sliceActivity } from './activities.ts';
import { activityIdOf } from './slice-ids.ts';

/** `lost`: it may have made calls, and did not commit. `not_begun`: called home before a worker had taken it. */
export type SliceEnd = SliceAnswer | 'lost' | 'not_begun';

/** Open while work may begin. Closing it lets no further slice start; `now` also cuts short those that run. */
export interface Gate {
  readonly leaving: () => boolean;
  close(how: YieldRequest): void;
  /** Runs a slice in a scope that `close('now')` cancels. */
  run(slice: ReturnType<typeof sliceActivity>, input: SliceInput): Promise<SliceEnd>;
}

interface AtWork {
  readonly scope: CancellationScope;
  readonly input: SliceInput;
  /** Epoch ms: it had not begun then. */
  notBegunAtMs: number;
  /** null: nobody has asked. */
  begun: boolean | null;
}

export function createGate(): Gate {
  const atWork = new Set<AtWork>();
  let closed = false;
  let calling = false;

  async function callHome(): Promise<void> {
    // Cancelled, an activity says no more of attempts that failed before: the server is asked first.
    if (patched('slices-are-asked-for')) await askFor(atWork);
    for (const { scope } of atWork) scope.cancel();
  }

  return {
    leaving: () => closed,
    close(how) {
      closed = true;
      if (how !== 'now' || calling || atWork.size === 0) return;
      calling = true;
      // Signals come in the scope of the workflow, which an operator may have cancelled.
      void CancellationScope.nonCancellable(callHome);
    },
    async run(slice, input) {
      const scope = new CancellationScope({ cancellable: true });
      const one: AtWork = { scope, input, notBegunAtMs: Date.now(), begun: null };
      atWork.add(one);
      try {
        return await scope.run(() => slice(input));
      } catch (error) {
        // One that a worker holds returns what it did: cancelled as such are those that wait for a worker.
        if (isCancellation(error)) return mayHaveBegun(one) ? 'lost' : 'not_begun';
        if (error instanceof ActivityFailure) return 'lost';
        throw error;
      } finally {
        atWork.delete(one);
      }
    },
  };
}

async function askFor(atWork: ReadonlySet<AtWork>): Promise<void> {
  const asked = [...atWork];
  const askedAtMs = Date.now();
  const begun = await begunActivities({ version: 1 }).catch(() => null);
  for (const one of asked) {
    const id = activityIdOf(one.input);
    one.begun = begun !== null && id !== undefined && begun.includes(id);
    if (begun !== null && id !== undefined) one.notBegunAtMs = askedAtMs;
  }
}

/**
 * A slice that fails once it may have made calls ends its activity; waiting for its next attempt are only those that
 * were timed out, which takes longer than the heartbeat timeout.
 */
function mayHaveBegun({ begun, notBegunAtMs, input }: AtWork): boolean {
  if (begun === null) return false;
  return begun || Date.now() - notBegunAtMs >= input.plan.heartbeatTimeoutMs;
}
