/** Where a slice finds its chunk, whoever began its operation. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { readChunk } from '../../../src/activities/chunk-blob.ts';
import { chunkPrefix } from '../../../src/storage/keys.ts';
import { openStorage, type StorageUnderTest, writeChunk } from '../../fixtures/chunked.ts';

let storage: StorageUnderTest;
beforeAll(async () => {
  storage = await openStorage();
});
afterAll(() => storage.close());

test('a release that did not say where its chunks stand meant those of the submission', async () => {
  const uid = 'UIDFORMER';
  await writeChunk(storage.store, chunkPrefix(uid), 1, { items: ['1', '2'], firstIndex: 5 });
  const ref = { account: 'tests', id: uid, uid, traceId: '' };
  expect((await readChunk(storage, { ref, ordinal: 1 })).header).toMatchObject({ firstIndex: 5, items: 2 });
});
