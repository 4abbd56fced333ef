/** One attempt at one item: the target is called under the slice's lease and pace, and whatever it does becomes data. */
import type { Log } from '../model/log.ts';
import type { Applied, Submitted } from '../model/outcome.ts';
import type { SliceInput } from '../model/workflow-contract.ts';
import type { Polled, SubmitContext, Target, TargetContext, TargetItem } from '../targets/target.ts';
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
  /** So much has failed that nothing more is to begin before the operation was asked. */
  readonly isSpent: () => boolean;
  readonly log: Log;
}

/** Where a vendor sends an item's outcome; only targets that submit ask for it. */
export type CallbackUrl = SubmitContext['callbackUrl'];

/** When a call that waits is no longer to be made. */
export interface CallBounds {
  readonly waiting: AbortSignal;
  /** Asked right before the bytes go out: a slice without its lease, or at its end, starts no call. */
  readonly mayCall: () => boolean;
}

export interface Attempt {
  begin(item: TargetItem<unknown>): Applied | Promise<Applied | NotCalled | Submitted>;
  /** Asks what became of an item whose callback is overdue; null where the target cannot. */
  readonly poll: ((vendorRef: string, item: TargetItem<unknown>) => Promise<Polled>) | null;
}

/** A target that throws has a bug: the item fails, its neighbours go on. */
export function createAttempt(deps: AttemptDeps & { readonly callbackUrl: CallbackUrl }, bounds: CallBounds): Attempt {
  const { input, target, log } = deps;
  const context: SubmitContext = {
    operation: input.ref,
    signal: deps.control.signal,
    vendor: createCaller(deps, bounds),
    callbackUrl: deps.callbackUrl,
  };
  const begin = target.applyOne ?? target.submit;
  const { poll } = target;
  async function ask(vendorRef: string, item: TargetItem<unknown>): Promise<Polled> {
    try {
      return (await poll?.(vendorRef, item, context)) ?? PENDING;
    } catch (cause) {
      // The vendor has the item, whatever is wrong with the question.
      log('error', 'a target threw when it asked for an item', { index: item.index, cause });
      return PENDING;
    }
  }
  const failed = (item: TargetItem<unknown>) => (cause: unknown) => bug(log, item.index, cause);
  return {
    begin(item) {
      if (begin === undefined) return noApply(target.name);
      try {
        const applied = begin(item, context);
        return applied instanceof Promise ? applied.catch(failed(item)) : applied;
      } catch (cause) {
        return bug(log, item.index, cause);
      }
    },
    poll: poll === undefined ? null : ask,
  };
}

export function createCaller(
  { input, target, control, vendor }: AttemptDeps,
  bounds: CallBounds,
): TargetContext['vendor'] {
  if (vendor === null) return () => Promise.reject(new Error(`target ${target.name} has no vendor to call`));
  const { plan, ref, ordinal, callsPerSecond } = input;
  const context = {
    account: ref.account,
    traceId: ref.traceId,
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

const PENDING = { kind: 'pending' } as const;

function bug(log: Log, index: number, cause: unknown): Applied {
  log('error', 'a target threw', { index, cause });
  const message = 'the target failed on this item; the service log says why';
  return { kind: 'failed', error: { code: 'target_error', message, retryable: true } };
}
