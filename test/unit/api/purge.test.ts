import { describe, expect, it } from 'vitest';
import { TrancheError } from '../../../src/model/errors.ts';
import { EMPTY_TALLY } from '../../../src/model/operation.ts';
import type { Tombstone } from '../../../src/model/tombstone.ts';
import { goneError } from '../../../src/operations/purge/gone.ts';
import { appOver } from './setup.ts';

const TOMBSTONE: Tombstone = {
  version: 1,
  gone: 'purged',
  ...{
    id: 'op',
    account: 'default',
    uid: 'UID',
    key: 'secret-key',
    fingerprint: 'f',
    surface: 'v1',
    target: 'products',
  },
  ...{ run: 2, outcome: 'partially_succeeded', total: 3, tally: { ...EMPTY_TALLY, succeeded: 2, failed: 1 } },
  ...{
    createdAt: '2026-01-01T00:00:00.000Z',
    endedAt: '2026-01-01T00:00:01.000Z',
    purgedAt: '2026-01-02T00:00:00.000Z',
  },
  ...{ by: 'pam', history: [] },
};
const JOB = '0b0e8c2e-0000-4000-8000-000000000000';

describe('DELETE /v1/operations/{id}', () => {
  it('answers 204 without a body, as often as it is asked, and hands on who asked', async () => {
    const asked: unknown[] = [];
    const purge = async (...args: unknown[]) => void asked.push(args);
    const { app } = appOver({ purge });
    for (let times = 0; times < 2; times++) {
      const answer = await app.request('/v1/operations/op', { method: 'DELETE' });
      expect(answer.status).toBe(204);
      expect(answer.headers.get('Cache-Control')).toBe('no-store');
      expect(await answer.text()).toBe('');
    }
    const actor = { subject: null, traceId: expect.stringMatching(/^[0-9a-f]{32}$/) };
    expect(asked).toEqual([
      ['default', 'op', actor],
      ['default', 'op', actor],
    ]);
  });

  it('is 409 with the state while it goes on, 404 where there is none, 503 where nobody can tell', async () => {
    const { app, operations } = appOver();
    operations.put({ id: 'op', state: 'running' });
    const running = await app.request('/v1/operations/op', { method: 'DELETE' });
    expect(running.status).toBe(409);
    expect(await running.json()).toMatchObject({ code: 'illegal_transition', currentState: 'running' });
    expect((await app.request('/v1/operations/other', { method: 'DELETE' })).status).toBe(404);
    expect((await app.request('/v1/operations/a%20b', { method: 'DELETE' })).status).toBe(404);
    const away = appOver({ purge: () => Promise.reject(new TrancheError('unavailable', 'Ask again.')) });
    expect((await away.app.request('/v1/operations/op', { method: 'DELETE' })).status).toBe(503);
  });
});

describe('what is read of a gone operation', () => {
  it('is 410 with its final counts, on every surface, and nothing of its key or of who had it', async () => {
    const gone = () => Promise.reject(goneError(TOMBSTONE));
    const all = { get: gone, results: gone, errors: gone, item: gone, input: gone, job: gone, pause: gone };
    const { app } = appOver(all);
    const paths = ['', '/results', '/errors', '/items/0', '/input', '/events'].map((end) => `/v1/operations/op${end}`);
    for (const path of [
      ...paths,
      '/product/bulk/status/op',
      '/bulk-actions/op',
      '/bulk-actions/op/stats',
      `/jobs/${JOB}`,
    ]) {
      const answer = await app.request(path);
      expect(answer.status, path).toBe(410);
      expect(answer.headers.get('Content-Type')).toBe('application/problem+json');
      expect(answer.headers.get('Cache-Control')).toBe('no-store');
      const text = await answer.text();
      expect(JSON.parse(text)).toMatchObject({
        ...{ type: 'urn:tranche:problem:gone', code: 'gone', status: 410 },
        operation: {
          ...{ id: 'op', target: 'products', state: 'ended', outcome: 'partially_succeeded', run: 2, cause: 'purged' },
          counts: { total: 3, pending: 0, running: 0, succeeded: 2, failed: 1, skipped: 0, cancelled: 0, unknown: 0 },
          ...{ createdAt: TOMBSTONE.createdAt, endedAt: TOMBSTONE.endedAt, purgedAt: TOMBSTONE.purgedAt },
        },
      });
      expect(text).not.toMatch(/secret-key|UID|pam/);
    }
    expect((await app.request('/v1/operations/op/pause', { method: 'POST' })).status).toBe(410);
  });
});
