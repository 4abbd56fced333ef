/** Keeps blobs in a bucket: an exclusive create is `If-None-Match: *` with an owner's mark, so a lost answer is no lost write. */
import { randomUUID } from 'node:crypto';
import { addAbortSignal, Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import {
  DeleteObjectCommand,
  DeleteObjectsCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  S3Client,
} from '@aws-sdk/client-s3';
import type { BlobEntry, BlobStore } from './blob-store.ts';
import { assertKey, assertPrefix, isReserved, LOG_MARK } from './key.ts';
import { ASK_AGAIN, createCall, statusOf } from './s3-calls.ts';
import { openS3Log, readS3Log } from './s3-log.ts';
import { checkExclusiveCreate } from './self-check.ts';

const LOG_INTERVAL_MS = 800;
const ATTEMPT_TIMEOUT_MS = 15_000;
const ATTEMPTS_MAX = 6;
const CONNECT_TIMEOUT_MS = 3_000;
const SOCKETS_MAX = 128;
/** S3's limit for one listing page and for one multiple delete. */
const PAGE_KEYS_MAX = 1_000;
/** Metadata name of the mark that tells whose create a blob came from. */
const OWNER = 'tranche-owner';

export interface S3StoreOptions {
  readonly bucket: string;
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
  /** For one attempt of a call with its body; it must suffice for the largest blob (8 MiB). Default 15,000. */
  readonly attemptTimeoutMs?: number;
  /** Default 6; between two attempts at most 2 s. */
  readonly attemptsMax?: number;
}

/** The driver's view of a bucket, by full object key; also what its logs are made of. */
export type Bucket = ReturnType<typeof createBucket>;

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

function createBucket(client: S3Client, options: S3StoreOptions) {
  const Bucket = options.bucket;
  const { attemptTimeoutMs = ATTEMPT_TIMEOUT_MS, attemptsMax = ATTEMPTS_MAX } = options;
  const call = createCall({ attemptTimeoutMs, attemptsMax });

  return {
    get: (key: string): Promise<Buffer | null> =>
      call(`get ${key}`, async (abortSignal) => {
        try {
          const { Body } = await client.send(new GetObjectCommand({ Bucket, Key: key }), { abortSignal });
          if (!(Body instanceof Readable)) throw new Error('the answer has no body');
          return await buffer(addAbortSignal(abortSignal, Body));
        } catch (error) {
          return isNoSuchKey(error) ? null : Promise.reject(error);
        }
      }),

    create: (key: string, bytes: Uint8Array): Promise<boolean> => {
      const owner = randomUUID();
      const put = { Bucket, Key: key, Body: bytes, IfNoneMatch: '*', Metadata: { [OWNER]: owner } };
      return call(`create ${key}`, async (abortSignal) => {
        try {
          await client.send(new PutObjectCommand(put), { abortSignal });
          return true;
        } catch (error) {
          if (statusOf(error) !== 412) throw error;
        }
        const standing = await ownerOf(key, abortSignal);
        return standing === null ? ASK_AGAIN : standing === owner;
      });
    },

    put: (key: string, bytes: Uint8Array): Promise<void> =>
      call(`put ${key}`, async (abortSignal) => {
        await client.send(new PutObjectCommand({ Bucket, Key: key, Body: bytes }), { abortSignal });
      }),

    delete: (key: string): Promise<void> =>
      call(`delete ${key}`, async (abortSignal) => {
        try {
          await client.send(new DeleteObjectCommand({ Bucket, Key: key }), { abortSignal });
        } catch (error) {
          if (!isNoSuchKey(error)) throw error;
        }
      }),

    /** At most one page of keys. */
    deleteAll: (keys: readonly string[]): Promise<void> =>
      call(`delete ${keys.length} blobs`, async (abortSignal) => {
        if (keys.length === 0) return;
        const Delete = { Objects: keys.map((Key) => ({ Key })), Quiet: true };
        const { Errors = [] } = await client.send(new DeleteObjectsCommand({ Bucket, Delete }), { abortSignal });
        const [first] = Errors.filter(({ Code }) => Code !== 'NoSuchKey');
        if (first !== undefined) throw new Error(`${first.Key}: ${first.Code} ${first.Message}`);
      }),

    async *list(under: string, signal?: AbortSignal): AsyncGenerator<BlobEntry[]> {
      let token: string | undefined;
      do {
        const from = token === undefined ? {} : { ContinuationToken: token };
        const ask = new ListObjectsV2Command({ Bucket, Prefix: under, MaxKeys: PAGE_KEYS_MAX, ...from });
        const page = await call(`list ${under}`, (abortSignal) => client.send(ask, { abortSignal }), signal);
        yield (page.Contents ?? []).flatMap(({ Key, Size = 0, LastModified }) =>
          Key === undefined ? [] : [{ key: Key, bytes: Size, modifiedAtMs: LastModified?.getTime() ?? 0 }],
        );
        token = page.IsTruncated === true ? page.NextContinuationToken : undefined;
      } while (token !== undefined);
    },
  };

  /** null where the blob was deleted meanwhile; empty where the mark is missing. */
  async function ownerOf(key: string, abortSignal: AbortSignal): Promise<string | null> {
    try {
      const { Metadata } = await client.send(new HeadObjectCommand({ Bucket, Key: key }), { abortSignal });
      return Metadata?.[OWNER] ?? '';
    } catch (error) {
      return statusOf(error) === 404 ? null : Promise.reject(error);
    }
  }
}

/** A missing bucket is a 404 too, but no absent blob. */
function isNoSuchKey(error: unknown): boolean {
  return statusOf(error) === 404 && error instanceof Error && error.name !== 'NoSuchBucket';
}
