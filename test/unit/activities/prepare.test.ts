/** Duplicates are found exactly: whatever the chunks, the table, the worker, the number of passes and of executions. */
import { MockActivityEnvironment } from '@temporalio/testing';
import { DefaultLogger } from '@temporalio/worker';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { createPrepare, type PrepareLimits } from '../../../src/activities/duplicates/prepare.ts';
import type { PrepareAnswer, PrepareInput } from '../../../src/model/activity-contract.ts';
import { EMPTY_TALLY, type OperationRecord } from '../../../src/model/operation.ts';
import { chunkPrefix, dataPrefix, runChunkPrefix } from '../../../src/storage/keys.ts';
import { readMarks } from '../../../src/storage/marks.ts';
import { defineTarget, type Target } from '../../../src/targets/target.ts';
import { type ItemText, openStorage, type StorageUnderTest, writeChunk, writeChunks } from '../../fixtures/chunked.ts';
import { plan } from '../../fixtures/plan.ts';

const people = defineTarget({
  name: 'people',
  item: z.looseObject({ email: z.string().trim().toLowerCase().min(1) }),
  guarantee: 'idempotent',
  onDoubt: 'resend',
  vendor: null,
  dedupeBy: ({ email }) => email,
  applyOne: () => ({ kind: 'succeeded' }),
}) as unknown as Target;

/** Activities that are to fail would fill the output. */
const logger = new DefaultLogger('ERROR');

let storage: StorageUnderTest;
beforeAll(async () => {
  storage = await openStorage();
});
afterAll(() => storage.close());

let operations = 0;
function nextRef() {
  const uid = `UID${String(++operations).padStart(6, '0')}`;
  return { account: 'tests', id: `op-${operations}`, uid, traceId: '' };
}

type Input = Pick<PrepareInput, 'ref' | 'chunkItems'> & Partial<PrepareInput>;

function inputOf(input: Input): PrepareInput {
  const source = { kind: 'blobs', prefix: chunkPrefix(input.ref.uid) } as const;
  return { version: 1, plan: plan({ target: 'people', dedupe: true }), run: 1, source, ...input };
}

function activity(limits?: PrepareLimits, over: { stopping?: AbortSignal; heartbeat?: () => Promise<boolean> } = {}) {
  const stopping = new AbortController().signal;
  const heartbeat = async () => false;
  return createPrepare({ ...storage, findTarget: () => people, stopping, heartbeat, ...over }, limits);
}

function execute(input: Input, limits?: PrepareLimits): Promise<PrepareAnswer> {
  return new MockActivityEnvironment(undefined, { logger }).run(activity(limits), inputOf(input));
}

/** index → index of the one taken instead, of all chunks of a run of consecutive items. */
async function marked(uid: string, chunkItems: readonly number[], run = 1): Promise<Map<number, number>> {
  const found = new Map<number, number>();
  let firstIndex = 0;
  for (const [ordinal, items] of chunkItems.entries()) {
    const marks = await readMarks(storage.store, { uid, run, ordinal });
    expect([...marks.positions]).toEqual([...marks.positions].sort((a, b) => a - b));
    for (const [i, position] of marks.positions.entries()) {
      found.set(firstIndex + position, marks.duplicateOf[i] ?? -1);
    }
    firstIndex += items;
  }
  return found;
}

async function blobsUnder(prefix: string): Promise<Map<string, string>> {
  const blobs = new Map<string, string>();
  for await (const { key } of storage.store.list(prefix)) {
    blobs.set(key, (await storage.store.get(key))?.toString('base64') ?? '');
  }
  return blobs;
}

/** What a plain Map says. */
function expected(items: readonly ItemText[]): Map<number, number> {
  const first = new Map<string, number>();
  const duplicates = new Map<number, number>();
  for (const [index, text] of items.entries()) {
    const email = typeof text === 'string' ? emailIn(text) : null;
    if (email === null) continue;
    const holder = first.get(email);
    if (holder === undefined) first.set(email, index);
    else duplicates.set(index, holder);
  }
  return duplicates;
}

function emailIn(text: string): string | null {
  try {
    const { email } = JSON.parse(text);
    return typeof email === 'string' && email.trim() !== '' ? email.trim().toLowerCase() : null;
  } catch {
    return null;
  }
}

const personOf = (email: string) => JSON.stringify({ email });
const anItem: fc.Arbitrary<ItemText> = fc.oneof(
  { weight: 6, arbitrary: fc.nat(30).map((n) => personOf(`user-${n}@example.com`)) },
  { weight: 2, arbitrary: fc.nat(30).map((n) => personOf(` USER-${n}@Example.com `)) },
  { weight: 1, arbitrary: fc.string({ maxLength: 4, unit: 'binary' }).map(personOf) },
  {
    weight: 2,
    arbitrary: fc.constantFrom<ItemText>('{"email":"user-1@example.com"', '{"email":7}', 'null', '', {
      code: 'csv_ragged_row',
      message: 'ragged',
    }),
  },
);

describe('prepare', () => {
  it('marks what a plain Map over all valid items calls a duplicate, in any chunks and any number of passes', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(anItem, { minLength: 1, maxLength: 120 }),
        fc.array(fc.integer({ min: 1, max: 40 }), { maxLength: 8 }),
        fc.constantFrom(1, 7, 20, 50, 1_000),
        async (items, sizes, tableKeysMax) => {
          const ref = nextRef();
          const chunkItems = await writeChunks(storage.store, chunkPrefix(ref.uid), items, sizes);
          const limits = { tableKeysMax, processKeysMax: 12_000_000 };
          const answer = await execute({ ref, chunkItems }, limits);
          const wanted = expected(items);
          expect(await marked(ref.uid, chunkItems)).toEqual(wanted);
          expect(answer.duplicates).toBe(wanted.size);
          const before = await blobsUnder(dataPrefix(ref.uid));
          expect([...before.keys()].filter((key) => key.includes('~'))).toEqual([]);
          // Again, by two workers at once, one of which needs more passes: not a byte changes.
          await Promise.all([
            execute({ ref, chunkItems }, limits),
            execute({ ref, chunkItems }, { ...limits, tableKeysMax: 13 }),
          ]);
          expect(await blobsUnder(dataPrefix(ref.uid))).toEqual(before);
        },
      ),
      { numRuns: 25 },
    );
  }, 120_000);

  it('writes nothing where there is no duplicate, and marks all but the first where all are one', async () => {
    const none = nextRef();
    const distinct = Array.from({ length: 50 }, (_, i) => personOf(`${i}@example.com`));
    const noneItems = await writeChunks(storage.store, chunkPrefix(none.uid), distinct, [20]);
    expect(await execute({ ref: none, chunkItems: noneItems })).toEqual({ duplicates: 0 });
    const kept = await blobsUnder(dataPrefix(none.uid));
    expect([...kept.keys()].every((key) => key.startsWith(chunkPrefix(none.uid)))).toBe(true);

    const all = nextRef();
    const same = Array.from({ length: 50 }, () => personOf('a@example.com'));
    const allItems = await writeChunks(storage.store, chunkPrefix(all.uid), same, [20]);
    expect(await execute({ ref: all, chunkItems: allItems })).toEqual({ duplicates: 49 });
    expect([...(await marked(all.uid, allItems)).values()]).toEqual(Array.from({ length: 49 }, () => 0));
  });

  it('reads the only chunk of a small operation from its record', async () => {
    const ref = nextRef();
    await storage.records.createRecord(await recordOf(ref, [personOf('a@b.c'), personOf('a@b.c')]));
    const answer = await execute({ ref, chunkItems: [2], source: { kind: 'record' } });
    expect(answer).toEqual({ duplicates: 1 });
    expect(await marked(ref.uid, [2])).toEqual(new Map([[1, 0]]));
  });

  it('a cancelled one says so and marks nothing wrong; the next one marks the rest', async () => {
    const ref = nextRef();
    const items = Array.from({ length: 30_000 }, (_, i) => personOf(`${i % 20_000}@example.com`));
    const sizes = Array.from({ length: 30 }, () => 1_000);
    const chunkItems = await writeChunks(storage.store, chunkPrefix(ref.uid), items, sizes);
    const environment = new MockActivityEnvironment(undefined, { logger });
    const running = environment.run(activity(), inputOf({ ref, chunkItems }));
    environment.cancel();
    await expect(running).rejects.toThrow('no longer waits');
    expect(await execute({ ref, chunkItems })).toEqual({ duplicates: 10_000 });
    expect(await marked(ref.uid, chunkItems)).toEqual(expected(items));
  });

  it.each([
    ['wants it home', async () => true, { message: expect.stringContaining('no longer waits') }],
    [
      'has given it to somebody else',
      () => Promise.reject(Object.assign(new Error('gone'), { code: 5 })),
      { type: 'lease_lost', nonRetryable: false },
    ],
  ])('ends soon where the server says that it %s', async (_, heartbeat, failure) => {
    const ref = nextRef();
    const items = Array.from({ length: 60_000 }, (_, i) => personOf(`${i}@example.com`));
    const chunkItems = await writeChunks(storage.store, chunkPrefix(ref.uid), items, [30_000]);
    const input = inputOf({ ref, chunkItems, plan: plan({ target: 'people', dedupe: true, heartbeatTimeoutMs: 30 }) });
    // Many passes: it would go on for minutes.
    const prepare = activity({ tableKeysMax: 100, processKeysMax: 12_000_000 }, { heartbeat });
    const environment = new MockActivityEnvironment({ heartbeatTimeoutMs: 30 }, { logger });
    await expect(environment.run(prepare, input)).rejects.toMatchObject(failure);
  });

  it('leaves its work to another worker where its own is to stop', async () => {
    const ref = nextRef();
    const chunkItems = await writeChunks(storage.store, chunkPrefix(ref.uid), [personOf('a@b.c')], []);
    const prepare = activity(undefined, { stopping: AbortSignal.abort() });
    const running = new MockActivityEnvironment(undefined, { logger }).run(prepare, inputOf({ ref, chunkItems }));
    await expect(running).rejects.toMatchObject({ type: 'worker_stops', nonRetryable: false });
  });
});

describe('prepare of a retry', () => {
  it('gives keys first to what has succeeded in any earlier run, then to the chosen items in their order', async () => {
    const ref = nextRef();
    const emails = ['a', 'b', 'bad', 'c', 'd', 'e', 'f'];
    await storage.records.createRecord(
      await recordOf(
        ref,
        emails.map((name) => personOf(`${name}@x.y`)),
        [3, 4],
      ),
    );
    await writeOutcomes(ref.uid, 1, 0, { 0: 'succeeded', 1: 'failed', 2: 'failed' });
    await writeOutcomes(ref.uid, 1, 1, { 3: 'succeeded', 4: 'unknown', 5: 'failed', 6: 'cancelled' });
    // Run 2 corrected item 2 to the name "g", which went well, and item 5 failed again.
    await writeRun(ref, 2, { 2: 'g', 5: 'e' });
    await writeOutcomes(ref.uid, 2, 0, { 2: 'succeeded', 5: 'failed' });
    // Run 3: b becomes what c (item 3, after it) is; e becomes g of run 2; f becomes d, which may have succeeded.
    const chosen = { 1: 'C', 4: 'd', 5: 'g', 6: 'd' };
    const { prefix, chunkItems } = await writeRun(ref, 3, chosen);
    for (const tableKeysMax of [1_000, 3]) {
      const answer = await execute(
        { ref, chunkItems, run: 3, source: { kind: 'blobs', prefix } },
        { tableKeysMax, processKeysMax: 12_000_000 },
      );
      expect(answer).toEqual({ duplicates: 3 });
    }
    const marks = await readMarks(storage.store, { uid: ref.uid, run: 3, ordinal: 0 });
    expect([...marks.positions]).toEqual([0, 2, 3]);
    expect([...marks.duplicateOf]).toEqual([3, 2, 4]);
  });

  it('waits for the records of the runs before it', async () => {
    const ref = nextRef();
    const source = { kind: 'blobs', prefix: runChunkPrefix(ref.uid, 2, 'x') } as const;
    await expect(execute({ ref, chunkItems: [1], run: 2, source })).rejects.toMatchObject({ type: 'record_missing' });
  });
});

/** With its chunk in the record where no sizes are given, else as blobs. */
async function recordOf(
  ref: { account: string; id: string; uid: string },
  items: readonly string[],
  sizes?: readonly number[],
): Promise<OperationRecord> {
  const prefix = chunkPrefix(ref.uid);
  const chunkItems = await writeChunks(storage.store, prefix, items, sizes ?? []);
  const inlineChunk =
    sizes === undefined ? ((await storage.store.get(`${prefix}00000000`))?.toString('base64') ?? '') : null;
  if (sizes === undefined) await storage.store.deletePrefix(prefix);
  return {
    version: 1,
    id: ref.id,
    account: ref.account,
    uid: ref.uid,
    key: null,
    fingerprint: '',
    surface: 'v1',
    target: 'people',
    plan: plan({ target: 'people', dedupe: true }),
    chunkItems,
    total: items.length,
    input: { mediaType: 'application/json', bytes: 0, sha256: '' },
    metadata: {},
    priority: 3,
    createdAt: '',
    scheduledAt: null,
    expiresAt: '',
    submittedBy: null,
    traceId: '',
    inlineChunk,
  };
}

/** Item index → name; one sparse chunk and the run's record. */
async function writeRun(ref: { account: string; id: string; uid: string }, run: number, items: Record<number, string>) {
  const prefix = runChunkPrefix(ref.uid, run, 'attempt');
  const indexes = Object.keys(items).map(Number);
  const texts = Object.values(items).map((name) => personOf(`${name}@x.y`));
  const chosen = { indexes: Uint32Array.from(indexes), keyRuns: Uint32Array.from(indexes, () => run) };
  await writeChunk(storage.store, prefix, 0, { items: texts, firstIndex: indexes[0] ?? 0, chosen });
  const chunkItems = [indexes.length];
  await storage.records.createRun(ref.account, ref.id, {
    version: 1,
    run,
    fingerprint: '',
    prefix,
    chunkItems,
    firstIndexes: [indexes[0] ?? 0],
    corrections: null,
    base: EMPTY_TALLY,
    createdAt: '',
    requestedBy: null,
    traceId: '',
  });
  return { prefix, chunkItems };
}

async function writeOutcomes(uid: string, run: number, ordinal: number, outcomes: Record<number, string>) {
  const lines = Object.entries(outcomes).map(
    ([index, outcome]) => `{"index":${index},"line":1,"outcome":"${outcome}","attempts":1}\n`,
  );
  const rows = { outcomeLines: Buffer.from(lines.join('')), outcomes: lines.length, tally: EMPTY_TALLY, deferred: [] };
  await storage.segments.commit({ uid, run, ordinal }, 0, rows);
}
