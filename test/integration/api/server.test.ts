import { once } from 'node:events';
import { Agent, get, type IncomingMessage } from 'node:http';
import { describe, expect, it, onTestFinished } from 'vitest';
import { startServer } from '../../../src/api/server.ts';
import { noLog } from '../../../src/model/log.ts';
import type { Operations, OperationView } from '../../../src/operations/operations.ts';
import { fakeOperations, viewOf } from '../../fixtures/fake-operations.ts';
import { connectTo, post, serve } from './raw-client.ts';

function resultsOf(lines: AsyncIterable<Buffer>): Partial<Operations> {
  return { results: async () => ({ operation: viewOf({ id: 'op' }), complete: true, lines }) };
}

async function responseOf(url: string, agent?: Agent): Promise<IncomingMessage> {
  const [response] = await once(get(url, agent === undefined ? {} : { agent }), 'response');
  return response as IncomingMessage;
}

const RESULTS = '/v1/operations/op/results';

describe('results over a connection', () => {
  it('come through whole', async () => {
    const piece = Buffer.from(`{"index":0,"text":"${'ä'.repeat(5_000)}"}\n`.repeat(50));
    async function* lines() {
      for (let count = 0; count < 40; count += 1) yield piece;
    }
    const { server } = await serve(resultsOf(lines()));
    const answer = await fetch(server.url + RESULTS);
    expect(answer.headers.get('X-Request-Id')).toMatch(/^[0-9a-f-]{36}$/);
    expect(answer.headers.get('X-Content-Type-Options')).toBe('nosniff');
    expect(answer.headers.get('Results-Complete')).toBe('?1');
    expect(Buffer.from(await answer.arrayBuffer()).equals(Buffer.concat(Array(40).fill(piece)))).toBe(true);
  });

  it('are read no faster than the client takes them, and let go when it leaves', async () => {
    let given = 0;
    const returned = Promise.withResolvers<void>();
    async function* endless() {
      try {
        for (;;) {
          given += 1;
          yield Buffer.alloc(64 * 1024, 'x');
        }
      } finally {
        returned.resolve();
      }
    }
    const { server } = await serve(resultsOf(endless()));
    const response = await responseOf(server.url + RESULTS);
    response.pause();
    let before = -1;
    for (let same = 0; same < 20; same = given === before ? same + 1 : 0) {
      before = given;
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    expect(given).toBeLessThan(1_000);
    response.destroy();
    await returned.promise;
  });

  it('let a reader go that does not read', async () => {
    const returned = Promise.withResolvers<void>();
    async function* endless() {
      try {
        for (;;) yield Buffer.alloc(64 * 1024, 'x');
      } finally {
        returned.resolve();
      }
    }
    const { server } = await serve(resultsOf(endless()), { limits: { stalledReaderMs: 30 } });
    const response = await responseOf(server.url + RESULTS);
    response.on('error', () => {}).pause();
    await returned.promise;
  });

  it.each(['ndjson', 'csv', 'json'])('are torn, not shortened, where their source fails (%s)', async (format) => {
    const logged: string[] = [];
    const reached = Promise.withResolvers<void>();
    async function* failing() {
      yield Buffer.from('{"index":0,"line":1,"outcome":"succeeded","attempts":1}\n');
      yield Buffer.alloc(0);
      await reached.promise;
      throw new Error('disk gone');
    }
    const log = (_level: string, message: string) => void logged.push(message);
    const { server } = await serve(resultsOf(failing()), { log });
    const client = await connectTo(server);
    client.socket.write(`GET ${RESULTS}?format=${format} HTTP/1.1\r\nHost: test\r\n\r\n`);
    await client.expect('HTTP/1.1 200 ');
    await client.expect('succeeded');
    reached.resolve();
    await client.ended().catch(() => {});
    expect(client.received()).not.toMatch(/0\r\n\r\n$/);
    expect(client.received()).not.toContain('disk gone');
    expect(logged).toContain('answer broken off');
  });

  it('answer HEAD with the headers alone, and the connection goes on', async () => {
    let read = false;
    async function* lines() {
      read = true;
      yield Buffer.from('{}\n');
    }
    const { server } = await serve(resultsOf(lines()));
    const client = await connectTo(server);
    client.socket.write(`HEAD ${RESULTS} HTTP/1.1\r\nHost: test\r\n\r\n`);
    client.socket.write('GET /health/live HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n');
    const answers = (await client.ended()).split(/(?=HTTP\/1.1 )/);
    expect(answers).toHaveLength(2);
    expect(answers[0]).toContain('results-complete: ?1');
    expect(answers[1]).toContain('{"status":"ok"}');
    expect(read).toBe(false);
  });
});

describe('a connection', () => {
  it('is kept for the next request, after refusals too', async () => {
    const { server } = await serve();
    const client = await connectTo(server);
    const small = `${post('/v1/operations', ['Content-Length: 3', 'Idempotency-Key: a b'])}[1]`;
    for (const [request, marker] of [
      [small, 'idempotency_key_invalid'],
      [`${post('/nowhere', ['Content-Length: 3'])}[1]`, 'not_found'],
      [`${post('/v1/operations', ['Content-Length: 3', 'Idempotency-Key: k'])}[1]`, '"id":"k"'],
      ['GET /v1/operations/k HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n', 'HTTP/1.1 200'],
    ] as const) {
      client.socket.write(request);
      await client.expect(marker);
    }
    expect((await client.ended()).match(/HTTP\/1.1 \d+/g)).toEqual([
      'HTTP/1.1 400',
      'HTTP/1.1 404',
      'HTTP/1.1 202',
      'HTTP/1.1 200',
    ]);
  });

  it.each([
    [
      'a header block over the limit',
      `GET / HTTP/1.1\r\nHost: test\r\nX: ${'x'.repeat(40_000)}\r\n\r\n`,
      '431',
      'header_too_large',
    ],
    ['what is not HTTP', 'nonsense\r\n\r\n', '400', 'malformed_request'],
    ['a Host that is none', 'GET / HTTP/1.1\r\nHost: a b\r\nConnection: close\r\n\r\n', '400', 'malformed_request'],
    [
      'a target that is none',
      'GET http://[ HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n',
      '400',
      'malformed_request',
    ],
  ])('that brings %s gets a problem', async (_what, bytes, status, code) => {
    const { server } = await serve();
    const client = await connectTo(server);
    client.socket.write(bytes);
    const answer = await client.ended();
    expect(answer).toMatch(new RegExp(`^HTTP/1.1 ${status} `));
    expect(answer.toLowerCase()).toContain('content-type: application/problem+json');
    expect(answer).toContain(`"code":"${code}"`);
  });

  it('that brings broken chunks mid-body ends the submission', async () => {
    const failure = Promise.withResolvers<unknown>();
    const { server } = await serve({
      async submit({ body }) {
        try {
          for await (const _ of body);
        } catch (error) {
          failure.resolve(error);
        }
        throw new Error('gone');
      },
    });
    const client = await connectTo(server);
    client.socket.write(`${post('/v1/operations', ['Transfer-Encoding: chunked'])}1\r\n[\r\n`);
    client.socket.write('zz\r\n');
    expect(await failure.promise).toMatchObject({ code: 'client_gone' });
    expect(await client.ended()).toMatch(/^HTTP\/1.1 400 /);
  });
});

describe('close', () => {
  it('lets the request in flight finish, on a kept connection too, and takes no other', async () => {
    const begun = Promise.withResolvers<void>();
    const finish = Promise.withResolvers<void>();
    const get = async (): Promise<OperationView> => {
      begun.resolve();
      await finish.promise;
      return viewOf({ id: 'op' });
    };
    const server = await startServer({ operations: fakeOperations({ get }), host: '127.0.0.1', port: 0, log: noLog });
    const agent = new Agent({ keepAlive: true });
    onTestFinished(() => agent.destroy());
    const answer = responseOf(`${server.url}/v1/operations/op`, agent);
    await begun.promise;
    const closed = server.close();
    await expect(fetch(`${server.url}/health/live`)).rejects.toThrow();
    finish.resolve();
    expect((await answer).statusCode).toBe(200);
    (await answer).resume();
    await closed;
  });

  it('ends a long poll with what is known', async () => {
    const operations = fakeOperations();
    operations.put({ id: 'op' });
    const { get } = operations;
    const asked = Promise.withResolvers<void>();
    const counted: Operations['get'] = (account, id) => {
      asked.resolve();
      return get(account, id);
    };
    const server = await startServer({
      operations: { ...operations, get: counted },
      host: '127.0.0.1',
      port: 0,
      log: noLog,
    });
    const answer = fetch(`${server.url}/v1/operations/op`, { headers: { Prefer: 'wait=60' } });
    await asked.promise;
    await server.close();
    expect((await answer).status).toBe(200);
  });

  it('destroys what does not finish within the grace, and may be called twice', async () => {
    const begun = Promise.withResolvers<void>();
    const get = (): Promise<OperationView> => {
      begun.resolve();
      return new Promise(() => {});
    };
    const { server } = await serve({ get }, { limits: { closeGraceMs: 20 } });
    const answer = fetch(`${server.url}/v1/operations/op`).catch((error: unknown) => error);
    await begun.promise;
    await server.close();
    expect(await answer).toBeInstanceOf(Error);
    await server.close();
  });

  it('is not needed where it could not listen: the port is taken', async () => {
    const { server } = await serve();
    const again = { operations: fakeOperations(), host: '127.0.0.1', port: server.port, log: noLog };
    await expect(startServer(again)).rejects.toMatchObject({ code: 'EADDRINUSE' });
  });
});
