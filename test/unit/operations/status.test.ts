import { Client, Connection } from '@temporalio/client';
import { describe, expect, it } from 'vitest';
import type { OperationRecord, Progress } from '../../../src/model/operation.ts';
import type { Nudges } from '../../../src/operations/running/nudges.ts';
import { createStatus } from '../../../src/operations/status/status.ts';
import type { Records } from '../../../src/storage/records.ts';
import { plan } from '../../fixtures/plan.ts';

/** A store that holds a finished operation and lets each summary wait for a word. */
function slowStore() {
  let letGo = (): void => {};
  const word = new Promise<void>((resolve) => {
    letGo = resolve;
  });
  const ended = {
    version: 1,
    run: 1,
    revision: 1_003,
    state: 'ended',
    outcome: 'succeeded',
    amended: {},
  } as unknown as Progress;
  const records = {
    readStanding: async () => ({ record: RECORD, tombstone: null }),
    readRun: async () => null,
    readSummary: async () => {
      await word;
      return { ...ended, tally: { succeeded: 2, failed: 0, skipped: 0, cancelled: 0, unknown: 0 }, running: 0 };
    },
    readCheckpoint: async () => null,
  } as unknown as Records;
  return { records, letGo: () => letGo() };
}

const RECORD = {
  ...{ version: 1, id: 'op', account: 'default', uid: '01', target: 'noop', total: 2, plan: plan() },
  ...{ createdAt: '2026-01-01T00:00:00.000Z', input: {}, metadata: {}, chunkItems: [2] },
} as unknown as OperationRecord;

describe('a stored status', () => {
  it('is waited for by everybody who comes while it is read', async () => {
    const { records, letGo } = slowStore();
    const settings = { statusCacheMs: 500, statusDeadlineMs: 1_500, retentionMs: 1_000 };
    const away = new Client({ connection: Connection.lazy({ address: '127.0.0.1:1' }) });
    const nudges = { add: () => {} } as unknown as Nudges;
    const link = { call: () => Promise.reject(new Error('away')), probe: async () => false, isDown: () => true };
    const status = createStatus({ records, client: away, link, nudges, settings });
    const readers = [status.stored('default', 'op'), status.stored('default', 'op'), status.get('default', 'op')];
    await new Promise((wake) => setImmediate(wake));
    letGo();
    for (const view of await Promise.all(readers)) {
      expect(view).toMatchObject({ state: 'ended', revision: 1_003, counts: { pending: 0, succeeded: 2 } });
    }
  });
});
