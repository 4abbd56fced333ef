import fc from 'fast-check';
import { describe, expect, it, test } from 'vitest';
import {
  allowanceOf,
  amendedPolicy,
  type FailureAllowance,
  type FailurePolicy,
  failurePolicyOf,
  isSpent,
  type Standing,
  spend,
  standingOf,
  tripOf,
} from '../../../src/model/failure-policy.ts';
import { EMPTY_TALLY } from '../../../src/model/operation.ts';

const NONE = { maxFailures: null, maxFailurePercent: null, minSample: 100, onFailureLimit: 'pause' } as const;

function policy(over: Partial<FailurePolicy>): FailurePolicy {
  return { ...NONE, ...over };
}

describe('a policy', () => {
  it('is nothing where no limit was given, and has defaults for what was left out', () => {
    expect(failurePolicyOf({})).toEqual({});
    expect(failurePolicyOf({ maxFailures: 0 })).toEqual({ failure: { ...NONE, maxFailures: 0 } });
    expect(failurePolicyOf({ onFailureLimit: 'stop' })).toEqual({ failure: { ...NONE, onFailureLimit: 'stop' } });
  });

  it('is amended limit by limit; null clears, absent stands', () => {
    const given = policy({ maxFailures: 5, minSample: 20, onFailureLimit: 'stop' });
    expect(amendedPolicy(given, {})).toEqual(given);
    expect(amendedPolicy(given, { maxFailures: null })).toEqual({ ...given, maxFailures: null });
    expect(amendedPolicy(given, { maxFailurePercent: 2.5 })).toEqual({ ...given, maxFailurePercent: 2.5 });
    expect(amendedPolicy(undefined, {})).toBeNull();
    expect(amendedPolicy(undefined, { maxFailures: 7 })).toEqual({ ...NONE, maxFailures: 7 });
  });

  it('counts what is unknown like what has failed, and nothing else', () => {
    const tally = { ...EMPTY_TALLY, succeeded: 5, failed: 3, skipped: 2, unknown: 4 };
    expect(standingOf(tally)).toEqual({ failures: 7, decided: 14 });
  });

  test.each([
    ['0: the first failure is one too many', { maxFailures: 0 }, 1, 1, 'max_failures'],
    ['0: without a failure it goes on', { maxFailures: 0 }, 0, 1_000, null],
    ['exactly at the limit it goes on', { maxFailures: 10 }, 10, 10, null],
    ['one beyond the limit it does not', { maxFailures: 10 }, 11, 240, 'max_failures'],
    ['0 % is any failure, once the sample is there', { maxFailurePercent: 0 }, 1, 100, 'max_failure_percent'],
    ['100 % is never passed', { maxFailurePercent: 100 }, 1_000, 1_000, null],
    ['exactly at the share it goes on', { maxFailurePercent: 5 }, 10, 200, null],
    ['one item beyond the share it does not', { maxFailurePercent: 5 }, 11, 200, 'max_failure_percent'],
    ['a share of decimals', { maxFailurePercent: 0.1 }, 3, 2_999, 'max_failure_percent'],
    ['exactly at a share of decimals', { maxFailurePercent: 0.1 }, 3, 3_000, null],
    ['one short of the sample nothing is said', { maxFailurePercent: 5, minSample: 50 }, 49, 49, null],
    ['with the sample it is', { maxFailurePercent: 5, minSample: 50 }, 50, 50, 'max_failure_percent'],
    ['the number needs no sample', { maxFailures: 2, maxFailurePercent: 5 }, 3, 3, 'max_failures'],
    ['no limit', {}, 1_000, 1_000, null],
  ] as const)('%s', (_, over, failures, decided, cause) => {
    expect(tripOf(policy(over), { failures, decided })?.cause ?? null).toBe(cause);
  });

  it('says what happened, what may, and what comes of it', () => {
    expect(tripOf(policy({ maxFailures: 10, onFailureLimit: 'stop' }), { failures: 11, decided: 240 })).toEqual({
      cause: 'max_failures',
      action: 'stop',
      detail: '11 of 240 decided items failed or are unknown; at most 10 may',
    });
  });
});

describe('an allowance', () => {
  function granted(over: Partial<FailurePolicy>, standing: Standing, window: number): FailureAllowance {
    const allowance = allowanceOf(policy(over), standing, { window, inFlight: 50, granted: [] });
    if (allowance === null) throw new Error('nobody else holds any');
    return allowance;
  }

  it('of the only chunk is spent exactly when the operation is to be halted', () => {
    const counts = fc.record({ failures: fc.nat(300), others: fc.nat(300) });
    const limits = fc.record({
      maxFailures: fc.option(fc.nat(100)),
      maxFailurePercent: fc.option(fc.constantFrom(0, 1, 12.5, 50, 100)),
      minSample: fc.integer({ min: 1, max: 200 }),
    });
    fc.assert(
      fc.property(limits, counts, (over, { failures, others }) => {
        const used = { failures, decided: failures + others };
        const limited = policy(over);
        const allowance = granted(over, { failures: 0, decided: 0 }, 1);
        expect(isSpent(allowance, used)).toBe(tripOf(limited, used) !== null);
      }),
    );
  });

  it('lets every chunk do something, however little is left', () => {
    const nearly = granted({ maxFailures: 10 }, { failures: 10, decided: 50 }, 16);
    expect(nearly.failures).toBeGreaterThanOrEqual(1);
    expect(isSpent(nearly, { failures: 0, decided: 5_000 })).toBe(false);
    const share = granted({ maxFailurePercent: 10 }, { failures: 90, decided: 90 }, 4);
    expect(isSpent(share, { failures: 0, decided: 0 })).toBe(false);
  });

  it('of a share is not a few items long where failures hover about it', () => {
    const allowance = granted({ maxFailurePercent: 5 }, { failures: 5_000, decided: 100_000 }, 16);
    expect(isSpent(allowance, { failures: 40, decided: 40 })).toBe(false);
    expect(isSpent(allowance, { failures: 60, decided: 60 })).toBe(true);
  });

  it('is not given while others hold what is left, and always where nobody does', () => {
    const other = { failures: 5, share: null };
    const terms = { window: 2, inFlight: 10, granted: [other] };
    expect(allowanceOf(policy({ maxFailures: 10 }), { failures: 10, decided: 10 }, terms)).toBeNull();
    expect(allowanceOf(policy({ maxFailures: 10 }), { failures: 10, decided: 10 }, { ...terms, granted: [] })).toEqual({
      failures: 1,
      share: null,
    });
  });

  /** Chunks at work that all fail, each whenever it pleases: what has failed when the operation hears enough of it. */
  it.each([
    ['a number', { maxFailures: 37 }, 1],
    ['a share', { maxFailurePercent: 20, minSample: 10 }, 2],
  ] as const)('keeps an operation within %s and what is in flight', (_, over, times) => {
    const limited = policy(over);
    const steps = fc.array(fc.record({ chunk: fc.nat(15), isFailure: fc.boolean() }), {
      minLength: 400,
      maxLength: 900,
    });
    const shape = fc.record({ window: fc.integer({ min: 1, max: 6 }), inFlight: fc.integer({ min: 1, max: 7 }) });
    fc.assert(
      fc.property(shape, steps, ({ window, inFlight }, items) => {
        const { failures, decided } = play(limited, { window, inFlight }, items);
        const allowed = limited.maxFailures ?? Math.max(10, decided) * 0.2;
        const early = limited.maxFailures === null ? 10 : 0;
        expect(failures).toBeLessThanOrEqual(Math.ceil(allowed) + early + times * window * inFlight);
      }),
      { numRuns: 300 },
    );
  });

  it('that is spent in parts is spent as a whole', () => {
    const limits = fc.record({ maxFailures: fc.option(fc.nat(40)), maxFailurePercent: fc.constantFrom(0, 10, 50) });
    const part = fc.record({ failures: fc.nat(20), others: fc.nat(20) });
    fc.assert(
      fc.property(limits, part, part, (over, first, second) => {
        const whole = granted({ ...over, minSample: 16 }, { failures: 0, decided: 0 }, 1);
        const one = { failures: first.failures, decided: first.failures + first.others };
        const two = { failures: second.failures, decided: second.failures + second.others };
        const both = { failures: one.failures + two.failures, decided: one.decided + two.decided };
        expect(isSpent(spend(whole, one), two)).toBe(isSpent(whole, both));
      }),
    );
  });
});

/** As a crew works: a chunk that has spent its allowance ends what it has in flight as badly as can be, then comes home. */
function play(
  limited: FailurePolicy,
  { window, inFlight }: { readonly window: number; readonly inFlight: number },
  items: readonly { readonly chunk: number; readonly isFailure: boolean }[],
): Standing {
  let known: Standing = { failures: 0, decided: 0 };
  const chunks = Array.from({ length: window }, () => ({ allowance: null as FailureAllowance | null, used: NOTHING }));
  const total = () => chunks.reduce((sum, { used }) => add(sum, used), known);
  function comeHome(chunk: (typeof chunks)[number]): void {
    known = add(known, chunk.used);
    chunk.allowance = null;
    chunk.used = NOTHING;
  }
  for (const item of items) {
    const chunk = chunks[item.chunk % window];
    if (chunk === undefined) continue;
    if (chunk.allowance === null) {
      const held = chunks.flatMap(({ allowance }) => (allowance === null ? [] : [allowance]));
      chunk.allowance = allowanceOf(limited, known, { window, inFlight, granted: held });
      if (chunk.allowance === null) {
        for (const other of chunks) comeHome(other);
        if (tripOf(limited, known) !== null) return known;
        continue;
      }
    }
    chunk.used = add(chunk.used, { failures: Number(item.isFailure), decided: 1 });
    if (!isSpent(chunk.allowance, chunk.used)) continue;
    chunk.used = add(chunk.used, { failures: inFlight - 1, decided: inFlight - 1 });
    comeHome(chunk);
    if (tripOf(limited, known) === null) continue;
    // What the others have in flight fails as well, after all that they were allowed.
    for (const other of chunks) {
      while (other.allowance !== null && !isSpent(other.allowance, other.used)) {
        other.used = add(other.used, { failures: 1, decided: 1 });
      }
      if (other.allowance !== null) other.used = add(other.used, { failures: inFlight - 1, decided: inFlight - 1 });
    }
    return total();
  }
  return total();
}

const NOTHING: Standing = { failures: 0, decided: 0 };

function add(a: Standing, b: Standing): Standing {
  return { failures: a.failures + b.failures, decided: a.decided + b.decided };
}
