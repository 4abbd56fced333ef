import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { openJournal, reachUnjournalled, readLeavings } from '../../../src/activities/journal.ts';
import type { Chunk } from '../../../src/model/chunk.ts';
import type { BlobStore } from '../../../src/storage/blob-store.ts';
import { createFsStore } from '../../../src/storage/fs.ts';
import { createGroupLog } from '../../../src/storage/group-log.ts';
import { journalKey } from '../../../src/storage/keys.ts';
import { createSegments } from '../../../src/storage/segments.ts';
import { plan } from '../../fixtures/plan.ts';

/** A log that keeps what is appended; `hold` keeps appends waiting. */
function fakeStore() {
  const appended: string[] = [];
  let release: () => void = () => undefined;
  let held: Promise<void> = Promise.resolve();
  const store = {
    logIntervalMs: 0,
    openLog: () => ({
      async append(bytes: Uint8Array) {
        await held;
        appended.push(Buffer.from(bytes).toString('latin1'));
      },
      async close() {},
    }),
  } as unknown as BlobStore;
  return {
    store,
    text: () => appended.join(''),
    hold() {
      held = new Promise((resolve) => {
        release = resolve;
      });
    },
    release: () => release(),
  };
}

function journalOn(store: BlobStore, reach: number, onReach = () => undefined) {
  return openJournal({ store, key: 'k', startedAtMs: performance.now() - 1_000, reach, onReach });
}

test('a slice that ends at once writes no journal', async () => {
  const { store, text } = fakeStore();
  const journal = journalOn(store, 100);
  journal.outcome('{"index":1}');
  await journal.close();
  expect(journal.written()).toBe(false);
  expect(text()).toBe('');
});

test('outcomes of a slice that goes on are written within a moment, the early ones too', async () => {
  const { store, text } = fakeStore();
  const journal = journalOn(store, 100);
  journal.outcome('{"index":1}');
  await expect.poll(text).toContain('{"index":1}');
  journal.outcome('{"index":2}');
  await journal.close();
  expect(text()).toContain('{"index":2}');
});

test('nothing is begun beyond what the journal durably says', async () => {
  const { store, text, hold, release } = fakeStore();
  let woken = 0;
  const journal = journalOn(store, 4, () => {
    woken++;
  });
  hold();
  let begun = 0;
  while (begun < 1_000 && journal.mayBegin(begun)) begun++;
  expect(begun).toBe(4);
  expect(text()).toBe('');
  release();
  await expect.poll(() => woken).toBeGreaterThan(0);
  while (begun < 1_000 && journal.mayBegin(begun)) begun++;
  const reaches = [...text().matchAll(/\{"reach":(\d+)\}/g)].map((match) => Number(match[1]));
  expect(begun).toBeGreaterThan(4);
  expect(begun).toBeLessThanOrEqual(Math.max(...reaches));
  await journal.close();
});

test('where a lost call cannot be repeated nothing is begun before the journal; without effects all is', () => {
  expect(reachUnjournalled(plan({ onDoubt: 'unknown' }))).toBe(0);
  expect(reachUnjournalled(plan({ journal: false }))).toBe(Number.POSITIVE_INFINITY);
  expect(reachUnjournalled(plan({ sliceConcurrency: 50 }))).toBe(200);
});

test('a slice that begins deep in its chunk waits once, not step by step', async () => {
  const { store } = fakeStore();
  let woken = 0;
  const journal = journalOn(store, 4, () => {
    woken++;
  });
  expect(journal.mayBegin(19_000)).toBe(false);
  await expect.poll(() => woken).toBe(1);
  expect(journal.mayBegin(19_000)).toBe(true);
  await journal.close();
});

test('the last words of a slice without a journal can be read again', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'tranche-journal-'));
  const store = createFsStore(folder);
  const at = { uid: 'u', run: 1, ordinal: 0, seq: 1 };
  const reach = reachUnjournalled(plan({ journal: false }));
  const key = journalKey(at.uid, at.run, at.ordinal, at.seq, 'a');
  const journal = openJournal({ store, key, startedAtMs: performance.now(), reach, onReach: () => undefined });
  journal.farewell([3, 4]);
  await journal.close();
  const formerKey = journalKey(at.uid, at.run, at.ordinal, at.seq, 'of-a-former-release');
  const former = createGroupLog(store.openLog(formerKey), 0);
  former.add(Buffer.from('{"reach":Infinity}'));
  await former.close();
  // Nothing of it is looked at where no outcome was written.
  const chunk = {} as unknown as Chunk;
  const deps = { store, segments: createSegments(store) };
  const leavings = await readLeavings(deps, { ...at, chunk, lost: true, plan: plan({ journal: false }) });
  expect(leavings).toMatchObject({ begun: new Set([3, 4]), lastWords: true, reach: 0 });
  await store.close();
  await rm(folder, { recursive: true });
});
