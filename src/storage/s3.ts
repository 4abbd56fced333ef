/** Keeps blobs in a bucket: an exclusive create is `If-None-Match: *` with an owner's mark, so a lost answer is no lost write. */
import { S3Client } from '@aws-sdk/client-s3';
import type { BlobStore } from './blob-store.ts';
import { assertKey, assertPrefix, isReserved, LOG_MARK } from './key.ts';
import { type Bucket, type BucketOptions, createBucket } from './s3-bucket.ts';
import { openS3Log, readS3Log } from './s3-log.ts';
import { checkExclusiveCreate } from './self-check.ts';

const LOG_INTERVAL_MS = 800;
const CONNECT_TIMEOUT_MS = 3_000;
const SOCKETS_MAX = 128;

export interface S3StoreOptions extends BucketOptions {
  /** Folder in the bucket, without slashes around it; empty = the whole bucket. */
  readonly prefix?: string;
  /** Absent: Amazon's endpoint of the region. */
  readonly endpoint?: string;
  /** Absent: the SDK's default chain. */
  readonly region?: string;
  /** `endpoint/bucket` instead of `bucket.endpoint`. */
  readonly forcePathStyle?: boolean;
  /** Absent: the SDK's default chain (profile, role, container, …). */
  readonly credentials?: { readonly accessKeyId: string; readonly secretAccessKey: string };
}

export function createS3Store(options: S3StoreOptions): BlobStore {
  const { bucket: name, prefix = '' } = options;
  if (prefix !== '') assertKey(prefix);
  const base = prefix === '' ? '' : `${prefix}/`;
  const client = createClient(options);
  const bucket = createBucket(client, options);
  const objectOf = (key: string): string => {
    assertKey(key);
    return base + key;
  };
  const objectsUnder = (folder: string): string => {
    assertPrefix(folder);
    return base + folder;
  };

  return {
    kind: 's3',
    logIntervalMs: LOG_INTERVAL_MS,
    get: async (key) => bucket.get(objectOf(key)),
    create: async (key, bytes) => bucket.create(objectOf(key), bytes),
    put: async (key, bytes) => bucket.put(objectOf(key), bytes),
    delete: async (key) => bucket.delete(objectOf(key)),
    deletePrefix: async (folder) => deleteUnder(bucket, objectsUnder(folder)),
    folders: async (folder) => (await bucket.folders(objectsUnder(folder))).filter((name) => !isReserved(name)),
    deleteEmpty: async (folder) => void objectsUnder(folder),
    async *list(folder, listOptions) {
      for await (const page of bucket.list(objectsUnder(folder), listOptions?.signal)) {
        for (const entry of page) if (!isReserved(entry.key)) yield { ...entry, key: entry.key.slice(base.length) };
      }
    },
    openLog: (key) => openS3Log(bucket, objectOf(key) + LOG_MARK),
    readLog: async (key) => readS3Log(bucket, objectOf(key) + LOG_MARK),
    deleteLog: async (key) => deleteUnder(bucket, `${objectOf(key)}${LOG_MARK}/`),
    async listLogs(folder) {
      const keys = new Set<string>();
      for await (const page of bucket.list(objectsUnder(folder))) {
        for (const { key } of page) if (isReserved(key)) keys.add(key.slice(base.length, key.lastIndexOf(LOG_MARK)));
      }
      return [...keys];
    },
    async check() {
      const remedy =
        `Check that bucket "${name}" exists, that endpoint, region and credentials are right, that they allow to get, put, ` +
        'list and delete, and that the server honours "If-None-Match: *" (Amazon S3, MinIO and versitygw do)';
      await checkExclusiveCreate(this, remedy);
    },
    close: async () => client.destroy(),
  };
}

async function deleteUnder(bucket: Bucket, prefix: string): Promise<void> {
  for await (const page of bucket.list(prefix)) await bucket.deleteAll(page.map(({ key }) => key));
}

/** Retries are ours alone (one bounded loop, `s3-calls.ts`): the SDK's would hide that an answer was lost. */
function createClient(options: S3StoreOptions): S3Client {
  const { endpoint, region, forcePathStyle, credentials } = options;
  return new S3Client({
    ...(endpoint === undefined ? {} : { endpoint }),
    ...(region === undefined ? {} : { region }),
    ...(forcePathStyle === undefined ? {} : { forcePathStyle }),
    ...(credentials === undefined ? {} : { credentials }),
    maxAttempts: 1,
    // Bodies are signed (http) or travel in TLS; servers that are not Amazon's often lack the newer checksums.
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
    expectContinueHeader: false,
    requestHandler: {
      connectionTimeout: CONNECT_TIMEOUT_MS,
      httpAgent: { keepAlive: true, maxSockets: SOCKETS_MAX },
      httpsAgent: { keepAlive: true, maxSockets: SOCKETS_MAX },
    },
  });
}
