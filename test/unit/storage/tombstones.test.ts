import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { EMPTY_TALLY, type OperationRecord, type RunRecord } from '../../../src/model/operation.ts';
import type { Tombstone } from '../../../src/model/tombstone.ts';
import type { BlobStore } from '../../../src/storage/blob-store.ts';
import { createFsStore } from '../../../src/storage/fs.ts';
import { assertKey } from '../../../src/storage/key.ts';
import { endedKey, endedPrefix, purgingKey, readRunName } from '../../../src/storage/keys.ts';
import { createRecords, type Records } from '../../../src/storage/records.ts';

const ACCOUNT = 'acme';
const ID = 'op-1';
const RECORD = { version: 1, id: ID, account: ACCOUNT, uid: 'UID', total: 3 } as unknown as OperationRecord;
const TOMBSTONE: Tombstone = {
  version: 1,
  gone: 'purged',
  id: ID,
  account: ACCOUNT,
  uid: 'UID',
  key: null,
  fingerprint: 'f',
  surface: 'v1',
  target: 'noop',
  run: 1,
  outcome: 'succeeded',
  total: 3,
  tally: { ...EMPTY_TALLY, succeeded: 3 },
  createdAt: '2026-01-01T00:00:00.000Z',
  endedAt: '2026-01-01T00:00:01.000Z',
  purgedAt: '2026-01-02T00:00:00.000Z',
  by: null,
  history: [],
};

describe('the names of runs in markers', () => {
  it('come back from a key whatever characters an id has, at its longest too', () => {
    for (const id of ['a', 'x:y.z-_', 'A'.repeat(128)]) {
      const name = { account: 'a'.repeat(40), id, uid: '01JD0000000000000000000000', run: 101 };
      for (const key of [endedKey(name, 0), purgingKey(name)]) {
        expect(() => assertKey(key)).not.toThrow();
        expect(readRunName(key)).toEqual(name);
      }
    }
  });

  it('are not read from anything else', () => {
    for (const key of ['ended/2026-01-01/00/a~b~c', 'purging/a~b~c~0', 'purging/a~b~c~1~2', 'purging/x', 'a~b~c~-1']) {
      expect(readRunName(key)).toBeNull();
    }
  });

  it('stand under the hour of their end, in UTC', () => {
    expect(endedPrefix(Date.parse('2026-11-21T23:59:59.999Z'))).toBe('ended/2026-11-21/23/');
    expect(endedPrefix(Date.parse('2026-11-22T00:00:00.000Z'))).toBe('ended/2026-11-22/00/');
  });
});

describe('a tombstone', () => {
  let root: string;
  let store: BlobStore;
  let records: Records;
  beforeEach(async () => {
    root = await mkdtemp(join(tmpdir(), 'tranche-tombstones-'));
    store = createFsStore(root);
    records = createRecords(store);
  });
  afterEach(() => rm(root, { recursive: true, force: true }));

  it('takes the place of the record, so that its id stays taken until it goes', async () => {
    await records.createRecord(RECORD);
    expect(await records.readStanding(ACCOUNT, ID)).toEqual({ record: RECORD, tombstone: null });
    await records.putTombstone(TOMBSTONE);
    expect(await records.readRecord(ACCOUNT, ID)).toBeNull();
    expect(await records.readStanding(ACCOUNT, ID)).toEqual({ record: null, tombstone: TOMBSTONE });
    expect(await records.createRecord(RECORD)).toBe(false);
    await records.deleteStanding(ACCOUNT, ID);
    expect(await records.readStanding(ACCOUNT, ID)).toBeNull();
    expect(await records.createRecord(RECORD)).toBe(true);
  });

  it('seals the operation against a next run, and a next run keeps it from being sealed', async () => {
    const run = { version: 1, run: 2 } as unknown as RunRecord;
    expect(await records.createSeal(TOMBSTONE)).toBe(true);
    expect(await records.createSeal({ ...TOMBSTONE, by: 'another' })).toBe(false);
    expect(await records.createRun(ACCOUNT, ID, run)).toBe(false);
    expect(await records.readRun(ACCOUNT, ID, 2)).toBeNull();
    expect(await records.readSeal(ACCOUNT, ID, 2)).toEqual(TOMBSTONE);
    await records.deleteRuns(ACCOUNT, ID, 1);
    expect(await records.createRun(ACCOUNT, ID, run)).toBe(true);
    expect(await records.createSeal(TOMBSTONE)).toBe(false);
    expect(await records.readSeal(ACCOUNT, ID, 2)).toBeNull();
  });
});
