/** The room's door: targets by name, and the plan that an operation on one gets at submit. */
import type { Chunk } from '../model/chunk.ts';
import { TrancheError } from '../model/errors.ts';
import { DIRECT_CHUNKS_MAX, HISTORY_EVENTS_MAX } from '../model/limits.ts';
import type { Plan } from '../model/plan.ts';
import { acceptsText, createItemReader, createItemTexts, type ItemText, rowText } from './item-reader.ts';
import * as registry from './registry.ts';
import type { ItemLabel, Target } from './target.ts';
import { type TargetView, viewTarget } from './target-views.ts';

export const TARGETS: readonly Target[] = Object.values(registry)
  .map(anyItem)
  .sort((a, b) => (a.name < b.name ? -1 : 1));

export const targetNames: readonly string[] = TARGETS.map((target) => target.name);

/** Throws `unknown_target`, naming those there are. */
export function findTarget(name: string): Target {
  const target = TARGETS.find((candidate) => candidate.name === name);
  if (target !== undefined) return target;
  const message = `there is no target ${JSON.stringify(name)}; targets are ${targetNames.join(', ')}`;
  throw new TrancheError('unknown_target', message, { allowed: targetNames });
}

/** What a client may ask for at submit; absent members are the target's or the default ones. */
export interface Policy {
  /** Items in flight within one slice: 1–1,000. */
  readonly concurrency?: number;
  /** Calls per second of the whole operation: above 0, at most 100,000. */
  readonly callsPerSecond?: number;
  /** 1–100. */
  readonly maximumAttempts?: number;
}

const DEFAULT_PLAN = {
  sliceConcurrency: 16,
  batchItemsMax: null,
  windowMax: 16,
  boxMs: 3_000,
  boxMaxMs: 30_000,
  heartbeatTimeoutMs: 4_000,
  callTimeoutMs: 30_000,
  callbackTimeoutMs: null,
  journal: true,
  directChunksMax: DIRECT_CHUNKS_MAX,
  historyEventsMax: HISTORY_EVENTS_MAX,
} as const satisfies Partial<Plan>;

const DEFAULT_RETRY = {
  initialIntervalMs: 500,
  backoffCoefficient: 2,
  maximumIntervalMs: 60_000,
  maximumAttempts: 6,
  nonRetryableCodes: [],
} as const satisfies Plan['retry'];

/** What the service is set to; absent members are the built-in ones. */
export interface PlanDefaults
  extends Partial<Pick<Plan, 'heartbeatTimeoutMs' | 'boxMs' | 'boxMaxMs' | 'windowMax' | 'callTimeoutMs'>> {
  readonly retry?: Partial<Plan['retry']>;
  /** Of targets whose vendor calls back; null = the service has no secret to sign callback URLs with: they are refused. */
  readonly callbackTimeoutMs?: number | null;
}

const CALLBACK_TIMEOUT_MS = 600_000;

/** Throws `invalid_policy`, listing every fault at once. */
export function resolvePlan(target: Target, policy: Policy, defaults: PlanDefaults = {}): Plan {
  const errors = policyFaults(policy);
  if (errors.length > 0) throw new TrancheError('invalid_policy', 'the policy is invalid: see errors', { errors });
  return {
    version: 1,
    target: target.name,
    vendor: target.vendor,
    guarantee: target.guarantee,
    onDoubt: target.onDoubt,
    ...DEFAULT_PLAN,
    ...defaults,
    ...target.plan,
    callbackTimeoutMs: callbackTimeoutOf(target, defaults),
    ...(policy.concurrency === undefined ? {} : { sliceConcurrency: policy.concurrency }),
    callsPerSecond: policy.callsPerSecond ?? null,
    dedupe: target.dedupeBy !== undefined,
    retry: {
      ...DEFAULT_RETRY,
      ...defaults.retry,
      ...(policy.maximumAttempts === undefined ? {} : { maximumAttempts: policy.maximumAttempts }),
    },
  };
}

function callbackTimeoutOf({ name, submit, plan }: Target, { callbackTimeoutMs }: PlanDefaults): number | null {
  if (submit === undefined) return null;
  if (callbackTimeoutMs !== null) return plan?.callbackTimeoutMs ?? callbackTimeoutMs ?? CALLBACK_TIMEOUT_MS;
  throw new TrancheError('unknown_target', `this service is not set up for target ${name}: it has no CALLBACK_SECRET`);
}

interface Bound {
  readonly parameter: keyof Policy;
  readonly holds: (value: number) => boolean;
  readonly detail: string;
}

const BOUNDS: readonly Bound[] = [
  wholeFrom1To('concurrency', 1_000),
  {
    parameter: 'callsPerSecond',
    holds: (value) => value >= 0.001 && value <= 100_000,
    detail: 'callsPerSecond must be a number from 0.001 to 100000',
  },
  wholeFrom1To('maximumAttempts', 100),
];

function wholeFrom1To(parameter: keyof Policy, max: number): Bound {
  return {
    parameter,
    holds: (value) => Number.isInteger(value) && value >= 1 && value <= max,
    detail: `${parameter} must be a whole number from 1 to ${max}`,
  };
}

function policyFaults(policy: Policy) {
  return BOUNDS.filter(({ parameter, holds }) => {
    const value = policy[parameter];
    return value !== undefined && !holds(value);
  }).map(({ parameter, detail }) => ({ code: 'invalid_policy', detail, parameter }));
}

/** The registry as the verbs see it, under the service's own defaults. */
export function createTargetRegistry(defaults: PlanDefaults) {
  return {
    targetNames: () => targetNames,
    targetViews: (): readonly TargetView[] => TARGETS.map(viewTarget),
    findTarget: (name: string) => TARGETS.find((target) => target.name === name),
    resolvePlan: ({ name }: { readonly name: string }, policy: Policy): Plan =>
      resolvePlan(findTarget(name), policy, defaults),
    /** What a result line says of an item that no slice has seen, by its position in the chunk. */
    labelsOf(name: string, chunk: Chunk): (position: number) => ItemLabel {
      const reader = createItemReader(chunk, findTarget(name), '');
      return (position) => reader.label(position);
    },
    itemTexts: (name: string, chunk: Chunk): ((position: number) => ItemText) =>
      createItemTexts(chunk, findTarget(name)),
    rowText: (name: string, cells: Readonly<Record<string, string>>): string => rowText(findTarget(name), cells),
    acceptsText: (name: string, text: string): boolean => acceptsText(findTarget(name), text),
  };
}

/** Forgets the item's type: safe because a slice gives `apply*` only what the same target's schema has let through. */
function anyItem(target: (typeof registry)[keyof typeof registry]): Target {
  return target as unknown as Target;
}
