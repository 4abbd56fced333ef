import { describe, expect, it } from 'vitest';
import { createRecords } from '../../../src/storage/records.ts';
import { eventually, onTemporal, operationsOn, request } from '../../fixtures/operations-under-test.ts';

const { env, folder } = onTemporal();

let accounts = 0;
const freshAccount = () => `account-${accounts++}`;

async function submitMany(account: string, count: number): Promise<string[]> {
  const operations = operationsOn(folder.store, env.client);
  const ids: string[] = [];
  for (let n = 0; n < count; n++) {
    const target = n % 2 === 0 ? 'noop' : 'products';
    ids.push((await operations.submit(request('{}\n', { account, target }))).operation.id);
  }
  return ids;
}

describe('list', () => {
  it('shows what this process has just accepted at once, and another process soon', async () => {
    const account = freshAccount();
    const operations = operationsOn(folder.store, env.client);
    const { operation } = await operations.submit(request('{}\n', { account }));
    const own = await operations.list({ account, limit: 10 });
    expect(own).toMatchObject({ data: [{ id: operation.id, state: 'queued' }], nextCursor: null });
    const other = operationsOn(folder.store, env.client);
    await eventually(async () => {
      const { data } = await other.list({ account, limit: 10 });
      expect(data.map(({ id }) => id)).toEqual([operation.id]);
    });
  });

  it('pages through all of an account’s operations, each once, and no other account’s', async () => {
    const [account, stranger] = [freshAccount(), freshAccount()];
    const ids = await submitMany(account, 7);
    await submitMany(stranger, 2);
    const operations = operationsOn(folder.store, env.client);
    await eventually(async () => (await operations.list({ account, limit: 100 })).data.length === ids.length);
    const seen: string[] = [];
    let cursor: string | undefined;
    do {
      const page = await operations.list({ account, limit: 3, ...(cursor === undefined ? {} : { cursor }) });
      expect(page.data.length).toBeLessThanOrEqual(3);
      seen.push(...page.data.map(({ id }) => id));
      cursor = page.nextCursor ?? undefined;
    } while (cursor !== undefined);
    expect(seen.sort()).toEqual(ids.sort());
  });

  it('filters truthfully: by target, state and time, and drops rows that have ended meanwhile', async () => {
    const account = freshAccount();
    const before = new Date(Date.now() - 1_000).toISOString();
    const ids = await submitMany(account, 4);
    const operations = operationsOn(folder.store, env.client);
    await eventually(async () => (await operations.list({ account, limit: 100 })).data.length === ids.length);
    const idsOf = async (filter: object) =>
      (await operations.list({ account, limit: 100, ...filter })).data.map(({ id }) => id).sort();
    expect(await idsOf({ target: 'noop' })).toEqual([ids[0], ids[2]].sort());
    expect(await idsOf({ createdAfter: before })).toEqual([...ids].sort());
    expect(await idsOf({ createdAfter: new Date(Date.now() + 60_000).toISOString() })).toEqual([]);
    expect(await idsOf({ state: 'paused' })).toEqual([]);
    const at = new Date().toISOString();
    await createRecords(folder.store).createSummary(account, ids[0] ?? '', {
      version: 1,
      run: 1,
      revision: 2,
      state: 'ended',
      outcome: 'succeeded',
      tally: { succeeded: 1, failed: 0, skipped: 0, cancelled: 0, unknown: 0 },
      running: 0,
      throttle: null,
      amended: {},
      startedAt: at,
      endedAt: at,
      asOf: at,
    });
    expect(await idsOf({ state: 'queued' })).toEqual(ids.slice(1).sort());
  });

  it('refuses a cursor of another filter, a made-up one, and names that no such thing has', async () => {
    const account = freshAccount();
    const ids = await submitMany(account, 3);
    const operations = operationsOn(folder.store, env.client);
    await eventually(async () => (await operations.list({ account, limit: 100 })).data.length === ids.length);
    const { nextCursor } = await operations.list({ account, limit: 1 });
    expect(nextCursor).not.toBeNull();
    for (const bad of [
      { cursor: nextCursor ?? '', target: 'noop' },
      { cursor: 'made-up' },
      { cursor: '' },
      { target: "x' OR TrancheAccount = 'other" },
      { createdAfter: 'yesterday' },
    ]) {
      await expect(operations.list({ account, limit: 1, ...bad })).rejects.toMatchObject({ code: 'malformed_request' });
    }
  });
});
