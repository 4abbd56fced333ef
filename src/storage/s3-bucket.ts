/** One bucket by full object key: get, exclusive create, put, delete and list, each within bounded retries. */
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
  type S3Client,
} from '@aws-sdk/client-s3';
import type { BlobEntry } from './blob-store.ts';
import { ASK_AGAIN, createCall, statusOf } from './s3-calls.ts';

const ATTEMPT_TIMEOUT_MS = 15_000;
const ATTEMPTS_MAX = 6;
/** S3's limit for one listing page and for one multiple delete. */
const PAGE_KEYS_MAX = 1_000;
/** Metadata name of the mark that tells whose create a blob came from. */
const OWNER = 'tranche-owner';

export interface BucketOptions {
  readonly bucket: string;
  /** For one attempt of a call with its body; it must suffice for the largest blob (8 MiB). Default 15,000. */
  readonly attemptTimeoutMs?: number;
  /** Default 6; between two attempts at most 2 s. */
  readonly attemptsMax?: number;
}

/** The driver's view of a bucket, by full object key; also what its logs are made of. */
export type Bucket = ReturnType<typeof createBucket>;

export function createBucket(client: S3Client, options: BucketOptions) {
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

    /** Names right under `under` that end in `/`. */
    folders: foldersUnder,

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

  async function foldersUnder(under: string): Promise<string[]> {
    const names: string[] = [];
    let token: string | undefined;
    do {
      const from = token === undefined ? {} : { ContinuationToken: token };
      const ask = new ListObjectsV2Command({ Bucket, Prefix: under, Delimiter: '/', MaxKeys: PAGE_KEYS_MAX, ...from });
      const page = await call(`list ${under}`, (abortSignal) => client.send(ask, { abortSignal }));
      for (const { Prefix = '' } of page.CommonPrefixes ?? []) names.push(Prefix.slice(under.length, -1));
      token = page.IsTruncated === true ? page.NextContinuationToken : undefined;
    } while (token !== undefined);
    return names;
  }

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
