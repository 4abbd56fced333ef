import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { PassThrough, Readable } from 'node:stream';
import { gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { createIngest } from '../../../src/ingest/index.ts';
import { JSON_TYPE, LINES_TYPE, refusal, request, take } from './harness.ts';

const MULTIPART = 'multipart/form-data; boundary=b';
const MULTIPART_HEAD = `--b\r\nContent-Disposition: form-data; name="file"; filename="a.json"\r\nContent-Type: ${JSON_TYPE}\r\n\r\n[1,2`;

/** A body that has sent some bytes and then nothing more. */
function begun(bytes: string | Buffer): PassThrough {
  const body = new PassThrough();
  body.write(bytes);
  return body;
}

const shapes = [
  ['plain', JSON_TYPE, null, '[1,2'],
  ['gzip', JSON_TYPE, 'gzip', gzipSync('[1,2,3]').subarray(0, 12)],
  ['multipart', MULTIPART, null, MULTIPART_HEAD],
  ['multipart before its file', MULTIPART, null, '--b\r\nContent-Dis'],
] as const;

describe.each(shapes)('a %s body', (_shape, contentType, contentEncoding, bytes) => {
  it('whose client goes away ends as client_gone', async () => {
    const body = begun(bytes);
    const taken = refusal(take(body, contentType, { contentEncoding }));
    setImmediate(() => body.destroy());
    expect(await taken).toBe('client_gone');
  });

  it('that breaks with an error ends as client_gone', async () => {
    const body = begun(bytes);
    const taken = refusal(take(body, contentType, { contentEncoding }));
    setImmediate(() => body.destroy(new Error('aborted')));
    expect(await taken).toBe('client_gone');
  });

  it('whose bytes stop coming ends as body_timeout, left open for an answer', async () => {
    const body = begun(bytes);
    expect(await refusal(take(body, contentType, { contentEncoding, idleTimeoutMs: 20 }))).toBe('body_timeout');
    expect(body.destroyed).toBe(false);
    expect(body.listenerCount('readable') + body.listenerCount('end')).toBe(0);
    body.destroy(new Error('late'));
    await new Promise(setImmediate);
  });

  it('ends as client_gone when its signal aborts', async () => {
    const controller = new AbortController();
    const taken = refusal(take(begun(bytes), contentType, { contentEncoding, signal: controller.signal }));
    setImmediate(() => controller.abort());
    expect(await taken).toBe('client_gone');
  });
});

describe('a client', () => {
  it('that was gone before the ingest began is noticed', async () => {
    const body = begun('[1]');
    body.destroy();
    expect(await refusal(take(body, JSON_TYPE))).toBe('client_gone');
    expect(await refusal(take(begun('[1]'), JSON_TYPE, { signal: AbortSignal.abort() }))).toBe('client_gone');
  });

  it('that sends slowly is taken for as long as bytes arrive', async () => {
    const parts = ['[', '1', ',', '2', ']'];
    const slow = async function* () {
      for (const part of parts) {
        await new Promise((resolve) => setTimeout(resolve, 20));
        yield Buffer.from(part);
      }
    };
    expect((await take(Readable.from(slow()), JSON_TYPE, { idleTimeoutMs: 80 })).result.total).toBe(2);
  });

  it('is not idle while the sink is slow', async () => {
    const body = Readable.from([Buffer.from('1\n2\n3\n'), Buffer.from('4\n5\n')]);
    const ingest = createIngest({ chunkSizes: { itemsFirst: 1, itemsMax: 1 } });
    const ingested = ingest(
      request(body, LINES_TYPE, { idleTimeoutMs: 10 }),
      () => new Promise((resolve) => setTimeout(resolve, 30)),
    );
    expect((await ingested).total).toBe(5);
  });

  it('over a socket gets its refusal as an answer, and is noticed when it hangs up', async () => {
    const outcomes: string[] = [];
    const server = http.createServer(async (incoming, response) => {
      const outcome = await refusal(take(incoming, incoming.headers['content-type'] ?? null, { bytesMax: 1_000_000 }));
      outcomes.push(outcome);
      response.writeHead(400, { connection: 'close' }).end(outcome);
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    try {
      const options = {
        port,
        host: '127.0.0.1',
        method: 'POST',
        headers: { 'content-type': JSON_TYPE, 'transfer-encoding': 'chunked' },
      };
      const refused = Promise.withResolvers<string>();
      const sent = http.request(options, async (response) => {
        refused.resolve(Buffer.concat(await response.toArray()).toString());
      });
      sent.on('error', refused.reject);
      sent.write('[1,,');
      expect(await refused.promise).toBe('malformed_body@3');
      sent.destroy();

      const hungUp = http.request(options).on('error', () => {});
      hungUp.write('[1,');
      server.once('request', () => setImmediate(() => hungUp.destroy()));
      while (outcomes.length < 2) await new Promise(setImmediate);
      expect(outcomes[1]).toBe('client_gone');
    } finally {
      server.closeAllConnections();
      server.close();
    }
  });
});
