/** The S3 driver on a real S3 server: the suite of every store, and what a network does to a create. */
import { createServer, request } from 'node:http';
import type { AddressInfo } from 'node:net';
import { buffer } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { BlobStore } from '../../../src/storage/blob-store.ts';
import { openBlobStore } from '../../../src/storage/open-store.ts';
import { createS3Store } from '../../../src/storage/s3.ts';
import { describeBlobStore, freshPrefix, listAll } from './blob-store.suite.ts';
import { NO_VERSITYGW, startVersitygw, type Versitygw, versitygwIsWithinReach } from './versitygw.ts';

const isWithinReach = await versitygwIsWithinReach();
const BUILD_AND_START_MS = 1_000_000;

describe.skipIf(!isWithinReach)(`s3${isWithinReach ? '' : ` (${NO_VERSITYGW})`}`, () => {
  let server: Versitygw;
  beforeAll(async () => {
    server = await startVersitygw();
  }, BUILD_AND_START_MS);
  afterAll(() => server?.stop());

  const open = (prefix: string) => openBlobStore(server.blobUrl(prefix), { s3Credentials: server });

  describeBlobStore('s3 store', async () => {
    const store = await open('deep/prefix');
    return { store, close: () => store.close() };
  });

  it('keeps two prefixes of one bucket apart', async () => {
    const [one, other] = [await open('one'), await open('other')];
    const prefix = freshPrefix();
    await one.put(`${prefix}blob`, Buffer.from('x'));
    expect(await other.get(`${prefix}blob`)).toBeNull();
    await other.deletePrefix('suite/');
    expect((await listAll(one, prefix)).map(({ key }) => key)).toEqual([`${prefix}blob`]);
    await Promise.all([one.close(), other.close()]);
  });

  it('names the bucket and the remedy where there is no such bucket', async () => {
    const url = server.blobUrl('').replace('tranche-test', 'no-such-bucket');
    const store = await openBlobStore(url, { s3Credentials: server });
    await expect(store.check()).rejects.toThrow('Check that bucket "no-such-bucket" exists');
    await store.close();
  });

  it('refuses wrong credentials at its check', async () => {
    const s3Credentials = { accessKeyId: server.accessKeyId, secretAccessKey: 'wrong' };
    const store = await openBlobStore(server.blobUrl(''), { s3Credentials });
    await expect(store.check()).rejects.toThrow('SignatureDoesNotMatch');
    await store.close();
  });

  describe('behind a network that loses answers', () => {
    it('knows a blob as its own when the answer to its create was lost', async () => {
      await behindLossyProxy(server, async (store, lost) => {
        const key = `${freshPrefix()}blob`;
        expect(await store.create(key, Buffer.from('ours'))).toBe(true);
        expect(lost()).toBe(1);
        expect(await store.create(key, Buffer.from('ours'))).toBe(false);
      });
    });

    it('appends an entry once when the answer was lost', async () => {
      await behindLossyProxy(server, async (store, lost) => {
        const key = `${freshPrefix()}log`;
        const log = store.openLog(key);
        await log.append(Buffer.from('one'));
        await log.append(Buffer.from('two'));
        expect(lost()).toBe(1);
        expect((await store.readLog(key)).map(String)).toEqual(['one', 'two']);
      });
    });
  });
});

describe('s3 store and servers that misbehave', () => {
  it('fails its check on a server that ignores If-None-Match', async () => {
    await onFakeServer({}, async (store) => {
      await expect(store.check()).rejects.toThrow(/does not refuse a second exclusive create.*honours "If-None-Match/);
    });
  });

  it('leaves nothing behind when its check fails', async () => {
    await onFakeServer({}, async (store, kept) => {
      await expect(store.check()).rejects.toThrow();
      expect(kept()).toBe(0);
    });
  });

  it.each([409, 429, 500, 503])('tries again after %i', async (status) => {
    await onFakeServer({ firstAnswer: status }, async (store) => {
      expect(await store.create('key', Buffer.from('x'))).toBe(true);
      expect((await store.get('key'))?.toString()).toBe('x');
    });
  });

  it('tries again when a server does not answer in time', async () => {
    await onFakeServer({ firstAnswer: 'never' }, async (store) => {
      await store.put('key', Buffer.from('x'));
      expect((await store.get('key'))?.toString()).toBe('x');
    });
  });

  it('reads again when a body stops half-way', async () => {
    await onFakeServer({ firstBody: 'half' }, async (store) => {
      await store.put('key', Buffer.from('a whole body'));
      expect((await store.get('key'))?.toString()).toBe('a whole body');
    });
  });

  it('does not repeat what was refused for good', async () => {
    await onFakeServer({ firstAnswer: 403 }, async (store) => {
      await expect(store.put('key', Buffer.from('x'))).rejects.toThrow('attempts: 1');
    });
  });

  it('gives up after its attempts and says what it tried', async () => {
    const store = createS3Store({ ...FAKE, endpoint: 'http://127.0.0.1:1', attemptsMax: 2 });
    await expect(store.get('key')).rejects.toThrow(/S3 could not get key \(attempts: 2\).*ECONNREFUSED/);
    await store.close();
  });
});

const FAKE = {
  bucket: 'fake',
  region: 'us-east-1',
  forcePathStyle: true,
  credentials: { accessKeyId: 'a', secretAccessKey: 's' },
  attemptTimeoutMs: 500,
};

interface Misbehaviour {
  readonly firstAnswer?: number | 'never';
  readonly firstBody?: 'half';
}

/** A store of whole objects that ignores every condition, and misbehaves once. */
async function onFakeServer(
  { firstAnswer, firstBody }: Misbehaviour,
  use: (store: BlobStore, kept: () => number) => Promise<void>,
): Promise<void> {
  const objects = new Map<string, Buffer>();
  let requests = 0;
  let bodies = 0;
  const server = createServer(async (incoming, answer) => {
    const path = (incoming.url ?? '').split('?')[0] ?? '';
    const body = await buffer(incoming);
    if (requests++ === 0 && firstAnswer === 'never') return;
    if (requests === 1 && typeof firstAnswer === 'number') return void answer.writeHead(firstAnswer).end();
    if (incoming.method === 'PUT') objects.set(path, body);
    if (incoming.method === 'DELETE') objects.delete(path);
    if (incoming.method !== 'GET') return void answer.writeHead(200).end();
    const object = objects.get(path);
    if (object === undefined) return void answer.writeHead(404).end();
    answer.writeHead(200, { 'content-length': object.length });
    if (bodies++ > 0 || firstBody !== 'half') return void answer.end(object);
    answer.write(object.subarray(0, object.length / 2), () => answer.destroy());
  });
  const endpoint = await listen(server);
  const store = createS3Store({ ...FAKE, endpoint });
  try {
    await use(store, () => objects.size);
  } finally {
    await store.close();
    await close(server);
  }
}

/** Forwards everything, and cuts the connection instead of giving the answer to the first PUT. */
async function behindLossyProxy(
  { endpoint: target, accessKeyId, secretAccessKey }: Versitygw,
  use: (store: BlobStore, lost: () => number) => Promise<void>,
): Promise<void> {
  let lost = 0;
  const proxy = createServer((incoming, answer) => {
    const { method = 'GET', url = '/', headers } = incoming;
    const forwarded = request(`${target}${url}`, { method, headers }, async (response) => {
      const body = await buffer(response);
      if (method === 'PUT' && lost === 0) {
        lost += 1;
        answer.destroy();
        return;
      }
      answer.writeHead(response.statusCode ?? 502, response.headers).end(body);
    });
    incoming.pipe(forwarded);
  });
  const endpoint = await listen(proxy);
  const store = createS3Store({
    bucket: 'tranche-test',
    endpoint,
    region: 'us-east-1',
    forcePathStyle: true,
    credentials: { accessKeyId, secretAccessKey },
  });
  try {
    await use(store, () => lost);
  } finally {
    await store.close();
    await close(proxy);
  }
}

async function listen(server: ReturnType<typeof createServer>): Promise<string> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

async function close(server: ReturnType<typeof createServer>): Promise<void> {
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
}
