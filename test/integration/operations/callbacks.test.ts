/** Callbacks as an API process takes them: kept once, forged ones refused, a lost store told, no server needed. */
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { createIngest } from '../../../src/ingest/index.ts';
import { type CallbackRef, signCallback } from '../../../src/model/callback-token.ts';
import { noLog } from '../../../src/model/log.ts';
import { createOperations, type RunningOperations } from '../../../src/operations/index.ts';
import { callbackKey } from '../../../src/storage/keys.ts';
import { createRecords } from '../../../src/storage/records.ts';
import { createSegments } from '../../../src/storage/segments.ts';
import { createTargetRegistry } from '../../../src/targets/index.ts';
import {
  type Folder,
  lazyClient,
  openFolder,
  QUICK_SETTINGS,
  request,
  switchable,
} from '../../fixtures/operations-under-test.ts';

const SECRET = 'the secret of this test, 32 bytes';
const DONE = Buffer.from('{"status":"complete","result":1}');

let folder: Folder;
let disk: ReturnType<typeof switchable>;
let operations: RunningOperations;
let item: CallbackRef;
let last = 0;

beforeAll(async () => {
  folder = await openFolder();
  disk = switchable(folder.store);
  operations = open(SECRET);
});
afterAll(async () => {
  await operations.stop();
  await folder.remove();
});
beforeEach(async () => {
  disk.off = false;
  const id = `op-${++last}`;
  await operations.submit(request('1\n2\n3\n', { target: 'async', key: id }));
  const record = await createRecords(folder.store).readRecord('default', id);
  item = { vendor: 'async', account: 'default', id, uid: record?.uid ?? '', keyRun: 1, index: 1 };
});

function open(secret: string | null): RunningOperations {
  const { store } = disk;
  return createOperations({
    storage: { store, records: createRecords(store), segments: createSegments(store) },
    ingest: createIngest({ chunkSizes: {} }),
    // Nobody listens there: the signal is lost, the callback is not.
    client: lazyClient(1),
    database: null,
    targets: createTargetRegistry({}),
    settings: QUICK_SETTINGS,
    log: noLog,
    ...(secret === null ? {} : { callbackSecret: secret }),
  });
}

const token = (ref: CallbackRef) => signCallback(SECRET, ref);
const kept = (ref: CallbackRef) => folder.store.get(callbackKey(ref.uid, ref.keyRun, ref.index));

test('of many callbacks for one item at once exactly one is kept', async () => {
  const bodies = Array.from({ length: 40 }, (_, i) => Buffer.from(`{"status":"complete","result":${i}}`));
  const answers = await Promise.all(bodies.map((body) => operations.takeCallback('async', token(item), body)));
  expect(answers.filter((answer) => answer === 'taken')).toHaveLength(1);
  expect(await kept(item)).toEqual(bodies[answers.indexOf('taken')]);
});

test('a callback with another vendor, secret, account or uid is nobody’s', async () => {
  const other = signCallback('another secret of 32 bytes, at the least', item);
  for (const [vendor, forged] of [
    ['async', other],
    ['sync', token(item)],
    ['async', 'x.y'],
  ] as const) {
    await expect(operations.takeCallback(vendor, forged, DONE)).rejects.toMatchObject({ code: 'not_found' });
  }
  for (const stranger of [
    { ...item, uid: 'GONE' },
    { ...item, id: 'gone' },
    { ...item, account: 'gone' },
  ]) {
    expect(await operations.takeCallback('async', token(stranger), DONE)).toBe('ignored');
    expect(await kept(stranger)).toBeNull();
  }
  expect(await kept(item)).toBeNull();
});

test('what is no JSON is refused and leaves the token good', async () => {
  for (const body of [Buffer.from(''), Buffer.from('{'), Buffer.from([0x22, 0xff, 0x22])]) {
    await expect(operations.takeCallback('async', token(item), body)).rejects.toMatchObject({ code: 'malformed_body' });
  }
  expect(await operations.takeCallback('async', token(item), DONE)).toBe('taken');
});

test('with the store away the vendor is told to come again, and then is heard', async () => {
  disk.off = true;
  await expect(operations.takeCallback('async', token(item), DONE)).rejects.toMatchObject({ code: 'unavailable' });
  disk.off = false;
  expect(await operations.takeCallback('async', token(item), DONE)).toBe('taken');
  expect(await operations.takeCallback('async', token(item), DONE)).toBe('ignored');
});

test('a service without the secret knows no token', async () => {
  const without = open(null);
  await expect(without.takeCallback('async', token(item), DONE)).rejects.toMatchObject({ code: 'not_found' });
  await without.stop();
});

test('a job is found by its surface alone', async () => {
  const id = '0b0e7a3c-2f4f-8a5e-9d57-0d8d5ed6f9a1';
  await operations.submit(request('[1]', { target: 'sync', id, surface: 'jobs', contentType: 'application/json' }));
  expect(await operations.job('default', id)).toMatchObject({ status: 'pending', error: null });
  await expect(operations.job('another', id)).rejects.toMatchObject({ code: 'not_found' });
  await expect(operations.job('default', item.id)).rejects.toMatchObject({ code: 'not_found' });
});
