import { expect, test } from 'vitest';
import { judge } from '../../../src/activities/verdict.ts';
import type { Transient } from '../../../src/model/outcome.ts';
import { plan } from '../../fixtures/plan.ts';

const first = { counted: 0, attempts: 1, doubt: false };
const timeout: Transient = { kind: 'transient', code: 'vendor_timeout', message: 'm', doubt: true, counts: true };
const refused: Transient = { kind: 'transient', code: 'vendor_error', message: 'm', doubt: false, counts: true };
const limited: Transient = {
  kind: 'transient',
  code: 'vendor_rate_limited',
  message: 'm',
  doubt: false,
  counts: false,
};

test('a transient answer is tried again with growing pauses, until the attempts are used up', () => {
  const policy = plan({ retry: { ...plan().retry, initialIntervalMs: 100, maximumAttempts: 3 } });
  const again = judge(policy, first, refused, 0, false);
  expect(again).toMatchObject({ kind: 'again', counted: 1, doubt: false });
  if (again.kind === 'again') expect(again.dueMs).toBeGreaterThanOrEqual(80);
  const second = judge(policy, { counted: 1, attempts: 2, doubt: false }, refused, 0, false);
  if (second.kind === 'again') expect(second.dueMs).toBeGreaterThanOrEqual(160);
  const last = judge(policy, { counted: 2, attempts: 3, doubt: false }, refused, 0, false);
  expect(last).toMatchObject({
    kind: 'decided',
    decision: { outcome: 'failed', attempts: 3, error: { retryable: true } },
  });
});

test('an item whose last attempt nobody answered is unknown, not failed', () => {
  const policy = plan({ retry: { ...plan().retry, maximumAttempts: 1 } });
  expect(judge(policy, first, timeout, 0, false)).toMatchObject({ decision: { outcome: 'unknown' } });
});

test('a limit and a vendor that is down cost no attempts', () => {
  const policy = plan({ retry: { ...plan().retry, maximumAttempts: 1 } });
  expect(judge(policy, first, limited, 0, false)).toMatchObject({ kind: 'again', counted: 0 });
  expect(judge(policy, first, timeout, 0, true)).toMatchObject({ kind: 'again', counted: 0 });
});

test('a longer Retry-After wins over the back-off', () => {
  const verdict = judge(plan(), first, { ...limited, retryAfterMs: 30_000 }, 1_000, false);
  expect(verdict).toMatchObject({ kind: 'again', dueMs: 31_000 });
});

test('a doubtful call to a target that cannot resend is unknown at once', () => {
  expect(judge(plan({ onDoubt: 'unknown' }), first, timeout, 0, false)).toMatchObject({
    decision: { outcome: 'unknown' },
  });
});

test('a non-retryable code is final at its first attempt', () => {
  const policy = plan({ retry: { ...plan().retry, nonRetryableCodes: ['vendor_error'] } });
  const verdict = judge(policy, first, refused, 0, false);
  expect(verdict).toMatchObject({ kind: 'decided', decision: { outcome: 'failed' } });
});

test('an item that one attempt may have reached is never called failed, whatever was said later', () => {
  const policy = plan({ retry: { ...plan().retry, maximumAttempts: 2 } });
  const verdict = judge(policy, { counted: 1, attempts: 2, doubt: true }, refused, 0, false);
  expect(verdict).toMatchObject({ kind: 'decided', decision: { outcome: 'unknown' } });
});

test('items that always get an answered 500 are decided even where they make the vendor look down', () => {
  const policy = plan({ retry: { ...plan().retry, maximumAttempts: 2 } });
  const verdict = judge(policy, { counted: 1, attempts: 2, doubt: false }, refused, 0, true);
  expect(verdict).toMatchObject({ kind: 'decided', decision: { outcome: 'failed' } });
});

test('a call whose first run is still under way is asked again ever more slowly and costs no attempts', () => {
  const inFlight: Transient = { ...refused, code: 'vendor_key_in_use', doubt: true, counts: false };
  const verdict = judge(plan(), { counted: 0, attempts: 6, doubt: true }, inFlight, 0, false);
  expect(verdict).toMatchObject({ kind: 'again', counted: 0 });
  if (verdict.kind === 'again') expect(verdict.dueMs).toBeGreaterThan(10_000);
});
