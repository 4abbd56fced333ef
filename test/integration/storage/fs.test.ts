/** The fs driver: the suite of every store, and what only a disk can show. */
import { appendFile, mkdir, mkdtemp, readdir, rm, stat, truncate, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openBlobStore } from '../../../src/storage/open-store.ts';
import { appendAll, describeBlobStore, freshPrefix, logText } from './blob-store.suite.ts';

async function openFresh() {
  const root = await mkdtemp(join(tmpdir(), 'tranche-fs-'));
  // A folder that does not stand yet, two deep: the store makes it.
  const store = await openBlobStore(pathToFileURL(join(root, 'data', 'blobs')).href);
  const close = async () => {
    await store.close();
    await rm(root, { recursive: true });
  };
  return { store, root: join(root, 'data', 'blobs'), close };
}

describeBlobStore('fs store', openFresh);

describe('fs store on its disk', () => {
  let opened: Awaited<ReturnType<typeof openFresh>>;
  beforeAll(async () => {
    opened = await openFresh();
  });
  afterAll(() => opened.close());

  it('drops a torn last entry when it reads, and cuts it before it appends', async () => {
    const { store, root } = opened;
    const key = `${freshPrefix()}log`;
    await appendAll(store, key, ['one', 'two', 'three']);
    const file = join(root, `${key}!log`);
    const { size } = await stat(file);
    for (const torn of [size - 1, size - 'three'.length, size - 'three'.length - 7]) {
      await truncate(file, torn);
      expect(await logText(store, key)).toEqual(['one', 'two']);
    }
    await appendAll(store, key, ['four']);
    expect(await logText(store, key)).toEqual(['one', 'two', 'four']);
  });

  it.each([
    ['zeros', Buffer.alloc(64)],
    ['a length beyond the end', Buffer.from([255, 255, 255, 127, 1, 2, 3, 4, 5])],
    ['an entry with another checksum', Buffer.from([1, 0, 0, 0, 9, 9, 9, 9, 65])],
  ])('takes %s behind the last entry for a torn one', async (_, tail) => {
    const { store, root } = opened;
    const key = `${freshPrefix()}log`;
    await appendAll(store, key, ['one', 'two']);
    const file = join(root, `${key}!log`);
    const { size } = await stat(file);
    await appendFile(file, tail);
    expect(await logText(store, key)).toEqual(['one', 'two']);
    // An empty entry is shorter than any of these tails, so what is left of one would show.
    await appendAll(store, key, ['']);
    expect((await stat(file)).size).toBe(size + 8);
    expect(await logText(store, key)).toEqual(['one', 'two', '']);
  });

  it('makes a folder again that was deleted behind its back', async () => {
    const { store, root } = opened;
    const prefix = freshPrefix();
    await store.create(`${prefix}a/b/one`, Buffer.from('x'));
    await rm(join(root, 'suite'), { recursive: true });
    await rm(join(root, '!tmp'), { recursive: true });
    expect(await store.create(`${prefix}a/b/two`, Buffer.from('x'))).toBe(true);
    await rm(join(root, 'suite'), { recursive: true });
    await appendAll(store, `${prefix}a/b/log`, ['entry']);
    expect(await logText(store, `${prefix}a/b/log`)).toEqual(['entry']);
  });

  it('leaves no temporary file behind, and sweeps those of dead processes at its check', async () => {
    const { store, root } = opened;
    const key = `${freshPrefix()}blob`;
    await Promise.all(Array.from({ length: 20 }, () => store.create(key, Buffer.from('x'))));
    await store.put(key, Buffer.from('y'));
    expect(await readdir(join(root, '!tmp'))).toEqual([]);

    await mkdir(join(root, '!tmp'), { recursive: true });
    await writeFile(join(root, '!tmp', 'stale'), 'x');
    await writeFile(join(root, '!tmp', 'fresh'), 'x');
    const twoHoursAgo = new Date(Date.now() - 2 * 3_600_000);
    await utimes(join(root, '!tmp', 'stale'), twoHoursAgo, twoHoursAgo);
    await store.check();
    expect(await readdir(join(root, '!tmp'))).toEqual(['fresh']);
  });

  it('says what to do where it cannot write', async () => {
    const { root } = opened;
    await writeFile(join(root, 'a-file'), 'x');
    const store = await openBlobStore(join(root, 'a-file', 'blobs'));
    await expect(store.check()).rejects.toThrow('BLOB_URL must name a folder');
  });
});
