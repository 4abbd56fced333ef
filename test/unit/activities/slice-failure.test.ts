/** What a slice that fails says of itself: the server keeps it for another attempt only where it has begun nothing. */
import { MockActivityEnvironment } from '@temporalio/testing';
import { afterEach, expect, test } from 'vitest';
import { createSlice } from '../../../src/activities/slice.ts';
import { noLog } from '../../../src/model/log.ts';
import type { SliceInput } from '../../../src/model/workflow-contract.ts';
import { findTarget } from '../../../src/targets/index.ts';
import { openStorage, type StorageUnderTest, writeChunk } from '../../fixtures/chunked.ts';
import { plan } from '../../fixtures/plan.ts';

const PREFIX = 'chunks-of-the-test/';
const REF = { account: 'tests', id: 'fails', uid: 'U', traceId: '0af7651916cd43dd8448eb211c80319c' };
const NO_LIMITS = { boxMs: 1_000, probe: false, lost: false, callsPerSecond: null, ends: null } as const;
const INPUT: SliceInput = {
  ...{ version: 1, ref: REF, run: 1, ordinal: 0, ...NO_LIMITS, source: { kind: 'blobs', prefix: PREFIX } },
  plan: plan({ target: 'noop', vendor: null, heartbeatTimeoutMs: 60_000 }),
};

let storage: StorageUnderTest;
afterEach(() => storage.close());

/** The error of an attempt, and the details of the heartbeats that it sent. */
async function fail(fails: 'readLog' | 'commit', attempt: number, heartbeatDetails?: unknown) {
  storage = await openStorage();
  await writeChunk(storage.store, PREFIX, 0, { items: ['{"i":1}'], firstIndex: 0 });
  const slice = createSlice({
    ...storage,
    segments: { ...storage.segments, [fails]: () => Promise.reject(new Error('the store is away')) },
    ...{ database: null, findTarget, findVendor: () => undefined, callbackUrl: null, slicesMax: 4, log: noLog },
    stopping: new AbortController().signal,
    pendingActivities: () => Promise.resolve([]),
    heartbeat: () => Promise.resolve(false),
  });
  const environment = new MockActivityEnvironment({ attempt, heartbeatDetails });
  const said: unknown[] = [];
  environment.on('heartbeat', (details: unknown) => said.push(details));
  const error: unknown = await environment.run(() => slice(INPUT)).catch((cause: unknown) => cause);
  return { error, said };
}

test('before its first call it is tried again by the server, and says that nothing was begun', async () => {
  const { error, said } = await fail('readLog', 1);
  expect(error).toMatchObject({ message: 'the store is away' });
  expect(error).not.toMatchObject({ nonRetryable: true });
  expect(said).toEqual([{ nothingBegun: 1 }]);
});

test('so does one that follows another that had begun nothing', async () => {
  expect((await fail('readLog', 3, { nothingBegun: 2 })).said).toEqual([{ nothingBegun: 3 }]);
});

test.each([[undefined], [{ nothingBegun: 1 }]])(
  'it vouches for no attempt that ended without a word (%o)',
  async (details) => {
    expect((await fail('readLog', 3, details)).said).toEqual([]);
  },
);

test('once calls may have been made it ends its activity', async () => {
  const { error, said } = await fail('commit', 1);
  expect(error).toMatchObject({ message: 'the store is away', nonRetryable: true });
  expect(said).toEqual([]);
});
