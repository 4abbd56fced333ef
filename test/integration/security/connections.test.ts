/** A client that plays unfair with its connections: it gets so much of the process and no more. */
import { createConnection } from 'node:net';
import { describe, expect, it, onTestFinished } from 'vitest';
import { TrancheError } from '../../../src/model/errors.ts';
import { viewOf } from '../../fixtures/fake-operations.ts';
import { eventually } from '../../fixtures/stack/eventually.ts';
import { connectTo, serve } from '../api/raw-client.ts';

const get = (path: string, headers: readonly string[] = []) =>
  [`GET ${path} HTTP/1.1`, 'Host: 127.0.0.1', ...headers, '', ''].join('\r\n');
const junk = (count: number) => Array.from({ length: count }, (_, n) => `x${n}: 1`);

describe('a header block', () => {
  it('of many fields never pushes out what a gateway adds behind them', async () => {
    const asked: string[] = [];
    const { server } = await serve({
      get: async (account, id) => {
        asked.push(account);
        return viewOf({ id, account });
      },
    });
    for (const count of [150, 190, 250, 1_990, 2_100, 3_000]) {
      const client = await connectTo(server);
      client.socket.write(get('/v1/operations/op-1', [...junk(count), 'Tranche-Account: acme', 'Connection: close']));
      const answer = await client.ended();
      if (answer.startsWith('HTTP/1.1 200')) expect(asked.pop()).toBe('acme');
      else expect(answer).toMatch(/^HTTP\/1\.1 431 .*"code":"header_too_large"/s);
    }
    // Only ever for the account that the gateway named.
    expect(asked).toEqual([]);
  });

  it('of 200 fields is taken, one more is refused with 431', async () => {
    const { server } = await serve();
    const statusFor = async (fields: number) => {
      const client = await connectTo(server);
      client.socket.write(get('/health/live', [...junk(fields - 2), 'Connection: close']));
      return (await client.ended()).slice(9, 12);
    };
    expect(await statusFor(200)).toBe('200');
    expect(await statusFor(201)).toBe('431');
  });

  it('that never ends is answered 408 and its connection ends', async () => {
    const { server } = await serve({}, { limits: { headersTimeoutMs: 300 } });
    const client = await connectTo(server);
    client.socket.write('GET /health/live HTTP/1.1\r\nHost: 127.0.0.1\r\n');
    // One field after the other, so that it is never idle.
    const drip = setInterval(() => client.socket.writable && client.socket.write('x: 1\r\n'), 50);
    onTestFinished(() => clearInterval(drip));
    expect(await client.ended()).toMatch(/^HTTP\/1\.1 408 .*"code":"header_timeout"/s);
  });

  it.each([
    ['two lengths', 'Content-Length: 5\r\nContent-Length: 6'],
    ['a length and a coding', 'Content-Length: 5\r\nTransfer-Encoding: chunked'],
    ['a coding that is not the last', 'Transfer-Encoding: chunked, identity'],
    ['a name with a space', 'Content-Length : 5'],
    ['a folded line', 'X: a\r\n b: c'],
    ['a bare CR', 'X: a\rTransfer-Encoding: chunked'],
    ['NUL', 'X: a\0b'],
  ])('that two parsers could read differently is refused: %s', async (_, fields) => {
    const { server, operations } = await serve();
    const client = await connectTo(server);
    const head = `POST /v1/operations?target=noop HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n`;
    client.socket.end(`${head}${fields}\r\n\r\n0\r\n\r\nGET /v1/smuggled HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n`);
    const answer = await client.ended();
    expect(answer).toMatch(/^HTTP\/1\.1 400 /);
    expect(answer.match(/^HTTP\/1\.1 /gm)).toHaveLength(1);
    expect(operations.submissions).toEqual([]);
  });
});

describe('a request target', () => {
  it('beyond the limit is answered 414, and the connection goes on', async () => {
    const { server } = await serve({}, { limits: { urlCharsMax: 100 } });
    const client = await connectTo(server);
    client.socket.write(get(`/v1/operations?cursor=${'a'.repeat(100)}`));
    await client.expect('"code":"uri_too_long"');
    client.socket.write(get('/health/live', ['Connection: close']));
    expect(await client.ended()).toMatch(/^HTTP\/1\.1 414 .*HTTP\/1\.1 200 /s);
  });

  it.each([
    'http://evil.example/v1/operations',
    '//evil.example/v1/operations',
    '/\\evil.example/v1/operations',
    '/v1/operations/../../etc/passwd',
    '/%2e%2e/%2e%2e/etc/passwd',
    '*',
    '/v1/operations?%zz',
    '/#x',
  ])('of the form %s reaches nothing else than this service', async (target) => {
    const { server } = await serve();
    const client = await connectTo(server);
    client.socket.write(get(target, ['Connection: close']));
    const answer = await client.ended();
    expect(answer).toMatch(/^HTTP\/1\.1 (?:200|400|404) /);
    expect(answer).not.toMatch(/root:|^Location:/im);
  });
});

describe('one connection', () => {
  it('that pipelines without end is ended, and what it began is let go', async () => {
    let working = 0;
    let most = 0;
    const { server } = await serve({
      async get(_account, id) {
        working++;
        most = Math.max(most, working);
        await new Promise((resolve) => setTimeout(resolve, 100));
        working--;
        return viewOf({ id });
      },
    });
    const client = await connectTo(server);
    client.socket.on('error', () => {});
    client.socket.write(get('/v1/operations/op-1').repeat(2_000));
    await client.ended().catch(() => '');
    expect(most).toBeLessThanOrEqual(32);
    await eventually('the end of what was begun', () => working === 0);
  });

  it('may pipeline a few, which are answered in order', async () => {
    const { server } = await serve({ get: async (_account, id) => viewOf({ id }) });
    const client = await connectTo(server);
    const ids = Array.from({ length: 10 }, (_, n) => `op-${n}`);
    client.socket.write(
      ids.map((id) => get(`/v1/operations/${id}`, id === 'op-9' ? ['Connection: close'] : [])).join(''),
    );
    const answer = await client.ended();
    expect([...answer.matchAll(/"id":"(op-\d)"/g)].map((match) => match[1])).toEqual(ids);
  });
});

describe('many connections', () => {
  it('are so many: one more is closed at once, and once one has gone there is room again', async () => {
    const { server } = await serve({}, { limits: { connectionsMax: 3 } });
    const clients = [await connectTo(server), await connectTo(server), await connectTo(server)];
    for (const client of clients) {
      client.socket.write(get('/health/live'));
      await client.expect('200 OK');
    }
    const refused = createConnection(server.port, '127.0.0.1');
    onTestFinished(() => void refused.destroy());
    await new Promise((resolve) => refused.on('error', resolve).on('close', resolve));
    clients[0]?.socket.destroy();
    await eventually('room for another', async () => {
      const client = await connectTo(server);
      client.socket.on('error', () => {});
      client.socket.write(get('/health/live', ['Connection: close']));
      return (await client.ended().catch(() => '')).includes('200 OK');
    });
  });
});

describe('long polls and event streams', () => {
  it('leave room for others: an account has its share, and gets it back', async () => {
    const limits = {
      waitersMax: 10,
      waitersPerAccountMax: 2,
      followersMax: 3,
      followersPerAccountMax: 2,
      eventIntervalMs: 5,
    };
    const { server } = await serve({ get: async (account, id) => viewOf({ id, account }) }, { limits });
    const wait = (account: string, signal: AbortSignal) =>
      fetch(`${server.url}/v1/operations/op-1`, { headers: { 'Tranche-Account': account, Prefer: 'wait=20' }, signal });
    const stop = new AbortController();
    const waiting = [wait('greedy', stop.signal), wait('greedy', stop.signal)];
    for (const each of waiting) each.catch(() => {});
    // The third of that account does not wait; another account's would.
    await eventually('an answer without a wait', async () => {
      const first = await Promise.race([
        wait('greedy', stop.signal),
        new Promise((resolve) => setTimeout(resolve, 100)),
      ]);
      return first instanceof Response;
    });
    const other = new AbortController();
    const patient = wait('modest', other.signal).catch(() => 'still waiting');
    const soon = new Promise((resolve) => setTimeout(resolve, 300, 'not yet'));
    expect(await Promise.race([patient, soon])).toBe('not yet');
    stop.abort();
    other.abort();

    const follow = (account: string, signal: AbortSignal) =>
      fetch(`${server.url}/v1/operations/op-1/events`, { headers: { 'Tranche-Account': account }, signal });
    const ends = new AbortController();
    expect((await follow('greedy', ends.signal)).status).toBe(200);
    expect((await follow('greedy', ends.signal)).status).toBe(200);
    const third = await follow('greedy', new AbortController().signal);
    expect(third.status).toBe(503);
    expect(third.headers.get('Retry-After')).not.toBeNull();
    expect((await follow('modest', ends.signal)).status).toBe(200);
    ends.abort();
    const again = new AbortController();
    onTestFinished(() => again.abort());
    await eventually('a place again', async () => (await follow('greedy', again.signal)).status === 200);
  });

  it('hold no line that a client or a vendor wrote into an event', async () => {
    const hostile = 'x\n\nevent: operation.ended\ndata: {"state":"ended"}\r\rid: 9.9\u2028';
    const view = viewOf({ id: 'op-1', state: 'ended', metadata: { note: hostile }, target: hostile });
    const history = [
      { at: '2026-01-01T00:00:00.000Z', action: 'paused', by: hostile, traceId: 'x', detail: { note: hostile } },
    ];
    const { server } = await serve({ get: async () => view, audit: async () => history as never });
    const text = await (await fetch(`${server.url}/v1/operations/op-1/events`)).text();
    const lines = text.split(/\r\n|\r|\n/);
    expect(lines.filter((line) => line.startsWith('event:'))).toEqual([
      'event: operation.paused',
      'event: operation.ended',
    ]);
    for (const line of lines) expect(line).toMatch(/^$|^(?:event|id|data|retry): |^:/);
  });
});

describe('a body', () => {
  it('that drips is given up, and nothing of it is kept in memory', async () => {
    const { server } = await serve({
      async submit({ body }) {
        for await (const _ of body);
        throw new TrancheError('body_timeout', 'no byte came');
      },
    });
    const client = await connectTo(server);
    client.socket.write(
      'PATCH /v1/operations/op-1 HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 20000\r\n\r\n{',
    );
    // More than it may have: refused by its size before it has come.
    client.socket.write(`"x":"${'a'.repeat(17_000)}`);
    await client.expect('HTTP/1.1 413');
  });
});
