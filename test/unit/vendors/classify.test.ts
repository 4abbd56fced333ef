import { describe, expect, test } from 'vitest';
import { classifyAnswer, classifyFailure, parseRetryAfter, RETRY_AFTER_MAX_MS } from '../../../src/vendors/classify.ts';

const NOW = Date.parse('2026-11-21T12:00:00Z');
const classify = (status: number, body = '', retryAfter?: string) => classifyAnswer(status, retryAfter, body, NOW);

describe('an answer', () => {
  test.each([200, 201, 204, 301, 307, 400, 401, 403, 404, 405, 409, 410, 413, 422, 451])('%i is definite', (status) => {
    expect(classify(status, 'text')).toEqual({ kind: 'answer', status, body: 'text' });
  });

  test.each([
    [408, 'vendor_request_timeout', { doubt: false, counts: true }],
    [425, 'vendor_too_early', { doubt: false, counts: false }],
    [429, 'vendor_rate_limited', { doubt: false, counts: false }],
    [500, 'vendor_error', { doubt: false, counts: true }],
    [502, 'vendor_error', { doubt: true, counts: true }],
    [503, 'vendor_unavailable', { doubt: false, counts: true }],
    [504, 'vendor_error', { doubt: true, counts: true }],
    [599, 'vendor_error', { doubt: true, counts: true }],
  ])('%i may be repeated', (status, code, meaning) => {
    expect(classify(status)).toEqual({ kind: 'transient', code, message: `vendor answered ${status}`, ...meaning });
  });

  test.each([
    '{"code":"idempotency_key_in_use"}',
    '{"error":{"type":"idempotency_error","message":"in use"}}',
    '{"error":{"code":"idempotency_key_in_use"}}',
    '{"type":"https://example.com/errors/idempotency-request-in-progress"}',
    '{"error":"idempotency_key_in_flight"}',
  ])('409 with %s waits for the first call under its key, whose effect is in doubt', (body) => {
    expect(classify(409, body)).toMatchObject({ code: 'vendor_key_in_use', doubt: true, counts: false });
  });

  test.each([
    '',
    'idempotency_key_in_use',
    '[]',
    'null',
    '{"code":"product_exists"}',
    '{"code":"idempotency_key_reused"}',
  ])('409 with %s is definite', (body) => {
    expect(classify(409, body).kind).toBe('answer');
  });

  test('Retry-After is obeyed on 429 and 503', () => {
    expect(classify(429, '', '3')).toMatchObject({ retryAfterMs: 3_000 });
    expect(classify(503, '', 'Sat, 21 Nov 2026 12:00:05 GMT')).toMatchObject({ retryAfterMs: 5_000 });
  });
});

test.each([
  [undefined, null],
  ['', null],
  ['soon', null],
  ['0', 0],
  [' 2 ', 2_000],
  ['1.5', 1_500],
  ['-5', 0],
  ['999999999', RETRY_AFTER_MAX_MS],
  ['Sat, 21 Nov 2026 11:00:00 GMT', 0],
  ['Sun, 21 Nov 2027 12:00:00 GMT', RETRY_AFTER_MAX_MS],
])('Retry-After %j means %j ms', (value, ms) => {
  expect(parseRetryAfter(value, NOW)).toBe(ms);
});

const failure = (code: string) => Object.assign(new Error('it failed'), { code });

test.each(['ECONNREFUSED', 'ENOTFOUND', 'EHOSTUNREACH', 'UND_ERR_CONNECT_TIMEOUT', 'ECONNRESET', 'CERT_HAS_EXPIRED'])(
  '%s before anything was sent leaves no doubt and does not count',
  (code) => {
    expect(classifyFailure(failure(code), false)).toEqual({
      kind: 'transient',
      code: 'vendor_unreachable',
      message: `vendor could not be reached (${code})`,
      doubt: false,
      counts: false,
    });
  },
);

test.each([
  ['ECONNRESET', 'vendor_reset'],
  ['UND_ERR_SOCKET', 'vendor_reset'],
  ['EPIPE', 'vendor_reset'],
  ['HPE_INVALID_CONSTANT', 'vendor_reset'],
  ['UND_ERR_HEADERS_TIMEOUT', 'vendor_timeout'],
  ['UND_ERR_BODY_TIMEOUT', 'vendor_timeout'],
  ['ETIMEDOUT', 'vendor_timeout'],
])('%s after sending is %s, in doubt, and counts', (code, expected) => {
  expect(classifyFailure(failure(code), true)).toMatchObject({ code: expected, doubt: true, counts: true });
});

test('a client that was closed under a call says nothing about the item', () => {
  expect(classifyFailure(failure('UND_ERR_DESTROYED'), true)).toMatchObject({
    code: 'aborted',
    doubt: true,
    counts: false,
  });
  expect(classifyFailure(failure('UND_ERR_CLOSED'), false)).toMatchObject({ code: 'aborted', doubt: false });
});

test('a call that cannot be written counts, so that it is not tried for ever', () => {
  expect(classifyFailure(failure('UND_ERR_INVALID_ARG'), false)).toMatchObject({ counts: true, doubt: false });
});

test('something thrown that is no error is a lost connection', () => {
  expect(classifyFailure('what', true)).toMatchObject({ code: 'vendor_reset', doubt: true });
});
