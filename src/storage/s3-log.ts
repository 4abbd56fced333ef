/** A log of the S3 driver: numbered parts under one folder, each created exclusively, so an entry is whole or absent. */
import type { BlobLog } from './blob-store.ts';
import type { Bucket } from './s3-bucket.ts';

/** Parts that stand unexpectedly where the next one should go: late writes of appends that had been given up. */
const TAKEN_PARTS_MAX = 100;
const READS_AT_ONCE = 16;

export function openS3Log(bucket: Bucket, folder: string): BlobLog {
  let next = 0;

  return {
    async append(entry) {
      for (let taken = 0; taken < TAKEN_PARTS_MAX; taken++) {
        const created = await bucket.create(partKey(folder, next), entry);
        if (created) {
          next += 1;
          return;
        }
        // A fresh log needs no listing; only where the first part stands do we look for the last one.
        next = next === 0 ? (await lastPart(bucket, folder)) + 1 : next + 1;
      }
      throw new Error(`log ${folder} has another writer`);
    },
    close: async () => {},
  };
}

export async function readS3Log(bucket: Bucket, folder: string): Promise<Buffer[]> {
  const keys = (await partKeys(bucket, folder)).sort();
  const entries: Buffer[] = [];
  for (let at = 0; at < keys.length; at += READS_AT_ONCE) {
    const parts = await Promise.all(keys.slice(at, at + READS_AT_ONCE).map((key) => bucket.get(key)));
    entries.push(...parts.filter((part) => part !== null));
  }
  return entries;
}

async function lastPart(bucket: Bucket, folder: string): Promise<number> {
  const keys = await partKeys(bucket, folder);
  return keys.reduce((last, key) => Math.max(last, Number(key.slice(folder.length + 1))), -1);
}

async function partKeys(bucket: Bucket, folder: string): Promise<string[]> {
  const keys: string[] = [];
  for await (const page of bucket.list(`${folder}/`)) keys.push(...page.map(({ key }) => key));
  return keys;
}

function partKey(folder: string, part: number): string {
  return `${folder}/${String(part).padStart(8, '0')}`;
}
