import { describe, expect, test } from 'vitest';
import { findTarget, resolvePlan, targetNames } from '../../../src/targets/index.ts';

test('the registry knows its targets by name', () => {
  expect(targetNames).toEqual(['async', 'contacts', 'noop', 'products', 'sync']);
  expect(findTarget('products').name).toBe('products');
});

test.each(['', 'Products', 'contacts-x', '__proto__'])('%j is no target', (name) => {
  expect(() => findTarget(name)).toThrow(expect.objectContaining({ code: 'unknown_target' }));
});

describe('a plan', () => {
  test('is complete without a policy', () => {
    expect(resolvePlan(findTarget('products'), {})).toEqual({
      version: 1,
      target: 'products',
      vendor: 'products',
      guarantee: 'idempotent',
      onDoubt: 'resend',
      sliceConcurrency: 50,
      batchItemsMax: null,
      windowMax: 16,
      callsPerSecond: null,
      boxMs: 3_000,
      boxMaxMs: 30_000,
      heartbeatTimeoutMs: 4_000,
      callTimeoutMs: 30_000,
      callbackTimeoutMs: null,
      dedupe: false,
      journal: true,
      directChunksMax: 512,
      historyEventsMax: 3_000,
      retry: {
        initialIntervalMs: 500,
        backoffCoefficient: 2,
        maximumIntervalMs: 60_000,
        maximumAttempts: 6,
        nonRetryableCodes: [],
      },
    });
  });

  test('of noop journals nothing and calls nobody', () => {
    expect(resolvePlan(findTarget('noop'), {})).toMatchObject({ journal: false, vendor: null });
  });

  test('follows the policy within its bounds, and the service in what the target leaves open', () => {
    const policy = { concurrency: 1_000, callsPerSecond: 0.5, maximumAttempts: 1 };
    const defaults = { boxMs: 100, retry: { maximumAttempts: 9, initialIntervalMs: 10 } };
    expect(resolvePlan(findTarget('products'), policy, defaults)).toMatchObject({
      sliceConcurrency: 1_000,
      callsPerSecond: 0.5,
      boxMs: 100,
      retry: { maximumAttempts: 1, initialIntervalMs: 10 },
    });
    expect(resolvePlan(findTarget('products'), {}, defaults).retry.maximumAttempts).toBe(9);
  });

  test.each([
    [{ concurrency: 0 }, ['concurrency']],
    [{ concurrency: 1_001 }, ['concurrency']],
    [{ concurrency: 1.5 }, ['concurrency']],
    [{ callsPerSecond: 0 }, ['callsPerSecond']],
    [{ callsPerSecond: 100_001 }, ['callsPerSecond']],
    [{ callsPerSecond: Number.NaN }, ['callsPerSecond']],
    [{ maximumAttempts: 0 }, ['maximumAttempts']],
    [{ maximumAttempts: 101, concurrency: -1 }, ['concurrency', 'maximumAttempts']],
  ])('%j is refused, naming %j', (policy, parameters) => {
    const errors = parameters.map((parameter) => expect.objectContaining({ code: 'invalid_policy', parameter }));
    expect(() => resolvePlan(findTarget('products'), policy)).toThrow(
      expect.objectContaining({ code: 'invalid_policy', facts: { errors } }),
    );
  });
});
