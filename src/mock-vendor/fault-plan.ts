/** Decides what goes wrong with a call: a seeded draw over the settings' rates, and the one-second call limit. */
import type { Settings } from './settings.ts';

/** What becomes of a call. Every fault but `hang_applied` and `reset_after` happens before the effect. */
export type Fate =
  | { readonly kind: 'execute' | 'hang' | 'hang_applied' | 'reset_before' | 'reset_after' }
  | { readonly kind: 'error'; readonly status: number };

export interface FaultPlan {
  readonly random: () => number;
  draw(): Fate;
  delayMs(): number;
  /** Null where the call is within the limit, else the whole seconds after which there is room. */
  readonly overLimit: (now: number) => number | null;
}

const EXECUTE: Fate = { kind: 'execute' };

/** A change that sets neither the seed nor the limit leaves their sequence and window as they stand (`carried`). */
export function createFaultPlan(settings: Settings, carried: Partial<FaultPlan> = {}): FaultPlan {
  const random = carried.random ?? seededRandom(settings.seed);
  const shares = toShares(settings);
  const overLimit = carried.overLimit ?? createCallLimit(settings.callsPerSecond);
  return {
    random,
    draw() {
      if (shares.length === 0) return EXECUTE;
      const drawn = random();
      return shares.find((share) => drawn < share.below)?.fate ?? EXECUTE;
    },
    delayMs: () => settings.latencyMs + (settings.jitterMs === 0 ? 0 : random() * settings.jitterMs),
    overLimit,
  };
}

/** One draw decides among all faults, so their rates add up and a seed gives the same fates on every run. */
function toShares(settings: Settings): readonly { readonly below: number; readonly fate: Fate }[] {
  const rates: readonly (readonly [number, Fate])[] = [
    ...Object.entries(settings.errors).map(
      ([status, rate]) => [rate, { kind: 'error', status: Number(status) }] as const,
    ),
    [settings.hangRate, { kind: settings.hangAppliesEffect ? 'hang_applied' : 'hang' }],
    [settings.resetBeforeEffectRate, { kind: 'reset_before' }],
    [settings.resetAfterEffectRate, { kind: 'reset_after' }],
  ];
  let below = 0;
  return rates
    .filter(([rate]) => rate > 0)
    .map(([rate, fate]) => {
      below += rate;
      return { below, fate };
    });
}

/** A sliding window: the ring holds the times of the last admitted calls, and the oldest must be a window ago. */
export function createCallLimit(callsPerSecond: number | null): (now: number) => number | null {
  if (callsPerSecond === null) return () => null;
  const calls = Math.max(1, Math.floor(callsPerSecond));
  const windowMs = (calls / callsPerSecond) * 1000;
  const admitted = new Float64Array(calls).fill(Number.NEGATIVE_INFINITY);
  let oldest = 0;
  return (now) => {
    const freeAt = (admitted[oldest] ?? 0) + windowMs;
    if (now < freeAt) return Math.max(1, Math.ceil((freeAt - now) / 1000));
    admitted[oldest] = now;
    oldest = (oldest + 1) % calls;
    return null;
  };
}

/** mulberry32: small, fast, and the same on every machine. */
function seededRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}
