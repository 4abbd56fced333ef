/** What holds on every route, whoever adds one. */
import { describe, expect, it } from 'vitest';
import { routesOf } from '../../../src/api/routes.ts';
import { appOver } from './setup.ts';

const pathOf = (path: string) =>
  path
    .replace(/:id/g, 'op')
    .replace(/:index/g, '0')
    .replace(/:[a-z]+/g, 'x');

function appWithOperation() {
  const { app, operations } = appOver({
    job: async (account, id) => ({
      operation: await operations.get(account, id),
      status: 'complete',
      result: {},
      error: null,
    }),
  });
  for (const id of ['op', '0b0e8c2e-0000-4000-8000-000000000000'])
    operations.put({ id, state: 'ended', outcome: 'succeeded' });
  return app;
}

/** One with what it takes to find something on it. */
const READS = routesOf(appWithOperation())
  .filter(({ method }) => method === 'GET')
  .map(({ path }) => ({
    path,
    at: path.startsWith('/jobs') ? '/jobs/0b0e8c2e-0000-4000-8000-000000000000' : pathOf(path),
  }));

describe('every route that is read', () => {
  it.each(READS)('$path answers HEAD as GET, without a body', async ({ at }) => {
    const app = appWithOperation();
    const [get, head] = [await app.request(at), await app.request(at, { method: 'HEAD' })];
    expect(head.status).toBe(get.status);
    expect(await head.text()).toBe('');
    for (const name of ['Content-Type', 'Cache-Control', 'Vary', 'ETag'])
      expect(head.headers.get(name)).toBe(get.headers.get(name));
    await get.body?.cancel();
  });

  it.each(READS)("$path says that the answer is its account's, or that nobody keeps it", async ({ at }) => {
    const answer = await appWithOperation().request(at);
    await answer.body?.cancel();
    const cacheControl = answer.headers.get('Cache-Control') ?? '';
    if (cacheControl.includes('no-store')) return;
    expect(cacheControl).toBe('private, no-cache');
    expect(answer.headers.get('Vary')).toBe('Tranche-Account, Authorization, X-API-Key');
  });
});
