/** One attempt at one item: the target is called under the slice's lease and pace, and whatever it does becomes data. */
import type { Log } from '../model/log.ts';
import type { Applied } from '../model/outcome.ts';
import type { SliceInput } from '../model/workflow-contract.ts';
import type { Target, TargetContext, TargetItem } from '../targets/target.ts';
import type { NotCalled } from '../vendors/vendor.ts';
import type { Vendor } from '../vendors/vendor-standing.ts';
import type { Control } from './control.ts';
import type { Lease } from './lease.ts';

export interface AttemptDeps {
  readonly input: SliceInput;
  readonly target: Target;
  readonly lease: Lease;
  readonly control: Control;
  /** Null for targets that call nobody. */
  readonly vendor: Vendor | null;
  readonly log: Log;
}

/** When a call that waits is no longer to be made. */
export interface CallBounds {
  readonly waiting: AbortSignal;
  /** Asked right before the bytes go out: a slice without its lease, or at its end, starts no call. */
  readonly mayCall: () => boolean;
}

export type Attempt = (item: TargetItem<unknown>) => Applied | Promise<Applied | NotCalled>;

/** A target that throws has a bug: the item fails, its neighbours go on. */
export function createAttempt(deps: AttemptDeps, bounds: CallBounds): Attempt {
  const { input, target, log } = deps;
  const context: TargetContext = {
    operation: input.ref,
    signal: deps.control.signal,
    vendor: createCaller(deps, bounds),
  };
  const { applyOne } = target;
  if (applyOne === undefined) return () => noApply(target.name);
  return (item) => {
    try {
      const applied = applyOne(item, context);
      return applied instanceof Promise ? applied.catch((cause) => bug(log, item.index, cause)) : applied;
    } catch (cause) {
      return bug(log, item.index, cause);
    }
  };
}

function createCaller({ input, target, control, vendor }: AttemptDeps, bounds: CallBounds): TargetContext['vendor'] {
  if (vendor === null) return () => Promise.reject(new Error(`target ${target.name} has no vendor to call`));
  const { plan, ref, ordinal, callsPerSecond } = input;
  const context = {
    account: ref.account,
    pace: vendor.paceOf(`${ref.uid}:${ordinal}`, callsPerSecond),
    timeoutMs: plan.callTimeoutMs,
    signal: control.signal,
    ...bounds,
  };
  return (request) => vendor.client.call(request, context);
}

function noApply(name: string): Applied {
  const message = `target ${name} cannot be applied item by item`;
  return { kind: 'failed', error: { code: 'target_error', message, retryable: false } };
}

function bug(log: Log, index: number, cause: unknown): Applied {
  log('error', 'a target threw', { index, cause });
  const message = 'the target failed on this item; the service log says why';
  return { kind: 'failed', error: { code: 'target_error', message, retryable: true } };
}
