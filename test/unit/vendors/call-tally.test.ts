import { expect, test } from 'vitest';
import { createCallTally } from '../../../src/vendors/call-tally.ts';

test.each([
  ['vendor_rate_limited', 61_000],
  ['vendor_unavailable', 61_000],
  ['vendor_error', 61_000],
  ['vendor_key_in_use', 0],
  ['vendor_too_early', 0],
])('of Retry-After with %s the governor is told as this process heeds it', (code, closedUntilMs) => {
  const tally = createCallTally(() => 1_000);
  tally.ended({ kind: 'transient', code, message: '', doubt: false, counts: true, retryAfterMs: 60_000 }, 5);
  expect(tally.isUrgent()).toBe(closedUntilMs > 0);
  expect(tally.take(false).closedUntilMs).toBe(closedUntilMs);
});

test('a report that did not arrive is told with the next one', () => {
  const tally = createCallTally(() => 1_000);
  tally.ended({ kind: 'answer', status: 200, body: '' }, 10);
  const report = tally.take(false);
  tally.ended({ kind: 'answer', status: 200, body: '' }, 30);
  tally.unused(2);
  tally.putBack(report);
  expect(tally.take(true)).toMatchObject({ answered: 2, unused: 2, latencyMs: 20, down: true });
});
