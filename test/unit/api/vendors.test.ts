/** `/v1/vendors`: who sees whom, who may set what, and which bodies are refused. */
import { describe, expect, it } from 'vitest';
import { createSignIn } from '../../../src/api/sign-in/sign-in.ts';
import type { Caller, Role } from '../../../src/model/access.ts';
import { TrancheError } from '../../../src/model/errors.ts';
import type { VendorView } from '../../../src/operations/vendors/vendor-view.ts';
import type { SetBudgetRequest } from '../../../src/operations/vendors/vendors.ts';
import { appOver, JSON_HEADERS } from './setup.ts';

const VIEW: VendorView = {
  vendor: 'products',
  state: 'active',
  budget: { windows: [{ calls: 50, seconds: 1 }], concurrencyMax: null },
  budgetDefault: null,
  budgetSet: {
    budget: { windows: [{ calls: 50, seconds: 1 }], concurrencyMax: null },
    setBy: 'ann@example.com',
    setAt: '2026-11-21T12:00:00.000Z',
  },
  allowedPerSecond: 49,
  callsPerSecond: 49,
  adapted: false,
  breaker: { state: 'closed', since: null, probeAt: null },
  closedUntil: null,
  bookedUntil: null,
  used: [],
  workers: [
    { name: '4711@node-7', seenAt: '2026-11-21T12:00:00.000Z', held: 1, waiting: 0, inFlight: 1, places: null },
  ],
  lastMinute: null,
  live: true,
  asOf: '2026-11-21T12:00:00.000Z',
};

/** A token here is a role. */
const tokens = {
  verify: async (role: string): Promise<Caller> => ({ account: 'a', subject: `a-${role}`, roles: [role as Role] }),
};

function app() {
  const asked: SetBudgetRequest[] = [];
  const vendors = {
    list: async () => [VIEW],
    get: async (vendor: string) => {
      if (vendor !== 'products') throw new TrancheError('not_found', 'There is no such vendor.');
      return VIEW;
    },
    setBudget: async (request: SetBudgetRequest) => {
      asked.push(request);
      return { vendor: VIEW, effectiveAt: '2026-11-21T12:00:02.000Z' };
    },
  };
  const signIn = createSignIn({ tokens, apiKeys: null, adminKey: null });
  const api = appOver({ vendors }, { signIn }).app;
  const patch = (role: Role, body: unknown, path = '/v1/vendors/products') =>
    api.request(path, {
      method: 'PATCH',
      headers: { ...JSON_HEADERS, Authorization: `Bearer ${role}` },
      body: JSON.stringify(body),
    });
  const read = async (role: Role, path = '/v1/vendors/products') => {
    const answer = await api.request(path, { headers: { Authorization: `Bearer ${role}` } });
    return { status: answer.status, text: await answer.text() };
  };
  return { api, asked, patch, read };
}

describe('vendors', () => {
  it.each<Role>(['viewer', 'submitter'])('a %s sees them without the names of workers and of people', async (role) => {
    for (const path of ['/v1/vendors', '/v1/vendors/products']) {
      const { status, text } = await app().read(role, path);
      expect(status).toBe(200);
      expect(text).not.toMatch(/node-7|ann@/);
      expect(text).toContain('"held":1');
    }
  });

  it.each<Role>(['operator', 'admin'])('a %s sees who they are', async (role) => {
    const { text } = await app().read(role);
    expect(text).toContain('4711@node-7');
    expect(text).toContain('ann@example.com');
  });

  it('that are not there are not found', async () => {
    expect((await app().read('admin', '/v1/vendors/other')).status).toBe(404);
    expect((await app().read('admin', '/v1/vendors/__proto__')).status).toBe(404);
  });

  it('refuse a query that they do not know', async () => {
    expect((await app().read('admin', '/v1/vendors?all=1')).status).toBe(400);
  });
});

describe('a budget', () => {
  it('is set by an administrator alone', async () => {
    const { patch, asked } = app();
    for (const role of ['viewer', 'submitter', 'operator'] as const) {
      expect((await patch(role, { budget: null })).status).toBe(403);
    }
    expect(asked).toEqual([]);
    const answer = await patch('admin', { budget: null });
    expect(answer.status).toBe(200);
    expect(await answer.json()).toMatchObject({ vendor: 'products', effectiveAt: '2026-11-21T12:00:02.000Z' });
    expect(asked).toMatchObject([{ vendor: 'products', budget: null, actor: { subject: 'a-admin' } }]);
  });

  it('is set by everybody where nobody signs in', async () => {
    const vendors = {
      list: async () => [],
      get: async () => VIEW,
      setBudget: async () => ({ vendor: VIEW, effectiveAt: VIEW.asOf }),
    };
    const { app: open } = appOver({ vendors });
    const init = { method: 'PATCH', headers: JSON_HEADERS, body: '{"budget":null}' };
    expect((await open.request('/v1/vendors/products', init)).status).toBe(200);
  });

  it('is taken whole, as GET shows it', async () => {
    const { patch, asked } = app();
    const budget = { windows: [{ calls: 50, seconds: 1 }], concurrencyMax: 20 };
    await patch('admin', { budget });
    await patch('admin', { budget: { windows: budget.windows } });
    await patch('admin', { budget: { windows: [], concurrencyMax: null } });
    expect(asked.map((request) => request.budget)).toEqual([
      budget,
      { ...budget, concurrencyMax: null },
      // What makes no sense is for the verb to refuse.
      { windows: [], concurrencyMax: null },
    ]);
  });

  it.each<[string, unknown, string]>([
    ['no object', [], ''],
    ['nothing', {}, 'budget'],
    ['another member', { budget: null, force: true }, ''],
    ['a number for a budget', { budget: 50 }, 'budget'],
    ['a budget without windows', { budget: { concurrencyMax: 5 } }, 'budget.windows'],
    ['a window that is none', { budget: { windows: [50] } }, 'budget.windows.0'],
    ['calls as a text', { budget: { windows: [{ calls: '50', seconds: 1 }] } }, 'budget.windows.0.calls'],
    ['a window of minutes', { budget: { windows: [{ calls: 5, minutes: 1 }] } }, 'budget.windows.0.seconds'],
    ['windows without end', { budget: { windows: Array(1_001).fill({ calls: 1, seconds: 1 }) } }, ''],
  ])('of %s is refused with the place named', async (_, body, parameter) => {
    const { patch, asked } = app();
    const answer = await patch('admin', body);
    expect([413, 422]).toContain(answer.status);
    if (answer.status === 422) {
      const { errors } = (await answer.json()) as { errors: { parameter: string }[] };
      expect(errors.map((error) => error.parameter)).toContain(parameter);
    }
    expect(asked).toEqual([]);
  });
});
