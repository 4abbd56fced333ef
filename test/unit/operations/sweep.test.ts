import { readdir } from 'node:fs/promises';
import { ulid } from 'ulid';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { noLog } from '../../../src/model/log.ts';
import type { OperationRecord, RunRecord } from '../../../src/model/operation.ts';
import { createHours } from '../../../src/operations/purge/hours.ts';
import { createSweepLease } from '../../../src/operations/purge/lease.ts';
import { createRemoval } from '../../../src/operations/purge/removal.ts';
import { createVisit } from '../../../src/operations/purge/visit.ts';
import { createWalk } from '../../../src/operations/purge/walk.ts';
import type { BlobStore } from '../../../src/storage/blob-store.ts';
import {
  auditPrefix,
  chunkKey,
  dataPrefix,
  endedKey,
  keylessKey,
  openKey,
  recordKeys,
} from '../../../src/storage/keys.ts';
import { createRecords, type Records } from '../../../src/storage/records.ts';
import { endRun, storedOperation } from '../../fixtures/ended-operations.ts';
import { dyingAfter, type Folder, keysUnder, openFolder } from '../../fixtures/operations-under-test.ts';

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const RETENTION = 2 * DAY;
const T0 = Date.parse('2026-03-01T10:20:00Z');
const HOUR_OF_T0 = Date.parse('2026-03-01T10:00:00Z');
const OUTCOMES = ['succeeded', 'failed', 'succeeded'] as const;
const TURN = { signal: new AbortController().signal, lasts: async () => true };

let folder: Folder;
let records: Records;
beforeEach(async () => {
  folder = await openFolder();
  records = createRecords(folder.store);
});
afterEach(() => folder.remove());

async function ended(at: number, over: Partial<OperationRecord> = {}): Promise<OperationRecord> {
  const record = await storedOperation(folder.store, { createdAtMs: at, ...over });
  await endRun(folder.store, record, 1, OUTCOMES, at);
  return record;
}

/** As one process has them. */
function sweepers(store: BlobStore = folder.store, over: Partial<Parameters<typeof createHours>[0]> = {}) {
  const storage = { store, records: createRecords(store) };
  const removal = createRemoval({ storage, database: null, log: noLog });
  const visit = createVisit({ storage, removal, retentionMs: RETENTION, log: noLog });
  const common = { storage, visit, retentionMs: RETENTION };
  const hours = createHours({ ...common, runsPerSecondMax: 1e6, ...over });
  return { hours, walk: createWalk({ ...common, log: noLog, blobsPerSecondMax: 1e6 }) };
}

async function everyKey(): Promise<string[]> {
  const roots = await folder.store.folders('x/').catch(() => []);
  expect(roots).toEqual([]);
  const all = ['operations/', 'data/', 'ended/', 'audit/', 'keyless/', 'open/', 'purging/'];
  return (await Promise.all(all.map((root) => keysUnder(folder.store, root)))).flat();
}

async function walkThrough(walk: ReturnType<typeof createWalk>, nowMs: number): Promise<void> {
  while (await walk.step(nowMs, TURN.signal));
}

describe('what is a retention old', () => {
  it('stays until its hour is over, then leaves a tombstone, and after one more retention nothing', async () => {
    const { id } = await ended(T0);
    const { hours } = sweepers();
    await hours.sweep(T0 + RETENTION + HOUR / 2, TURN);
    expect((await records.readStanding('default', id))?.record?.id).toBe(id);

    expect(await hours.sweep(T0 + RETENTION + HOUR, TURN)).toBe(1);
    const standing = await records.readStanding('default', id);
    const counts = { total: 3, tally: { succeeded: 2, failed: 1, skipped: 0, cancelled: 0, unknown: 0 } };
    expect(standing?.tombstone).toMatchObject({ gone: 'expired', run: 1, by: null, ...counts });
    expect((await everyKey()).map((key) => key.split('/')[0])).toEqual(['operations', 'ended']);

    await hours.sweep(T0 + 2 * RETENTION + HOUR, TURN);
    expect(await everyKey()).toEqual([]);
  });

  it('leaves no empty folder behind that grows in number with what ever was', async () => {
    const root = folder.root;
    const foldersNow = async () => {
      const entries = await readdir(root, { recursive: true, withFileTypes: true });
      return entries.filter((entry) => entry.isDirectory() && entry.name !== '!tmp').length;
    };
    const { hours } = sweepers();
    const left: number[] = [];
    for (let day = 0; day < 3; day++) {
      const at = T0 + day * 10 * DAY;
      const claimed = { surface: 'product-bulk', fingerprint: `${day}`.repeat(64), id: `op-${day}` } as const;
      await records.createKeyless('default', claimed.fingerprint, 0, { version: 1, operationId: claimed.id, at });
      await ended(at, claimed);
      await folder.store.create(`${auditPrefix('default', claimed.id)}entry`, Buffer.from('{}'));
      await hours.sweep(at + RETENTION + HOUR, TURN);
      await hours.sweep(at + 2 * RETENTION + HOUR, TURN);
      expect(await everyKey()).toEqual([]);
      left.push(await foldersNow());
    }
    // Only hashed folders, of records, data, claims and trails: their number is bounded.
    expect((left[2] ?? 0) - (left[1] ?? 0)).toBeLessThanOrEqual(4);
    expect(await folder.store.folders('ended/')).toEqual([]);
  });

  it('is not what was retried since: it counts from the end of the last run', async () => {
    const record = await ended(T0);
    const { account, id, uid } = record;
    await records.createRun(account, id, { version: 1, run: 2, chunkItems: [3] } as unknown as RunRecord);
    const { hours } = sweepers();
    await hours.sweep(T0 + RETENTION + HOUR, TURN);
    expect((await records.readRecord(account, id))?.uid).toBe(uid);

    await endRun(folder.store, record, 2, OUTCOMES, T0 + 5 * DAY);
    await hours.sweep(T0 + 6 * DAY, TURN);
    expect((await records.readRecord(account, id))?.uid).toBe(uid);
    await hours.sweep(T0 + 5 * DAY + RETENTION + HOUR, TURN);
    expect((await records.readStanding(account, id))?.tombstone).toMatchObject({ gone: 'expired', run: 2 });
    expect(await keysUnder(folder.store, 'data/')).toEqual([]);
    await hours.sweep(T0 + 5 * DAY + 2 * RETENTION + HOUR, TURN);
    expect(await everyKey()).toEqual([]);
  });

  it('is swept by any number of processes at once, each operation as if by one', async () => {
    const all = await Promise.all(Array.from({ length: 60 }, (_, n) => ended(T0 + n * 1_000)));
    await Promise.all([1, 2, 3].map(() => sweepers().hours.sweep(T0 + RETENTION + 2 * HOUR, TURN)));
    for (const { id } of all) {
      expect((await records.readStanding('default', id))?.tombstone).toMatchObject({ gone: 'expired', id });
    }
    expect(await keysUnder(folder.store, 'data/')).toEqual([]);
    expect(await keysUnder(folder.store, 'operations/')).toHaveLength(60);
    await Promise.all([1, 2, 3].map(() => sweepers().hours.sweep(T0 + 2 * RETENTION + 2 * HOUR, TURN)));
    expect(await everyKey()).toEqual([]);
  });

  it('goes on where a process died in the middle, at whatever write', async () => {
    let died = true;
    for (let writes = 0; died; writes++) {
      expect(writes).toBeLessThan(60);
      await records.putSweep('hours', { version: 1, expire: HOUR_OF_T0, forget: HOUR_OF_T0 });
      await ended(T0, { id: `a-${writes}` });
      await ended(T0 + 1, { id: `b-${writes}` });
      const dying = dyingAfter(folder.store, writes);
      await sweepers(dying.store)
        .hours.sweep(T0 + RETENTION + HOUR, TURN)
        .catch(() => {});
      ({ died } = dying);
      await sweepers().hours.sweep(T0 + RETENTION + HOUR, TURN);
      expect(await keysUnder(folder.store, 'data/')).toEqual([]);
      expect((await keysUnder(folder.store, 'operations/')).length).toBe(2);
      await sweepers().hours.sweep(T0 + 2 * RETENTION + HOUR, TURN);
      expect(await everyKey()).toEqual([]);
    }
  }, 60_000);

  it('is found by hours alone: what is not due is not even listed', async () => {
    await ended(T0);
    await ended(T0 + 3 * DAY);
    const { hours } = sweepers();
    await hours.sweep(T0 + RETENTION + HOUR, TURN);
    const listed: string[] = [];
    const list: BlobStore['list'] = (prefix, options) => {
      listed.push(prefix);
      return folder.store.list(prefix, options);
    };
    const other = sweepers({ ...folder.store, list });
    expect(await other.hours.sweep(T0 + RETENTION + HOUR + 1, TURN)).toBe(0);
    expect(listed).toEqual([]);
    await other.hours.sweep(T0 + RETENTION + 2 * HOUR, TURN);
    expect(listed.every((prefix) => prefix.startsWith('ended/'))).toBe(true);
    expect(listed.length).toBeLessThanOrEqual(2);
  });

  it('is swept past an operation whose record is damaged, which stays with its data', async () => {
    const damaged = await ended(T0, { id: 'a-damaged' });
    const { id } = await ended(T0 + 1, { id: 'sound' });
    await folder.store.put(recordKeys('default', damaged.id).record, Buffer.from('{"version":1,'));
    const { hours, walk } = sweepers();
    await hours.sweep(T0 + RETENTION + HOUR, TURN);
    expect((await records.readStanding('default', id))?.tombstone).not.toBeNull();
    await hours.sweep(T0 + 2 * RETENTION + HOUR, TURN);
    expect(await records.readStanding('default', id)).toBeNull();
    await walkThrough(walk, Date.now() + RETENTION + 30 * DAY);
    expect((await keysUnder(folder.store, dataPrefix(damaged.uid))).length).toBeGreaterThan(0);
  });

  it('waits for another turn where the process has lost its own', async () => {
    const { id } = await ended(T0);
    const { hours } = sweepers();
    await expect(hours.sweep(T0 + RETENTION + HOUR, { ...TURN, lasts: async () => false })).rejects.toThrow('turn');
    expect((await records.readStanding('default', id))?.record?.id).toBe(id);
    expect(await hours.sweep(T0 + RETENTION + HOUR, TURN)).toBe(1);
  });

  it('frees its id at last: a new operation of the same name is not touched by what is left of the old one', async () => {
    const old = await ended(T0, { id: 'same' });
    const { hours } = sweepers();
    await hours.sweep(T0 + RETENTION + HOUR, TURN);
    await hours.sweep(T0 + 2 * RETENTION + HOUR, TURN);
    const at = T0 + 3 * RETENTION;
    const anew = await ended(at, { id: 'same' });
    // A marker of the old one turns up late, as do blobs.
    await records.markEnded({ account: 'default', id: 'same', uid: old.uid, run: 1 }, T0 + RETENTION + 3 * HOUR);
    await folder.store.create(chunkKey(dataPrefix(old.uid), 0), Buffer.from('x'));
    await hours.sweep(at, TURN);
    expect((await records.readRecord('default', 'same'))?.uid).toBe(anew.uid);
    expect(await records.readSummary('default', 'same', 1)).not.toBeNull();
    expect(await keysUnder(folder.store, dataPrefix(old.uid))).toEqual([]);
    expect((await keysUnder(folder.store, dataPrefix(anew.uid))).length).toBeGreaterThan(0);
  });
});

describe('the walk', () => {
  /** Blobs are as old as the test: it looks from the future. */
  const LATER = Date.now() + RETENTION + 3 * DAY;

  it('finds what has no marker: a record that is over, then its tombstone', async () => {
    const { id, uid } = await ended(T0);
    await folder.store.delete(endedKey({ account: 'default', id, uid, run: 1 }, T0));
    const { walk, hours } = sweepers();
    await hours.sweep(LATER, TURN);
    expect((await records.readStanding('default', id))?.record?.id).toBe(id);
    await walkThrough(walk, LATER);
    expect((await records.readStanding('default', id))?.tombstone).toMatchObject({ gone: 'expired' });
    await walkThrough(walk, LATER + 10 * DAY);
    expect(await everyKey()).toEqual([]);
  });

  it('takes data that belongs to nobody, and no other', async () => {
    const now = Date.now();
    const put = (uid: string) => folder.store.create(chunkKey(dataPrefix(uid), 0), Buffer.from('x'));
    const orphan = ulid(now);
    const open = ulid(now);
    const retried = ulid(now);
    const young = ulid(now + 10 * DAY);
    const goesOn = await storedOperation(folder.store, { createdAtMs: now });
    await Promise.all([orphan, open, retried, young, goesOn.uid].map(put));
    await folder.store.put(openKey(open), Buffer.from('{}'));
    await folder.store.put(openKey(`${retried}-2`), Buffer.from('{}'));
    const { walk } = sweepers();
    await walkThrough(walk, now + RETENTION + 5 * DAY);
    const left = (await keysUnder(folder.store, 'data/')).map((key) => key.split('/')[2]).sort();
    expect(left).toEqual([open, retried, young, goesOn.uid].sort());
  });

  it('takes no data that was written lately, however old its name: its upload may have taken long', async () => {
    const uid = ulid(T0);
    await folder.store.create(chunkKey(dataPrefix(uid), 0), Buffer.from('x'));
    const { walk } = sweepers();
    await walkThrough(walk, Date.now() + RETENTION + DAY);
    expect(await keysUnder(folder.store, 'data/')).toHaveLength(1);
    await walkThrough(walk, Date.now() + RETENTION + 9 * DAY);
    expect(await keysUnder(folder.store, 'data/')).toEqual([]);
  });

  it('takes claims of bodies whose operation never was', async () => {
    await records.createKeyless('default', 'a'.repeat(64), 0, { version: 1, operationId: 'never', at: T0 });
    const { walk } = sweepers();
    await walkThrough(walk, Date.now() + DAY);
    expect(await keysUnder(folder.store, 'keyless/')).toHaveLength(1);
    await walkThrough(walk, LATER);
    expect(await keysUnder(folder.store, 'keyless/')).toEqual([]);
    expect(await folder.store.folders(keylessKey('default', 'a'.repeat(64), 0).slice(0, -'00000000'.length))).toEqual(
      [],
    );
  });

  it('rests for an hour, and goes on in another process where one has left it', async () => {
    await ended(T0, { account: 'a' });
    await ended(T0, { account: 'b' });
    const first = sweepers().walk;
    expect(await first.step(LATER, TURN.signal)).toBe(true);
    const second = sweepers().walk;
    await walkThrough(second, LATER);
    expect(await second.step(LATER + HOUR / 2, TURN.signal)).toBe(false);
    expect(await sweepers().walk.step(LATER + HOUR / 2, TURN.signal)).toBe(false);
    expect(await second.step(LATER + 2 * HOUR, TURN.signal)).toBe(true);
  });
});

describe('the lease of the sweep', () => {
  it('is one process’s, until it gives it back', async () => {
    const [a, b] = [createSweepLease(records), createSweepLease(records)];
    expect(await a.take()).toBe(true);
    expect(await b.take()).toBe(false);
    expect(await a.take()).toBe(true);
    await a.release();
    expect(await b.take()).toBe(true);
    expect(await a.take()).toBe(false);
    await a.release();
    expect(await a.take()).toBe(false);
  });
});
