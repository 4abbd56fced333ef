import { describe, expect, it } from 'vitest';
import { ERROR_CODES, type ErrorCode, TrancheError } from '../../../src/model/errors.ts';
import { appOver, JSON_HEADERS } from './setup.ts';

const STATUS: Readonly<Record<ErrorCode, number>> = {
  malformed_body: 400,
  malformed_request: 400,
  idempotency_key_invalid: 400,
  client_gone: 400,
  unauthenticated: 401,
  forbidden: 403,
  quota_exceeded: 429,
  not_found: 404,
  gone: 410,
  body_timeout: 408,
  illegal_transition: 409,
  content_too_large: 413,
  unsupported_media_type: 415,
  unsupported_content_coding: 415,
  no_items: 422,
  invalid_header: 422,
  unsupported_charset: 422,
  unknown_target: 422,
  invalid_policy: 422,
  invalid_field: 422,
  idempotency_key_reused: 422,
  invalid_selection: 422,
  internal: 500,
  unavailable: 503,
};

async function answerTo(error: Error) {
  const { app } = appOver({ submit: () => Promise.reject(error) });
  return app.request('/v1/operations', { method: 'POST', headers: JSON_HEADERS, body: '[]' });
}

describe('a problem', () => {
  it.each(ERROR_CODES)('of code %s has its status, type and title', async (code) => {
    const answer = await answerTo(new TrancheError(code, 'what to do'));
    expect(answer.status).toBe(STATUS[code]);
    expect(answer.headers.get('Content-Type')).toBe('application/problem+json');
    expect(answer.headers.get('Cache-Control')).toBe('no-store');
    expect(await answer.json()).toMatchObject({
      type: `urn:tranche:problem:${code.replaceAll('_', '-')}`,
      title: expect.stringMatching(/^[A-Z]/),
      status: STATUS[code],
      detail: code === 'internal' ? expect.not.stringContaining('what to do') : 'what to do',
      code,
      requestId: answer.headers.get('X-Request-Id'),
    });
  });

  it('carries the facts that say where', async () => {
    const facts = { offset: 12, line: 1, column: 13, limit: 5, unit: 'bytes' };
    expect(await (await answerTo(new TrancheError('malformed_body', 'cut', facts))).json()).toMatchObject(facts);
  });

  it('says what codings and media types are taken', async () => {
    expect((await answerTo(new TrancheError('unsupported_content_coding', 'br'))).headers.get('Accept-Encoding')).toBe(
      'gzip',
    );
    const answer = await answerTo(new TrancheError('unsupported_media_type', 'xml'));
    expect(answer.headers.get('Accept-Post')).toContain('application/x-ndjson');
  });

  it('says when to come back, with and without a time given', async () => {
    const given = await answerTo(new TrancheError('unavailable', 'store down', { retryAfterSeconds: 1.2 }));
    expect(given.headers.get('Retry-After')).toBe('2');
    expect(await given.json()).not.toHaveProperty('retryAfterSeconds');
    expect((await answerTo(new TrancheError('unavailable', 'store down'))).headers.get('Retry-After')).toBe('5');
  });

  it('never tells what a bug was about, but logs it under the request id', async () => {
    const logged: unknown[] = [];
    const { app } = appOver(
      { get: () => Promise.reject(new Error('password=secret')) },
      { log: (level, _message, facts) => logged.push([level, facts?.['requestId'], facts?.['error']]) },
    );
    const answer = await app.request('/v1/operations/op');
    expect(answer.status).toBe(500);
    const text = await answer.text();
    expect(text).not.toContain('secret');
    const cause = expect.objectContaining({ message: 'password=secret' });
    expect(logged).toEqual([['error', JSON.parse(text).requestId, cause]]);
  });

  it('shows no facts of an internal error', async () => {
    const answer = await answerTo(new TrancheError('internal', 'secret', { currentState: 'secret' }));
    expect(await answer.text()).not.toContain('secret');
  });
});

describe('paths', () => {
  it.each([
    ['DELETE', '/v1/operations', 'GET, HEAD, POST'],
    ['PUT', '/v1/operations/op', 'GET, HEAD, PATCH, DELETE'],
    ['GET', '/v1/operations/op/pause', 'POST'],
    ['POST', '/v1/operations/op/results', 'GET, HEAD'],
    ['GET', '/product/bulk', 'POST'],
    ['POST', '/product/bulk/status/op', 'GET, HEAD'],
    ['POST', '/health/live', 'GET, HEAD'],
  ])('%s %s answers 405 with Allow: %s', async (method, path, allow) => {
    const answer = await appOver().app.request(path, { method });
    expect(answer.status).toBe(405);
    expect(answer.headers.get('Allow')).toBe(allow);
    expect(await answer.json()).toMatchObject({ code: 'method_not_allowed', status: 405 });
  });

  it.each(['/', '/v1', '/v1/operations/', '/v1/operations/op/nothing', '/product'])('%s answers 404', async (path) => {
    const answer = await appOver().app.request(path);
    expect(answer.status).toBe(404);
    expect(answer.headers.get('Content-Type')).toBe('application/problem+json');
    expect(answer.headers.get('X-Request-Id')).not.toBeNull();
  });
});
