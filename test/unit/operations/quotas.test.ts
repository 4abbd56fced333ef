import { describe, expect, it } from 'vitest';
import { noLog } from '../../../src/model/log.ts';
import { createQuotas } from '../../../src/operations/limits/quotas.ts';
import type { QuotaRows } from '../../../src/storage/quotas.ts';

const LIMITS = {
  surfaces: {},
  submissions: { max: 1, windowMs: 60_000 },
  ...{ operationsMax: null, itemsMax: null, bytesMax: null },
};
const BID = { account: 'acme', uid: 'u1', operationId: 'op', surface: 'v1', items: 1, bytes: 1 };

describe('a place that the database was asked for and did not answer about', () => {
  it('is given back even where it is taken after it was given back', async () => {
    const taken = new Set<string>();
    // As after a freeze: what was sent first is done last.
    const rows = {
      enter: () => new Promise<never>(() => {}),
      giveBack: async (_account: string, uid: string) => void taken.delete(uid),
    } as unknown as QuotaRows;
    const quotas = createQuotas({ rows, limits: LIMITS, deadlineMs: 5, log: noLog });
    await expect(quotas.enter(BID)).rejects.toMatchObject({ code: 'unavailable' });
    taken.add(BID.uid);
    await new Promise((resolve) => setImmediate(resolve));
    await quotas.payDebts();
    expect([...taken]).toEqual([]);
  });
});
