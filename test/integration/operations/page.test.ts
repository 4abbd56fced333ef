import { describe, expect, it } from 'vitest';
import type { PageRequest } from '../../../src/operations/operations.ts';
import { createRecords } from '../../../src/storage/records.ts';
import { eventually, onTemporal, operationsOn, request } from '../../fixtures/operations-under-test.ts';

const { env, folder } = onTemporal();

let accounts = 0;
const freshAccount = () => `pages-${accounts++}`;

async function submitMany(account: string, count: number, over = {}): Promise<string[]> {
  const operations = operationsOn(folder.store, env.client);
  const ids: string[] = [];
  for (let n = 0; n < count; n++) {
    const one = request('{}\n', { account, surface: 'bulk-actions', ...over });
    ids.push((await operations.submit(one)).operation.id);
  }
  return ids.reverse();
}

const asked = (over: Partial<PageRequest>): PageRequest => ({
  account: null,
  surface: 'bulk-actions',
  states: null,
  outcomes: null,
  page: 1,
  limit: 10,
  ...over,
});

async function idsOf(over: Partial<PageRequest>, operations = operationsOn(folder.store, env.client)) {
  const { data, total } = await operations.page(asked(over));
  return { ids: data.map(({ id }) => id), total };
}

describe('a page', () => {
  it('shows what this process has just accepted at once, once, and another process soon', async () => {
    const account = freshAccount();
    const operations = operationsOn(folder.store, env.client);
    const { operation } = await operations.submit(request('{}\n', { account, surface: 'bulk-actions' }));
    const only = { ids: [operation.id], total: 1 };
    expect(await idsOf({ account }, operations)).toEqual(only);
    await eventually(async () => expect(await idsOf({ account })).toEqual(only));
    expect(await idsOf({ account }, operationsOn(folder.store, env.client))).toEqual(only);
    expect(await idsOf({ account, page: 2 })).toEqual({ ids: [], total: 1 });
  });

  it('is of one surface and one account, newest first, each operation on exactly one page', async () => {
    const [account, stranger] = [freshAccount(), freshAccount()];
    const ids = await submitMany(account, 7);
    await submitMany(account, 1, { surface: 'v1' });
    await submitMany(stranger, 2);
    await eventually(async () => (await idsOf({ account, limit: 100 })).ids.length === ids.length);
    expect(await idsOf({ account, limit: 3 })).toEqual({ ids: ids.slice(0, 3), total: 7 });
    expect(await idsOf({ account, limit: 3, page: 2 })).toEqual({ ids: ids.slice(3, 6), total: 7 });
    expect(await idsOf({ account, limit: 3, page: 3 })).toEqual({ ids: ids.slice(6), total: 7 });
    expect(await idsOf({ account, limit: 3, page: 4 })).toEqual({ ids: [], total: 7 });
  });

  it('is of every account where none is named', async () => {
    const [a, b] = [freshAccount(), freshAccount()];
    const ids = [...(await submitMany(a, 1)), ...(await submitMany(b, 1))];
    await eventually(async () => {
      const { data } = await operationsOn(folder.store, env.client).page(asked({ limit: 1_000 }));
      const found = data.filter(({ account }) => account === a || account === b);
      expect(found.map(({ account, id }) => `${account}/${id}`)).toEqual([`${b}/${ids[1]}`, `${a}/${ids[0]}`]);
    });
  });

  it('filters by what operations are now, however far behind visibility is', async () => {
    const account = freshAccount();
    const ids = await submitMany(account, 3);
    await eventually(async () => (await idsOf({ account })).ids.length === ids.length);
    const at = new Date().toISOString();
    const tally = { succeeded: 1, failed: 0, skipped: 0, cancelled: 0, unknown: 0 };
    const ended = { state: 'ended', outcome: 'succeeded', startedAt: at, endedAt: at, asOf: at } as const;
    const summary = {
      version: 1,
      run: 1,
      revision: 2,
      tally,
      running: 0,
      throttle: null,
      amended: {},
      ...ended,
    } as const;
    await createRecords(folder.store).createSummary(account, ids[1] ?? '', summary);
    expect((await idsOf({ account, states: ['queued'] })).ids).toEqual([ids[0], ids[2]]);
    expect((await idsOf({ account, states: ['paused', 'running'] })).ids).toEqual([]);
  });

  it('refuses names that no account has', async () => {
    await expect(idsOf({ account: "x' OR TrancheAccount = 'y" })).rejects.toMatchObject({ code: 'malformed_request' });
  });
});
