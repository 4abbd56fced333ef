import { afterEach, beforeEach, expect, it } from 'vitest';
import { noLog } from '../../../src/model/log.ts';
import { createPlaceSweep } from '../../../src/operations/limits/places.ts';
import type { Quotas } from '../../../src/operations/limits/quotas.ts';
import { entomb } from '../../../src/operations/purge/entomb.ts';
import type { QuotaRows } from '../../../src/storage/quotas.ts';
import { createRecords } from '../../../src/storage/records.ts';
import { endRun, storedOperation } from '../../fixtures/ended-operations.ts';
import { eventually, type Folder, openFolder } from '../../fixtures/operations-under-test.ts';

let folder: Folder;
beforeEach(async () => {
  folder = await openFolder();
});
afterEach(() => folder.remove());

it('frees the place of an operation that was purged before it was told of the end, and leaves its submission counted', async () => {
  const records = createRecords(folder.store);
  const { id, uid, ...record } = await storedOperation(folder.store, { createdAtMs: Date.now() });
  await endRun(folder.store, { ...record, id, uid }, 1, ['succeeded', 'succeeded', 'succeeded']);
  const burial = { cause: 'purged', by: null, nowMs: Date.now(), mayGo: () => true, prepare: async () => {} } as const;
  await entomb(records, { ...record, id, uid }, burial);
  const place = { uid, account: 'default', operationId: id, ageMs: 3_600_000 };
  const other = { uid: 'OTHER', account: 'default', operationId: id, ageMs: 3_600_000 };
  const did: string[] = [];
  const rows = {
    overdue: async () => (did.length === 0 ? [place, other] : []),
    free: async (it: string) => void did.push(`free ${it}`),
    giveBack: async (_account: string, it: string) => void did.push(`give back ${it}`),
    // The sweep asks for nothing else.
  } as unknown as QuotaRows;
  const quotas = { payDebts: async () => {} } as unknown as Quotas;
  const timing = { longestWindowMs: 0, intervalMs: 10, storeDeadlineMs: 1_000 };
  const sweep = createPlaceSweep({ rows, quotas, records, ...timing, log: noLog });
  sweep.start();
  await eventually(() => did.length === 2);
  await sweep.stop();
  // Another submission under the same key was never accepted: it counts nowhere.
  expect([...did].sort()).toEqual([`free ${uid}`, 'give back OTHER']);
});
