import { describe, expect, it } from 'vitest';
import { readBulkActionForm } from '../../../src/api/bulk-actions/bulk-action-form.ts';
import { BULK_ACTION_STATUSES, STATUS_MEANINGS, statusOf } from '../../../src/api/bulk-actions/bulk-action-view.ts';
import { toAccountId } from '../../../src/model/account.ts';
import { OPERATION_OUTCOMES, OPERATION_STATES } from '../../../src/model/operation.ts';
import type { PageRequest, TargetView } from '../../../src/operations/operations.ts';
import { viewOf } from '../../fixtures/fake-operations.ts';
import { appOver } from './setup.ts';

const CONTACTS: TargetView = {
  name: 'contacts',
  entity: 'Contact',
  guarantee: 'exactly_once',
  onDoubt: 'resend',
  vendor: null,
  deduplicates: true,
  schema: {},
};
const targets = () => [CONTACTS, { ...CONTACTS, name: 'leads', entity: 'Lead' }];
const SOMEBODY = { account: 'acme', subject: 'ann', roles: ['operator'] } as const;
const COUNTS = { total: 28, pending: 1, running: 2, succeeded: 3, failed: 4, skipped: 5, cancelled: 6, unknown: 7 };

const FORM: RequestInit = {
  method: 'POST',
  headers: { 'Content-Type': 'multipart/form-data; boundary=x' },
  body: '--x\r\nContent-Disposition: form-data; name="file"\r\n\r\nemail\r\n--x--',
};

const read = (fields: Record<string, string>, accountNamed = () => null as string | null) =>
  readBulkActionForm(
    { actionType: 'BULK_UPDATE', entityType: 'Contact', ...fields },
    { targets: targets(), accountNamed },
  );

describe('the form of a bulk action', () => {
  it.each(['BULK_UPDATE', 'bulk_update', ' Bulk_Update '])('takes the action type %j', (actionType) => {
    expect(read({ actionType })).toEqual({ target: 'contacts' });
  });

  it.each([{ actionType: 'BULK_DELETE' }, { actionType: '' }, { actionType: 'BULK-UPDATE' }])(
    'refuses %j and says what it takes',
    (fields) => {
      const allowed = ['BULK_UPDATE'];
      expect(() => read(fields)).toThrow(
        expect.objectContaining({
          code: 'invalid_field',
          facts: { allowed, errors: [expect.objectContaining({ parameter: 'actionType' })] },
        }),
      );
    },
  );

  it('refuses a form without any field', () => {
    const reader = { targets: targets(), accountNamed: () => null };
    expect(() => readBulkActionForm({}, reader)).toThrow(/actionType/);
    expect(() => readBulkActionForm({ actionType: 'BULK_UPDATE' }, reader)).toThrow(
      /entityType must be one of: Contact, Lead/,
    );
    expect(() => readBulkActionForm(Object.create({ actionType: 'BULK_UPDATE' }), reader)).toThrow(/actionType/);
  });

  it.each(['Contact', 'CONTACT', 'contact', 'contacts', 'Contacts'])('takes the entity type %s', (entityType) => {
    expect(read({ entityType }).target).toBe('contacts');
  });

  it('refuses an entity that is no target and names those there are', () => {
    const facts = expect.objectContaining({ allowed: ['Contact', 'Lead'] });
    expect(() => read({ entityType: 'Invoice' })).toThrow(expect.objectContaining({ code: 'unknown_target', facts }));
  });

  it.each([
    ['2030-05-06T07:08:09Z', '2030-05-06T07:08:09.000Z'],
    ['2030-05-06T07:08:09.5+02:00', '2030-05-06T05:08:09.500Z'],
    ['2030-05-06T07:08:09+0230', '2030-05-06T04:38:09.000Z'],
    ['2030-05-06T07:08:09-02', '2030-05-06T09:08:09.000Z'],
    ['2030-05-06T07:08', '2030-05-06T07:08:00.000Z'],
    ['2030-05-06 07:08:09', '2030-05-06T07:08:09.000Z'],
    ['2030-05-06', '2030-05-06T00:00:00.000Z'],
    ['2001-01-01T00:00:00Z', '2001-01-01T00:00:00.000Z'],
  ])('reads the time %s, without an offset as UTC', (scheduledAt, expected) => {
    expect(read({ scheduledAt }).scheduledAt).toBe(expected);
  });

  it.each(['tomorrow', '2030-02-30', '2030-13-01T00:00Z', '1893456000', '2030-05-06T25:00', '2030-05-06T07:08:09Zz'])(
    'refuses the time %j',
    (scheduledAt) => {
      expect(() => read({ scheduledAt })).toThrow(/scheduledAt/);
    },
  );

  it.each([
    ['{"campaign":7}', { campaign: 7 }],
    ['spring sale', { value: 'spring sale' }],
    ['[1,2]', { value: [1, 2] }],
    ['null', { value: null }],
  ])('keeps the metadata %s', (metadata, kept) => {
    expect(read({ metadata }).metadata).toEqual(kept);
  });

  it('refuses metadata beyond its bound, and a priority that is none', () => {
    expect(() => read({ metadata: 'x'.repeat(4_097) })).toThrow(/4096 bytes/);
    expect(read({ priority: '1' }).policy).toEqual({ priority: 1 });
    expect(() => read({ priority: '6' })).toThrow(/priority/);
  });

  it('takes limits on failures and a deadline, and says which is wrong', () => {
    const limits = { maxFailures: '5', maxFailurePercent: '2.5', minSample: '10', onFailureLimit: 'stop' };
    expect(read({ ...limits, deadline: '2999-01-01T00:00:00Z', priority: '2' }).policy).toEqual({
      ...{ maxFailures: 5, maxFailurePercent: 2.5, minSample: 10, onFailureLimit: 'stop' },
      ...{ deadline: '2999-01-01T00:00:00.000Z', priority: 2 },
    });
    expect(() => read({ maxFailures: 'many' })).toThrow(/maxFailures must be/);
  });

  it('takes an empty field for one that is not there, and ignores what it does not know', () => {
    const empty = { scheduledAt: '', metadata: ' ', accountId: '', priority: '', __proto__: 'x', extra: 'y' };
    expect(read(empty)).toEqual({ target: 'contacts' });
  });
});

describe('POST /bulk-actions', () => {
  it('answers exactly what its clients know', async () => {
    const { app, operations } = appOver({ targets });
    const answer = await app.request('/bulk-actions', FORM);
    expect(answer.status).toBe(202);
    expect(await answer.json()).toEqual({
      actionId: 'op-1',
      status: 'PROCESSING',
      message: 'Success! Your bulk action has been queued for processing.',
    });
    expect(answer.headers.get('Location')).toMatch(/\/bulk-actions\/op-1$/);
    expect(operations.submissions[0]).toMatchObject({
      ...{ surface: 'bulk-actions', target: null, keylessReplayWindowMs: 0, itemsMax: null },
      intake: { plainFileType: 'text/csv' },
    });
  });

  it('says for when it is scheduled', async () => {
    const scheduledAt = '2030-05-06T07:08:09.000Z';
    const operation = viewOf({ id: 's', state: 'scheduled', scheduledAt });
    const scheduled = appOver({ targets, submit: async () => ({ operation, replayed: false }) }).app;
    const answer = await scheduled.request('/bulk-actions', FORM);
    const message = `Success! Your bulk action has been scheduled for ${scheduledAt}.`;
    expect(await answer.json()).toEqual({ actionId: 's', status: 'SCHEDULED', message });
  });

  it('hands its limits on to the verb', async () => {
    const bulkActions = { fileBytesMax: 10, rowsMax: 20, chunkRows: 30 };
    const { app, operations } = appOver({ targets }, { bulkActions });
    await app.request('/bulk-actions', FORM);
    const intake = { plainFileType: 'text/csv', payloadBytesMax: 10, chunkItems: 30 };
    expect(operations.submissions[0]).toMatchObject({ itemsMax: 20, intake });
  });

  it.each(['application/json', 'text/csv', 'application/x-www-form-urlencoded'])('answers 415 to %s', async (type) => {
    const { app, operations } = appOver({ targets });
    const answer = await app.request('/bulk-actions', { method: 'POST', headers: { 'Content-Type': type }, body: 'x' });
    expect(answer.status).toBe(415);
    expect(answer.headers.get('Accept-Post')).toBe('multipart/form-data');
    expect(operations.submissions).toHaveLength(0);
  });

  it('reads accountId as the account where nobody signs in, and as the caller’s own where somebody does', async () => {
    const open = appOver({ targets });
    await open.app.request('/bulk-actions', FORM);
    const fields = { actionType: 'bulk_update', entityType: 'contact', accountId: 'acc-7' };
    expect(open.operations.submissions[0]?.readFields?.(fields)).toEqual({ target: 'contacts', account: 'acc-7' });

    const closed = appOver({ targets }, { signIn: async () => SOMEBODY });
    await closed.app.request('/bulk-actions', FORM);
    const readFields = closed.operations.submissions[0]?.readFields;
    expect(readFields?.({ ...fields, accountId: 'acme' })).toMatchObject({ account: 'acme' });
    expect(() => readFields?.(fields)).toThrow(expect.objectContaining({ code: 'forbidden' }));
  });
});

describe('GET /bulk-actions', () => {
  function listing(total: number, deps: Parameters<typeof appOver>[1] = {}) {
    const asked: PageRequest[] = [];
    const view = viewOf({
      id: 'a',
      account: 'acc-7',
      target: 'contacts',
      counts: COUNTS,
      createdAt: '2026-01-01T00:00:00.000Z',
    });
    const page = async (request: PageRequest) => {
      asked.push(request);
      return { data: [view], total };
    };
    return { asked, app: appOver({ targets, page }, deps).app };
  }

  it('gives the newest 1,000 of everybody where nobody signs in, with ids that find them', async () => {
    const { app, asked } = listing(1);
    const answer = await app.request('/bulk-actions');
    expect(await answer.json()).toEqual([
      {
        ...{ actionId: 'acc-7~a', actionType: 'BULK_UPDATE', entityType: 'Contact', status: 'PROCESSING' },
        ...{ totalCount: 28, processedCount: 25, successCount: 3, failureCount: 11, skippedCount: 11 },
        createdAt: '2026-01-01T00:00:00.000Z',
      },
    ]);
    expect(asked).toEqual([
      { account: null, surface: 'bulk-actions', states: null, outcomes: null, page: 1, limit: 1_000 },
    ]);
  });

  it('pages, filters by status in any case, and says how many there are', async () => {
    const { app, asked } = listing(95);
    const answer = await app.request('/bulk-actions?page=2&limit=10&status=completed&unknown=1');
    const { states, outcomes } = STATUS_MEANINGS.COMPLETED;
    expect(asked[0]).toMatchObject({ page: 2, limit: 10, states, outcomes });
    const totals = ['X-Total-Count', 'X-Page', 'X-Limit', 'X-Total-Pages'].map((name) => answer.headers.get(name));
    expect(totals).toEqual(['95', '2', '10', '10']);
    const link = answer.headers.get('Link') ?? '';
    expect(link).toContain('</bulk-actions?page=1&limit=10&status=completed&unknown=1>; rel="prev"');
    expect(link).toContain('</bulk-actions?page=3&limit=10&status=completed&unknown=1>; rel="next"');
  });

  it.each(['page=0', 'page=x', 'limit=0', 'limit=1001', 'status=DONE', 'page=-1'])(
    'answers 400 to %s',
    async (query) => {
      expect((await listing(1).app.request(`/bulk-actions?${query}`)).status).toBe(400);
    },
  );

  it('is of one account where somebody signs in or an account is named', async () => {
    const signedIn = listing(1, { signIn: async () => SOMEBODY });
    await signedIn.app.request('/bulk-actions');
    expect(signedIn.asked[0]?.account).toBe('acme');
    expect((await signedIn.app.request('/bulk-actions?accountId=acc-7')).status).toBe(403);
    const open = listing(1);
    await open.app.request('/bulk-actions', { headers: { 'Tranche-Account': 'acc-8' } });
    await open.app.request('/bulk-actions?accountId=acc-9');
    expect(open.asked.map(({ account }) => account)).toEqual(['acc-8', 'acc-9']);
  });
});

describe('one bulk action', () => {
  function action(deps: Parameters<typeof appOver>[1] = {}) {
    const { app, operations } = appOver({ targets }, deps);
    const state = { state: 'ended', outcome: 'partially_succeeded' } as const;
    const counts = { ...COUNTS, pending: 0, running: 0, total: 25 };
    operations.put({ id: 'a', account: 'acc-7', target: 'contacts', counts, ...state });
    operations.put({ id: 'own', account: 'acme', target: 'contacts', counts, ...state });
    return app;
  }
  const stats = { totalCount: 25, processedCount: 25, successCount: 3, failureCount: 11, skippedCount: 11 };

  it('is found by the id that was answered, by accountId, and by the header', async () => {
    const app = action();
    for (const path of ['/bulk-actions/acc-7~a', '/bulk-actions/a?accountId=acc-7']) {
      expect(await (await app.request(path)).json()).toMatchObject({ actionId: 'acc-7~a', status: 'COMPLETED' });
    }
    const headers = { 'Tranche-Account': 'acc-7' };
    expect(await (await app.request('/bulk-actions/a', { headers })).json()).toMatchObject({ actionId: 'a', ...stats });
  });

  it.each(['a', 'acc-7~a', 'acc-7~', '~a', 'a%2Fb'])('is not there for another account: %s', async (id) => {
    const app = action({ signIn: async () => SOMEBODY });
    for (const path of ['', '/stats', '/stat', '/logs']) {
      expect((await app.request(`/bulk-actions/${id}${path}`)).status).toBe(404);
    }
    expect((await app.request('/bulk-actions/own')).status).toBe(200);
  });

  it('is found where its account’s name had to be mapped to an id', async () => {
    const { app, operations } = appOver({ targets });
    const account = toAccountId('ACME Inc.');
    operations.put({ id: 'a', account, target: 'contacts' });
    const answer = await app.request('/bulk-actions/a?accountId=ACME%20Inc.');
    const { actionId } = (await answer.json()) as { readonly actionId: string };
    expect(actionId).toBe(`${account}~a`);
    expect((await app.request(`/bulk-actions/${actionId}`)).status).toBe(200);
  });

  it('is another account’s where the header names one, whatever the id and the query say', async () => {
    const app = action();
    const headers = { 'Tranche-Account': 'acc-8' };
    expect((await app.request('/bulk-actions/acc-7~a', { headers })).status).toBe(404);
    expect((await app.request('/bulk-actions/a?accountId=acc-7', { headers })).status).toBe(403);
    const own = await app.request('/bulk-actions/acc-7~a', { headers: { 'Tranche-Account': 'acc-7' } });
    expect(await own.json()).toMatchObject({ actionId: 'a' });
  });

  it('has stats whose reasons add up to what was skipped, and stat with three more names', async () => {
    const app = action();
    const skippedByReason = { DUPLICATE: 5, CANCELLED: 6 };
    const expected = { actionId: 'acc-7~a', ...stats, skippedByReason };
    expect(await (await app.request('/bulk-actions/acc-7~a/stats')).json()).toEqual(expected);
    const stat = { ...expected, total: 25, success: 3, failed: 11 };
    expect(await (await app.request('/bulk-actions/acc-7~a/stat')).json()).toEqual(stat);
  });
});

describe('the status of a bulk action', () => {
  it('is exactly one for every state and outcome', () => {
    for (const state of OPERATION_STATES) {
      for (const outcome of state === 'ended' ? OPERATION_OUTCOMES : [null]) {
        const fitting = BULK_ACTION_STATUSES.filter((status) => {
          const { states, outcomes } = STATUS_MEANINGS[status];
          return states.includes(state) && (outcomes === null || (outcome !== null && outcomes.includes(outcome)));
        });
        expect([state, outcome, fitting]).toEqual([state, outcome, [statusOf({ state, outcome })]]);
      }
    }
  });
});
