/** One setting names the store: what it takes, and what it refuses before anything is written. */
import { describe, expect, it } from 'vitest';
import { openBlobStore } from '../../../src/storage/open-store.ts';

describe('opening a blob store', () => {
  it.each(['file:///var/lib/tranche', '/var/lib/tranche', 'data/blobs'])('takes %s for a folder', async (url) => {
    expect((await openBlobStore(url)).kind).toBe('fs');
  });

  it.each([
    's3://bucket',
    's3://bucket/',
    's3://bucket/a/b/',
    's3://bucket/a?endpoint=http://127.0.0.1:9000&region=eu-west-1&forcePathStyle=false',
  ])('takes %s for a bucket', async (url) => {
    const store = await openBlobStore(url);
    expect(store.kind).toBe('s3');
    await store.close();
  });

  it.each([
    ['', 'neither file: nor s3:'],
    ['gs://bucket', 'neither file: nor s3:'],
    ['http://bucket', 'neither file: nor s3:'],
    ['s3://', 'names no bucket'],
    ['s3:///prefix', 'names no bucket'],
    ['s3://bucket?endpint=http://x', 'no parameter "endpint"'],
    ['s3://bucket?endpoint=127.0.0.1:9000', 'endpoint must begin'],
    ['s3://bucket?forcePathStyle=yes', 'forcePathStyle must be'],
    ['s3://key:secret@bucket', 'credentials are settings'],
    ['s3://bucket/a//b', 'empty segment'],
  ])('refuses %j', async (url, why) => {
    await expect(openBlobStore(url)).rejects.toThrow(why);
  });

  it('does not show a secret that stands in the URL', async () => {
    await expect(openBlobStore('s3://key:secret@bucket')).rejects.not.toThrow('secret@');
  });
});
