/** What every blob store must do, whatever it is made of. */
import { randomBytes, randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { BlobEntry, BlobStore } from '../../../src/storage/blob-store.ts';
import { KEY_CHARS_MAX, SEGMENT_CHARS_MAX } from '../../../src/storage/key.ts';

export interface OpenedStore {
  readonly store: BlobStore;
  close(): Promise<void>;
}

export function describeBlobStore(name: string, open: () => Promise<OpenedStore>): void {
  describe(name, () => {
    let store: BlobStore;
    let close: () => Promise<void> = async () => {};
    beforeAll(async () => {
      const opened = await open();
      store = opened.store;
      close = opened.close;
    });
    afterAll(() => close());

    describeBlobs(() => store);
    describeListing(() => store);
    describeLogs(() => store);
    describeKeys(() => store);
  });
}

function describeBlobs(store: () => BlobStore): void {
  it('gives back the bytes that were put, whatever they are', async () => {
    const prefix = freshPrefix();
    for (const bytes of [Buffer.alloc(0), Buffer.from([0, 10, 13, 255]), randomBytes(8 * 1024 * 1024)]) {
      const key = `${prefix}${bytes.length}`;
      await store().put(key, bytes);
      expect((await store().get(key))?.equals(bytes)).toBe(true);
    }
  });

  it('takes views of larger buffers', async () => {
    const key = `${freshPrefix()}view`;
    await store().put(key, new Uint8Array(Buffer.from('abcdef')).subarray(2, 4));
    expect(await text(store(), key)).toBe('cd');
  });

  it('has null where there is no blob, and where the key is a folder', async () => {
    const prefix = freshPrefix();
    await store().put(`${prefix}folder/blob`, Buffer.from('x'));
    expect(await store().get(`${prefix}nothing`)).toBeNull();
    expect(await store().get(`${prefix}folder`)).toBeNull();
    expect(await store().get(`${prefix}no/such/folder`)).toBeNull();
  });

  it('replaces a blob as a whole by put', async () => {
    const key = `${freshPrefix()}blob`;
    await store().put(key, Buffer.from('a long first version'));
    await store().put(key, Buffer.from('short'));
    expect(await text(store(), key)).toBe('short');
  });

  it('shows readers the old or the new bytes while it puts, never a mixture', async () => {
    const key = `${freshPrefix()}blob`;
    const size = 512 * 1024;
    await store().put(key, Buffer.alloc(size, 0));
    let isWriting = true;
    const seen = new Set<number>();
    const read = async () => {
      while (isWriting) {
        const bytes = await store().get(key);
        expect(bytes?.length).toBe(size);
        const first = bytes?.[0] ?? -1;
        expect(bytes?.every((byte) => byte === first)).toBe(true);
        seen.add(first);
      }
    };
    const readers = [read(), read()];
    try {
      for (let version = 1; version <= 30; version++) await store().put(key, Buffer.alloc(size, version));
    } finally {
      isWriting = false;
    }
    await Promise.all(readers);
    expect(seen.size).toBeGreaterThan(1);
  });

  it('never overwrites by create', async () => {
    const key = `${freshPrefix()}blob`;
    expect(await store().create(key, Buffer.from('first'))).toBe(true);
    expect(await store().create(key, Buffer.from('second'))).toBe(false);
    expect(await store().create(key, Buffer.from('first'))).toBe(false);
    expect(await text(store(), key)).toBe('first');
  });

  it('refuses to create what was put', async () => {
    const key = `${freshPrefix()}blob`;
    await store().put(key, Buffer.from('put'));
    expect(await store().create(key, Buffer.from('created'))).toBe(false);
    expect(await text(store(), key)).toBe('put');
  });

  it('has exactly one winner of 20 racing creates, whose bytes stand', async () => {
    const prefix = freshPrefix();
    for (const round of ['a', 'b', 'c']) {
      const key = `${prefix}${round}/blob`;
      const bodies = Array.from({ length: 20 }, (_, writer) => `${writer} `.repeat(1_000));
      const won = await Promise.all(bodies.map((body) => store().create(key, Buffer.from(body))));
      expect(won.filter(Boolean)).toHaveLength(1);
      expect(await text(store(), key)).toBe(bodies[won.indexOf(true)]);
    }
  });

  it('can create again what was deleted', async () => {
    const key = `${freshPrefix()}blob`;
    await store().create(key, Buffer.from('first'));
    await store().delete(key);
    expect(await store().get(key)).toBeNull();
    expect(await store().create(key, Buffer.from('second'))).toBe(true);
    expect(await text(store(), key)).toBe('second');
  });

  it('deletes what is not there without complaint', async () => {
    const prefix = freshPrefix();
    await store().delete(`${prefix}nothing`);
    await store().deletePrefix(prefix);
    await store().deleteLog(`${prefix}log`);
  });
}

function describeListing(store: () => BlobStore): void {
  it('lists every blob under a prefix at any depth with its size and time, and nothing beside it', async () => {
    const prefix = freshPrefix();
    const from = Date.now() - 2_000;
    const keys = ['a', 'b/c', 'b/d/e', 'f~:_-.1'].map((key) => prefix + key);
    for (const [i, key] of keys.entries()) await store().put(key, Buffer.alloc(i));
    await store().put(`${prefix.slice(0, -1)}-beside/x`, Buffer.from('x'));
    const entries = await listAll(store(), prefix);
    expect(entries.map(({ key }) => key).sort()).toEqual(keys.sort());
    for (const { key, bytes, modifiedAtMs } of entries) {
      expect(bytes).toBe(keys.indexOf(key));
      expect(modifiedAtMs).toBeGreaterThan(from);
      expect(modifiedAtMs).toBeLessThan(Date.now() + 2_000);
    }
    expect(await listAll(store(), `${prefix}b/d/`)).toHaveLength(1);
    expect(await listAll(store(), `${prefix}nothing/`)).toEqual([]);
  });

  it('lists and deletes more blobs than one page holds', async () => {
    const prefix = freshPrefix();
    const count = 2_050;
    await inBatches(count, 50, (i) => store().put(`${prefix}folder-${i % 7}/blob-${i}`, Buffer.from('x')));
    const keys = (await listAll(store(), prefix)).map(({ key }) => key);
    expect(new Set(keys).size).toBe(count);
    expect(keys).toHaveLength(count);
    await store().deletePrefix(prefix);
    expect(await listAll(store(), prefix)).toEqual([]);
  });

  it('names the folders right under a prefix, and neither blobs nor logs', async () => {
    const prefix = freshPrefix();
    for (const key of ['a/1', 'a/2', 'b/c/1', 'blob']) await store().create(prefix + key, Buffer.from('x'));
    const log = store().openLog(`${prefix}log`);
    await log.append(Buffer.from('x'));
    await log.close();
    expect((await store().folders(prefix)).sort()).toEqual(['a', 'b']);
    expect(await store().folders(`${prefix}b/`)).toEqual(['c']);
    expect(await store().folders(`${prefix}nothing/`)).toEqual([]);
  });

  it('removes an empty folder, never one that holds something, and creates in it at the same time', async () => {
    const prefix = freshPrefix();
    await store().create(`${prefix}in/kept`, Buffer.from('x'));
    await store().deleteEmpty(`${prefix}in/`);
    expect(await text(store(), `${prefix}in/kept`)).toBe('x');
    await store().delete(`${prefix}in/kept`);
    await store().deleteEmpty(`${prefix}in/`);
    await store().deleteEmpty(`${prefix}in/`);
    expect(await store().folders(prefix)).toEqual([]);
    for (let round = 0; round < 10; round++) {
      const key = `${prefix}in/${round}`;
      const [created] = await Promise.all([store().create(key, Buffer.from('x')), store().deleteEmpty(`${prefix}in/`)]);
      expect(created).toBe(true);
      expect(await text(store(), key)).toBe('x');
      await store().delete(key);
    }
  });

  it('stops listing when it is told to', async () => {
    const prefix = freshPrefix();
    await store().put(`${prefix}blob`, Buffer.from('x'));
    const listing = listAll(store(), prefix, AbortSignal.abort(new Error('enough')));
    await expect(listing).rejects.toThrow('enough');
  });

  it('deletes everything under a prefix and nothing beside it', async () => {
    const prefix = freshPrefix();
    await store().put(`${prefix}in/a`, Buffer.from('x'));
    await store().put(`${prefix}in/b/c`, Buffer.from('x'));
    await store().put(`${prefix}in-beside/a`, Buffer.from('x'));
    await appendAll(store(), `${prefix}in/log`, ['entry']);
    await store().deletePrefix(`${prefix}in/`);
    expect(await store().get(`${prefix}in/a`)).toBeNull();
    expect(await store().get(`${prefix}in/b/c`)).toBeNull();
    expect(await store().readLog(`${prefix}in/log`)).toEqual([]);
    expect(await store().listLogs(`${prefix}in/`)).toEqual([]);
    expect(await text(store(), `${prefix}in-beside/a`)).toBe('x');
    expect(await store().create(`${prefix}in/a`, Buffer.from('again'))).toBe(true);
  });

  it('loses no blob that is created while a prefix is deleted: it stands whole or is gone', async () => {
    const prefix = freshPrefix();
    for (let round = 0; round < 5; round++) {
      const creates = Array.from({ length: 20 }, (_, i) =>
        store().create(`${prefix}${round}/${i}/blob`, Buffer.from('x')),
      );
      await Promise.all([...creates, store().deletePrefix(`${prefix}${round}/`)]);
      expect(await store().create(`${prefix}${round}/late/blob`, Buffer.from('x'))).toBe(true);
      for await (const { key } of store().list(`${prefix}${round}/`)) expect(await text(store(), key)).toBe('x');
    }
  });
}

function describeLogs(store: () => BlobStore): void {
  it('reads a log in the order of its appends, empty and large entries too', async () => {
    const key = `${freshPrefix()}log`;
    const entries = ['first', '', 'third\nline', 'x'.repeat(100_000)];
    await appendAll(store(), key, entries);
    expect(await logText(store(), key)).toEqual(entries);
  });

  it('has no log before the first append', async () => {
    const prefix = freshPrefix();
    await store().openLog(`${prefix}log`).close();
    expect(await store().readLog(`${prefix}log`)).toEqual([]);
    expect(await store().listLogs(prefix)).toEqual([]);
  });

  it('can be read while it is written', async () => {
    const key = `${freshPrefix()}log`;
    const log = store().openLog(key);
    for (let i = 1; i <= 5; i++) {
      await log.append(Buffer.from(`entry ${i}`));
      expect(await store().readLog(key)).toHaveLength(i);
    }
    await log.close();
  });

  it('goes on behind what a log holds when it is opened again', async () => {
    const key = `${freshPrefix()}log`;
    const entries = Array.from({ length: 121 }, (_, i) => `entry ${i}`);
    await appendAll(store(), key, entries.slice(0, 120));
    await appendAll(store(), key, entries.slice(120));
    expect(await logText(store(), key)).toEqual(entries);
  });

  it('keeps logs and blobs apart, of one name too', async () => {
    const prefix = freshPrefix();
    await store().put(`${prefix}same`, Buffer.from('blob'));
    await appendAll(store(), `${prefix}same`, ['entry', 'entry']);
    await appendAll(store(), `${prefix}below/log`, ['entry']);
    expect((await listAll(store(), prefix)).map(({ key }) => key)).toEqual([`${prefix}same`]);
    expect((await store().listLogs(prefix)).sort()).toEqual([`${prefix}below/log`, `${prefix}same`]);
    await store().delete(`${prefix}same`);
    expect(await store().readLog(`${prefix}same`)).toHaveLength(2);
    await store().deleteLog(`${prefix}same`);
    expect(await store().listLogs(prefix)).toEqual([`${prefix}below/log`]);
  });
}

function describeKeys(store: () => BlobStore): void {
  const bad = [
    '',
    '/',
    '/a',
    'a/',
    'a//b',
    '.',
    '..',
    'a/../b',
    'a/./b',
    '../a',
    'a b',
    'a\\b',
    'a%2e',
    'a!log',
    'ä',
    'a\0',
  ];
  const tooLong = ['s'.repeat(SEGMENT_CHARS_MAX + 1), `${'s'.repeat(99)}/`.repeat(8).concat('s')];

  it.each([...bad, ...tooLong])('refuses the key %j everywhere', async (key) => {
    const bytes = Buffer.from('x');
    await expect(store().get(key)).rejects.toThrow('invalid blob key');
    await expect(store().create(key, bytes)).rejects.toThrow('invalid blob key');
    await expect(store().put(key, bytes)).rejects.toThrow('invalid blob key');
    await expect(store().delete(key)).rejects.toThrow('invalid blob key');
    await expect(store().readLog(key)).rejects.toThrow('invalid blob key');
    await expect(store().deleteLog(key)).rejects.toThrow('invalid blob key');
    expect(() => store().openLog(key)).toThrow('invalid blob key');
  });

  it.each(['', '/', 'a', 'a//', '../', 'a/../', '/a/'])('refuses the prefix %j everywhere', async (prefix) => {
    await expect(store().deletePrefix(prefix)).rejects.toThrow('invalid blob');
    await expect(store().listLogs(prefix)).rejects.toThrow('invalid blob');
    await expect(listAll(store(), prefix)).rejects.toThrow('invalid blob');
  });

  it('takes keys up to the limits', async () => {
    const segment = `${randomUUID()}-`.padEnd(SEGMENT_CHARS_MAX - 1, '~:._-');
    const key = [segment, segment, segment, segment].join('/').padEnd(KEY_CHARS_MAX, 'x');
    await store().put(key, Buffer.from('x'));
    await appendAll(store(), key, ['entry']);
    expect(await text(store(), key)).toBe('x');
    expect(await logText(store(), key)).toEqual(['entry']);
  });

  it('passes its own check, and leaves nothing behind', async () => {
    await store().check();
    expect(await listAll(store(), 'self-check/')).toEqual([]);
  });
}

export function freshPrefix(): string {
  return `suite/${randomUUID()}/`;
}

export async function appendAll(store: BlobStore, key: string, entries: readonly string[]): Promise<void> {
  const log = store.openLog(key);
  for (const entry of entries) await log.append(Buffer.from(entry));
  await log.close();
}

export async function logText(store: BlobStore, key: string): Promise<string[]> {
  return (await store.readLog(key)).map((entry) => entry.toString());
}

export async function listAll(store: BlobStore, prefix: string, signal?: AbortSignal): Promise<BlobEntry[]> {
  const entries: BlobEntry[] = [];
  for await (const entry of store.list(prefix, signal === undefined ? {} : { signal })) entries.push(entry);
  return entries;
}

async function text(store: BlobStore, key: string): Promise<string | undefined> {
  return (await store.get(key))?.toString();
}

async function inBatches(count: number, atOnce: number, action: (i: number) => Promise<void>): Promise<void> {
  for (let at = 0; at < count; at += atOnce) {
    await Promise.all(Array.from({ length: Math.min(atOnce, count - at) }, (_, i) => action(at + i)));
  }
}
