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
 * A chunk whose allowance is spent fails what it has in flight, too: so much is set aside for each. Thus an operation
 * fails no more than its limit and what its chunks have in flight together; of a share, which failures may hover about,
 * no more than twice that, or slices would be a few items long. null: others hold what is left, and must come home first.
 */
export function allowanceOf(policy: FailurePolicy, standing: Standing, terms: AllowanceTerms): FailureAllowance | null {
  const failures = failuresOf(policy, standing, terms);
  const share = shareOf(policy, standing, terms);
  return failures === 'used_up' || share === 'used_up' ? null : { failures, share };
}

function failuresOf({ maxFailures }: FailurePolicy, { failures }: Standing, terms: AllowanceTerms) {
  if (maxFailures === null) return null;
  const { window, inFlight, granted } = terms;
  const left =
    maxFailures + window * inFlight - failures - setAside(terms, (allowance) => (allowance.failures ?? 1) - 1);
  if (left < inFlight && granted.length > 0) return 'used_up';
  // Half is kept back: a chunk that fails more than the others comes for it some times before all must come home.
  const parts = window === 1 ? 1 : 2 * window;
  return Math.max(1, Math.floor(left / parts) - inFlight + 1);
}

function shareOf(
  { maxFailurePercent: percent, minSample }: FailurePolicy,
  { failures, decided }: Standing,
  terms: AllowanceTerms,
): FailureAllowance['share'] | 'used_up' {
  if (percent === null) return null;
  const { window, inFlight, granted } = terms;
  const spare = window === 1 ? 0 : Math.min(inFlight, Math.ceil(decided / SPARE_OF_DECIDED));
  const slack = (decided * percent) / 100 - failures;
  const heldBack = setAside(terms, ({ share }) => share?.excess ?? 0);
  const left = window * (inFlight + spare) + Math.max(0, slack) - heldBack;
  if (left < inFlight && granted.length > 0) return 'used_up';
  const excess = slack < 0 ? slack / window : Math.max(0, left / window - inFlight);
  return { percent, excess, sample: Math.max(0, Math.ceil((minSample - decided) / window)) };
}

const SPARE_OF_DECIDED = 20;

/** Of what others were allowed, and what they have in flight when that is spent. */
function setAside({ granted, inFlight }: AllowanceTerms, of: (allowance: FailureAllowance) => number): number {
  return granted.reduce((sum, allowance) => sum + Math.max(0, of(allowance) + inFlight), 0);
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
