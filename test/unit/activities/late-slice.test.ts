/** A slice that was handed out long ago, on a machine that has no time: its box is for work, not for the wait for its lease. */
import { setTimeout as sleep } from 'node:timers/promises';
import { MockActivityEnvironment } from '@temporalio/testing';
import { afterEach, expect, test } from 'vitest';
import { createSlice } from '../../../src/activities/slice.ts';
import { noLog } from '../../../src/model/log.ts';
import type { SliceInput } from '../../../src/model/workflow-contract.ts';
import { findTarget } from '../../../src/targets/index.ts';
import { openStorage, type StorageUnderTest, writeChunk } from '../../fixtures/chunked.ts';
import { plan } from '../../fixtures/plan.ts';

const BOX_MS = 150;
const ITEMS = 40;
const PREFIX = 'chunks-of-the-test/';

let storage: StorageUnderTest;
afterEach(() => storage.close());

test('its first heartbeat takes longer than its box, and it gets on all the same', async () => {
  storage = await openStorage();
  const items = Array.from({ length: ITEMS }, (_, i) => `{"i":${i}}`);
  await writeChunk(storage.store, PREFIX, 0, { items, firstIndex: 0 });
  const slice = createSlice({
    ...storage,
    ...{ database: null, findTarget, findVendor: () => undefined, callbackUrl: null, slicesMax: 4, log: noLog },
    stopping: new AbortController().signal,
    pendingActivities: () => Promise.resolve([]),
    async heartbeat() {
      await sleep(3 * BOX_MS);
      return false;
    },
  });
  const ref = { account: 'tests', id: 'late', uid: 'U', traceId: '0af7651916cd43dd8448eb211c80319c' };
  const input: SliceInput = {
    ...{
      version: 1,
      ref,
      run: 1,
      ordinal: 0,
      boxMs: BOX_MS,
      probe: false,
      lost: false,
      callsPerSecond: null,
      ends: null,
    },
    plan: plan({ target: 'noop', vendor: null, journal: false, sliceConcurrency: 1, heartbeatTimeoutMs: 1_000 }),
    source: { kind: 'blobs', prefix: PREFIX },
  };
  const environment = new MockActivityEnvironment({ currentAttemptScheduledTimestampMs: Date.now() - 5_000 });
  expect(await environment.run(() => slice(input))).toMatchObject({ done: true, tally: { succeeded: ITEMS } });
});
