/** From the one blob setting to the store that keeps chunks, records and segments. */
import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { BlobStore } from './blob-store.ts';
import { createFsStore } from './fs.ts';
import type { S3StoreOptions } from './s3.ts';

export interface OpenBlobStoreOptions {
  /** For `s3:` only. Absent: the SDK's default chain (profile, role, container, …). */
  readonly s3Credentials?: { readonly accessKeyId: string; readonly secretAccessKey: string };
}

/**
 * Opens, and does not yet reach for, the store that `url` names; `check()` does that. Throws where `url` is none of
 * - `file:///folder`, or the path of a folder
 * - `s3://bucket/prefix?endpoint=http://127.0.0.1:9000&region=us-east-1&forcePathStyle=true`, all but the bucket optional.
 *   With an `endpoint`, `region` is `us-east-1` and `forcePathStyle` is true unless told otherwise.
 */
export async function openBlobStore(url: string, options: OpenBlobStoreOptions = {}): Promise<BlobStore> {
  if (url.startsWith('s3:')) {
    const s3Options = parseS3Url(url);
    // The SDK is only loaded where it is used: it costs memory and start-up time.
    const { createS3Store } = await import('./s3.ts');
    const { s3Credentials: credentials } = options;
    return createS3Store(credentials === undefined ? s3Options : { ...s3Options, credentials });
  }
  if (url.startsWith('file:')) return createFsStore(fileURLToPath(url));
  if (url === '' || /^[a-z][a-z0-9+.-]+:/i.test(url)) throw invalid(url, 'it is neither file: nor s3: nor a path');
  return createFsStore(resolve(url));
}

const S3_PARAMETERS = ['endpoint', 'region', 'forcePathStyle'];

function parseS3Url(text: string): S3StoreOptions {
  if (!URL.canParse(text)) throw invalid(text, 'it is not a URL');
  const url = new URL(text);
  if (url.username !== '' || url.password !== '') throw invalid(url.host, 'credentials are settings of their own');
  if (url.host === '') throw invalid(text, 'it names no bucket');
  const unknown = [...url.searchParams.keys()].find((name) => !S3_PARAMETERS.includes(name));
  if (unknown !== undefined) throw invalid(text, `it has no parameter "${unknown}", only ${S3_PARAMETERS.join(', ')}`);

  const endpoint = url.searchParams.get('endpoint');
  if (endpoint !== null && !/^https?:\/\/./.test(endpoint))
    throw invalid(text, 'endpoint must begin http:// or https://');
  const region = url.searchParams.get('region') ?? (endpoint === null ? null : 'us-east-1');
  const style = url.searchParams.get('forcePathStyle') ?? String(endpoint !== null);
  if (style !== 'true' && style !== 'false') throw invalid(text, 'forcePathStyle must be true or false');
  return {
    bucket: url.host,
    prefix: url.pathname.replace(/^\/+|\/+$/g, ''),
    forcePathStyle: style === 'true',
    ...(endpoint === null ? {} : { endpoint }),
    ...(region === null ? {} : { region }),
  };
}

function invalid(url: string, why: string): Error {
  return new Error(`invalid blob store ${JSON.stringify(url)}: ${why}`);
}
