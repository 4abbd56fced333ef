import { once } from 'node:events';
import { Transform, Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { describe, expect, it } from 'vitest';
import { TrancheError } from '../../../src/model/errors.ts';
import type { Operations, SubmitRequest } from '../../../src/operations/operations.ts';
import { connectTo, post, pump, serve } from './raw-client.ts';

const MIB = 1024 * 1024;

/** Reads some of the body through a pipeline, which destroys what it reads from, and refuses. */
function refuseAfter(bytes: number, error: TrancheError): Partial<Operations> {
  return {
    async submit({ body }) {
      let read = 0;
      const counter = new Transform({
        transform(piece: Buffer, _encoding, done) {
          read += piece.length;
          done(read > bytes ? error : null);
        },
      });
      await pipeline(body, counter, new Writable({ write: (_piece, _encoding, done) => done() }));
      throw new Error('the body was not long enough');
    },
  };
}

describe('a submission over a connection', () => {
  it('streams a large body of unknown length to the verb', async () => {
    const { server } = await serve();
    const client = await connectTo(server);
    client.socket.write(post('/v1/operations?target=products', ['Transfer-Encoding: chunked', 'Connection: close']));
    const piece = 'x'.repeat(MIB);
    for (let sent = 0; sent < 16; sent += 1) {
      const more = client.socket.write(`100000\r\n${piece}\r\n`, 'latin1');
      if (!more) await once(client.socket, 'drain');
    }
    client.socket.write('0\r\n\r\n');
    const answer = await client.ended();
    expect(answer).toMatch(/^HTTP\/1.1 202 /);
    expect(answer).toContain(`"bytes":${16 * MIB}`);
  });

  it('holds the client back while the verb does not read', async () => {
    const reading = Promise.withResolvers<void>();
    const { server } = await serve({
      async submit({ body }) {
        await reading.promise;
        for await (const _ of body);
        throw new TrancheError('no_items', 'There are no items.');
      },
    });
    const client = await connectTo(server);
    client.socket.write(post('/v1/operations', [`Content-Length: ${64 * MIB}`, 'Connection: close']));
    let done = false;
    const sent = pump(client.socket, 64 * MIB).then(() => {
      done = true;
    });
    const unchanged = await settles(() => client.socket.bytesWritten - client.socket.writableLength);
    expect(done).toBe(false);
    expect(unchanged).toBeLessThan(32 * MIB);
    reading.resolve();
    await sent;
    expect(await client.ended()).toContain('"code":"no_items"');
  });

  it('asks for the body with 100 Continue, once it is wanted', async () => {
    const { server } = await serve();
    const client = await connectTo(server);
    client.socket.write(post('/v1/operations', ['Content-Length: 2', 'Expect: 100-continue', 'Connection: close']));
    await client.expect('HTTP/1.1 100 Continue\r\n\r\n');
    client.socket.write('[]');
    expect(await client.ended()).toMatch(/^HTTP\/1.1 100 Continue\r\n\r\nHTTP\/1.1 202 /);
  });

  it.each([
    ['an idempotency key', ['Idempotency-Key: a b'], '400'],
    ['its media type', ['Content-Type: text/plain'], '415'],
  ])('never asks for a body that is refused by %s', async (_what, headers, status) => {
    const { server } = await serve({}, { limits: { lingerIdleMs: 20 } });
    const client = await connectTo(server);
    const head = `POST /product/bulk HTTP/1.1\r\nHost: test\r\nContent-Length: 9\r\nExpect: 100-continue\r\n`;
    const type = headers[0]?.startsWith('Content-Type') === true ? [] : ['Content-Type: application/json'];
    client.socket.write(`${head}${[...headers, ...type].join('\r\n')}\r\n\r\n`);
    expect(await client.ended()).toMatch(new RegExp(`^HTTP/1.1 ${status} `));
  });

  it('refuses two idempotency keys in two fields', async () => {
    const { server } = await serve();
    const client = await connectTo(server);
    const headers = ['Content-Length: 2', 'Idempotency-Key: a', 'Idempotency-Key: b', 'Connection: close'];
    client.socket.write(`${post('/v1/operations', headers)}[]`);
    expect(await client.ended()).toContain('"code":"idempotency_key_invalid"');
  });
});

describe('an answer before the end of the body', () => {
  it.each([
    ['refused by a header', {}, ['Idempotency-Key: a b'], '400', 'idempotency_key_invalid'],
    [
      'over the quota',
      refuseAfter(MIB, new TrancheError('content_too_large', 'Too large.')),
      [],
      '413',
      'content_too_large',
    ],
    ['of an unknown coding', refuseAfter(0, new TrancheError('unsupported_content_coding', 'br')), [], '415', 'coding'],
  ])('reaches a client that sends all of its body before it reads: %s', async (_what, verbs, headers, status, code) => {
    const { server } = await serve(verbs);
    const client = await connectTo(server);
    client.socket.pause();
    client.socket.write(post('/v1/operations', [...headers, `Content-Length: ${24 * MIB}`]));
    expect(await pump(client.socket, 24 * MIB)).toBe(true);
    client.socket.resume();
    const answer = await client.ended();
    expect(answer).toMatch(new RegExp(`^HTTP/1.1 ${status} `));
    expect(answer.toLowerCase()).toContain('connection: close');
    expect(answer).toContain(code);
  });

  it('is there before the body has ended', async () => {
    const { server } = await serve();
    const client = await connectTo(server);
    client.socket.write(`${post('/v1/operations?nonsense=1', ['Content-Length: 1000000'])}[`);
    await client.expect('"parameter":"nonsense"}]}');
  });

  it('ends the connection of a client that sends on and on', async () => {
    const { server } = await serve({}, { limits: { lingerBytesMax: MIB } });
    const client = await connectTo(server);
    client.socket.write(post('/nowhere', [`Content-Length: ${1024 * MIB}`]));
    expect(await pump(client.socket, 1024 * MIB)).toBe(false);
  });

  it.each([
    ['falls silent', { lingerIdleMs: 20 }],
    ['drips', { lingerMsMax: 60 }],
  ])('ends the connection of a client that %s', async (how, limits) => {
    const { server } = await serve({}, { limits });
    const client = await connectTo(server);
    client.socket.write(post('/nowhere', ['Content-Length: 1000000']));
    const drip = how === 'drips' ? setInterval(() => client.socket.write('x'), 5) : undefined;
    await client.ended().catch(() => {});
    clearInterval(drip);
    expect(client.received()).toMatch(/^HTTP\/1.1 404 /);
  });

  it('reaches a client that stopped sending: 408', async () => {
    const { server } = await serve(refuseAfter(0, new TrancheError('body_timeout', 'No byte came for a while.')), {
      limits: { lingerIdleMs: 20 },
    });
    const client = await connectTo(server);
    client.socket.write(`${post('/v1/operations', ['Content-Length: 100'])}[`);
    expect(await client.ended()).toMatch(/^HTTP\/1.1 408 /);
  });
});

describe('a client that goes away mid-body', () => {
  it.each(['destroy', 'end'] as const)('aborts the submission (%s)', async (how) => {
    const seen = Promise.withResolvers<SubmitRequest>();
    const outcome = Promise.withResolvers<unknown>();
    const { server } = await serve({
      async submit(request) {
        seen.resolve(request);
        const failure = await drained(request).catch((error: unknown) => error);
        outcome.resolve(failure);
        throw failure;
      },
    });
    const client = await connectTo(server);
    client.socket.write(`${post('/v1/operations', ['Content-Length: 100'])}[1,`);
    const { signal } = await seen.promise;
    expect(signal.aborted).toBe(false);
    client.socket[how]();
    expect(await outcome.promise).toMatchObject({ code: 'client_gone' });
    if (!signal.aborted) await once(signal, 'abort');
    const next = await fetch(`${server.url}/health/live`);
    expect(next.status).toBe(200);
  });
});

async function drained({ body }: SubmitRequest): Promise<never> {
  for await (const _ of body);
  throw new Error('the body ended as if it were whole');
}

/** The value once it has been the same for 20 looks in a row. */
async function settles(look: () => number): Promise<number> {
  let last = look();
  for (let same = 0; same < 20; ) {
    await new Promise((resolve) => setTimeout(resolve, 5));
    const now = look();
    same = now === last ? same + 1 : 0;
    last = now;
  }
  return last;
}
