/** When an operation has failed often enough to be halted, and how much a part of it may add to that unasked. Pure. */
import type { Amendment, Tally } from './operation.ts';
import type { Plan } from './plan.ts';

/** `pause`: as a client pauses; whoever resumes it begins a new count. `stop`: as a client cancels. */
export const FAILURE_ACTIONS = ['pause', 'stop'] as const;
export type FailureAction = (typeof FAILURE_ACTIONS)[number];

/** Failures are failed and unknown items of one run, since it began or since it was resumed from a halt. */
export interface FailurePolicy {
  /** More failures than this halt the operation; null = any number may fail. */
  readonly maxFailures: number | null;
  /** A larger share of the decided items than this halts it, 0–100; null = any share may fail. */
  readonly maxFailurePercent: number | null;
  /** Decided items below which the share says nothing. */
  readonly minSample: number;
  readonly onFailureLimit: FailureAction;
}

/** As a client gives it; absent members are the default. */
export interface FailureLimits {
  readonly maxFailures?: number;
  readonly maxFailurePercent?: number;
  readonly minSample?: number;
  readonly onFailureLimit?: FailureAction;
}

const MIN_SAMPLE = 100;

/** Nothing for a plan where no limit was given: such operations cost nothing. */
export function failurePolicyOf(given: FailureLimits): Pick<Plan, 'failure'> {
  const { maxFailures, maxFailurePercent, minSample, onFailureLimit } = given;
  if ([maxFailures, maxFailurePercent, minSample, onFailureLimit].every((limit) => limit === undefined)) return {};
  return {
    failure: {
      maxFailures: maxFailures ?? null,
      maxFailurePercent: maxFailurePercent ?? null,
      minSample: minSample ?? MIN_SAMPLE,
      onFailureLimit: onFailureLimit ?? 'pause',
    },
  };
}

/** null: neither was given nor amended. */
export function amendedPolicy(
  given: FailurePolicy | undefined,
  { maxFailures, maxFailurePercent }: Pick<Amendment, 'maxFailures' | 'maxFailurePercent'>,
): FailurePolicy | null {
  if (maxFailures === undefined && maxFailurePercent === undefined) return given ?? null;
  const before = given ?? NO_LIMITS;
  return {
    ...before,
    maxFailures: maxFailures === undefined ? before.maxFailures : maxFailures,
    maxFailurePercent: maxFailurePercent === undefined ? before.maxFailurePercent : maxFailurePercent,
  };
}

const NO_LIMITS: FailurePolicy = {
  maxFailures: null,
  maxFailurePercent: null,
  minSample: MIN_SAMPLE,
  onFailureLimit: 'pause',
};

/** What the limits are held against. Unit: items. */
export interface Standing {
  readonly failures: number;
  readonly decided: number;
}

export function standingOf({ succeeded, failed, skipped, cancelled, unknown }: Tally): Standing {
  return { failures: failed + unknown, decided: succeeded + failed + skipped + cancelled + unknown };
}

export function since(from: Standing, now: Standing): Standing {
  return { failures: now.failures - from.failures, decided: now.decided - from.decided };
}

/** Why an operation was paused or ended by the service itself. */
export interface Halt {
  readonly cause: 'max_failures' | 'max_failure_percent' | 'deadline';
  readonly action: FailureAction;
  /** RFC 3339. */
  readonly at: string;
  /** For people. */
  readonly detail: string;
}

/** null where the policy allows what has happened. Exactly at a limit it does. */
export function tripOf(policy: FailurePolicy, { failures, decided }: Standing): Omit<Halt, 'at'> | null {
  const { maxFailures, maxFailurePercent, minSample, onFailureLimit: action } = policy;
  const happened = `${failures} of ${decided} decided items failed or are unknown`;
  if (maxFailures !== null && failures > maxFailures) {
    return { cause: 'max_failures', action, detail: `${happened}; at most ${maxFailures} may` };
  }
  if (maxFailurePercent !== null && decided >= minSample && failures * 100 > maxFailurePercent * decided) {
    return { cause: 'max_failure_percent', action, detail: `${happened}; at most ${maxFailurePercent} % may` };
  }
  return null;
}

/** What a chunk may add before it comes home to be counted with the others. Spent, it says nothing of the operation. */
export interface FailureAllowance {
  /** It is spent with so many failures (≥ 1); null = any number. */
  readonly failures: number | null;
  /** It is spent once `sample` items are decided and failures are `excess` beyond their `percent`; null = never. */
  readonly share: { readonly percent: number; readonly excess: number; readonly sample: number } | null;
}

/** What bounds an allowance beside the policy. */
export interface AllowanceTerms {
  /** Chunks in work at once: each gets its part of what is left. */
  readonly window: number;
  /** Items that a chunk has in flight at once. */
  readonly inFlight: number;
  /** What others in work were allowed and have not told yet. */
  readonly granted: readonly FailureAllowance[];
}

/**
 * Allowances never sum to more than what is left, but for one failure a chunk, so that work goes on; so an operation fails
 * no more than `maxFailures` and what its chunks have in flight. A share hovers about its limit: there a chunk may
 * fail some more (5 % of what is decided, no more than it has in flight), or each of its slices would be a few items long.
 */
export function allowanceOf(
  { maxFailures, maxFailurePercent, minSample }: FailurePolicy,
  { failures, decided }: Standing,
  { window, inFlight, granted }: AllowanceTerms,
): FailureAllowance {
  const sum = (partOf: (allowance: FailureAllowance) => number) =>
    granted.reduce((total, allowance) => total + Math.max(0, partOf(allowance)), 0);
  const left = maxFailures === null ? null : maxFailures + 1 - failures - sum((allowance) => allowance.failures ?? 0);
  const percent = maxFailurePercent;
  if (percent === null) return { failures: part(left, window), share: null };
  const slack = (decided * percent) / 100 - failures - sum(({ share }) => share?.excess ?? 0);
  const spare = Math.min(inFlight, Math.ceil(decided / 20));
  const excess = Math.max(spare, slack / window);
  const sample = Math.max(0, Math.ceil((minSample - decided) / window));
  return { failures: part(left, window), share: { percent, excess, sample } };
}

function part(left: number | null, window: number): number | null {
  return left === null ? null : Math.max(1, Math.ceil(left / window));
}

export function isSpent({ failures, share }: FailureAllowance, used: Standing): boolean {
  if (failures !== null && used.failures >= failures) return true;
  if (share === null || used.decided < share.sample) return false;
  return used.failures - (used.decided * share.percent) / 100 > share.excess;
}

/** What is left of an allowance. */
export function spend({ failures, share }: FailureAllowance, used: Standing): FailureAllowance {
  return {
    failures: failures === null ? null : failures - used.failures,
    share:
      share === null
        ? null
        : {
            percent: share.percent,
            excess: share.excess - used.failures + (used.decided * share.percent) / 100,
            sample: Math.max(0, share.sample - used.decided),
          },
  };
}
