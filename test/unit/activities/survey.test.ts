import { MockActivityEnvironment } from '@temporalio/testing';
import { afterEach, expect, test } from 'vitest';
import { createSurvey } from '../../../src/activities/survey.ts';
import { EMPTY_TALLY } from '../../../src/model/operation.ts';
import { openStorage, type StorageUnderTest } from '../../fixtures/chunked.ts';

let storage: StorageUnderTest;
afterEach(() => storage.close());

test('a chunk of which only items that wait are committed has been begun', async () => {
  storage = await openStorage();
  const submitted = { vendorRef: 'job_1' };
  const deferred = [{ index: 4, notBefore: 1, attempts: 0, doubt: false, submitted }];
  const rows = { outcomeLines: Buffer.alloc(0), outcomes: 0, tally: EMPTY_TALLY, deferred, trials: [] };
  await storage.segments.commit({ uid: 'U', run: 1, ordinal: 2 }, 0, rows);
  const survey = createSurvey(storage);
  const ref = { account: 'tests', id: 'op', uid: 'U', traceId: '0af7651916cd43dd8448eb211c80319c' };
  const input = {
    version: 1,
    ref,
    run: 1,
    chunkItems: [2, 2, 2, 2],
    windowMax: 0,
    boxMs: 3_000,
    scheduled: false,
  } as const;
  const found = await new MockActivityEnvironment().run(() => survey(input));
  expect(found).toMatchObject({ nextChunk: 3, open: [{ ordinal: 0 }, { ordinal: 1 }, { ordinal: 2 }] });
});
