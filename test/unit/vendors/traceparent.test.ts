import { expect, test } from 'vitest';
import { createTraceparent } from '../../../src/vendors/traceparent.ts';

const TRACE = '0af7651916cd43dd8448eb211c80319c';
const OTHER = 'b7ad6b7169203331b7ad6b7169203331';

test('each call is a span of its own in its trace', () => {
  const traceparent = createTraceparent();
  const all = Array.from({ length: 1_000 }, (_, n) => traceparent(n % 3 === 0 ? OTHER : TRACE) ?? '');
  for (const [n, value] of all.entries()) {
    expect(value).toMatch(new RegExp(`^00-${n % 3 === 0 ? OTHER : TRACE}-[0-9a-f]{16}-01$`));
    expect(value).not.toContain('-0000000000000000-');
  }
  expect(new Set(all.map((value) => value.split('-')[2])).size).toBe(all.length);
});

test('two processes do not count from the same place', () => {
  expect(createTraceparent()(TRACE)).not.toBe(createTraceparent()(TRACE));
});

test.each([undefined, '', 'trace', TRACE.toUpperCase(), `${TRACE}0`, `${TRACE}\r\nx: y`])(
  '%j is no trace',
  (traceId) => {
    const traceparent = createTraceparent();
    expect(traceparent(traceId)).toBeNull();
    expect(traceparent(TRACE)).not.toBeNull();
    expect(traceparent(traceId)).toBeNull();
  },
);
