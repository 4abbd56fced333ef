import { once } from 'node:events';
import { get, type IncomingMessage } from 'node:http';
import { describe, expect, it } from 'vitest';
import type { OperationView } from '../../../src/operations/operations.ts';
import { viewOf } from '../../fixtures/fake-operations.ts';
import { connectTo, serve } from './raw-client.ts';

const PATH = '/v1/operations/op/events';
const LIMITS = { eventIntervalMs: 2, heartbeatMs: 20, closeGraceMs: 5_000 };

/** An operation that changes with every read. */
function restless(metadata: OperationView['metadata'] = {}) {
  const counter = { reads: 0 };
  const read = async () => viewOf({ id: 'op', revision: ++counter.reads, metadata });
  return { counter, read };
}

/** Until nothing has been counted for a while. */
async function standsStill(count: () => number): Promise<void> {
  for (let same = 0, before = -1; same < 10; same = count() === before ? same + 1 : 0) {
    before = count();
    await new Promise((wake) => setTimeout(wake, 5));
  }
}

async function follow(url: string): Promise<IncomingMessage> {
  const [response] = (await once(get(url + PATH), 'response')) as [IncomingMessage];
  return response;
}

describe('events over a connection', () => {
  it('are read for as long as anybody follows them, and no longer', async () => {
    const { counter, read } = restless();
    const { server } = await serve({ get: read }, { limits: LIMITS });
    const [first, second] = [await follow(server.url), await follow(server.url)];
    await Promise.all([once(first, 'data'), once(second, 'data')]);
    first.destroy();
    const before = counter.reads;
    while (counter.reads < before + 5) await once(second, 'data');
    second.destroy();
    await standsStill(() => counter.reads);
  });

  it('give a reader that stops reading the newest state when it reads on, and hold no queue for it', async () => {
    const { counter, read } = restless({ filler: 'x'.repeat(50_000) });
    const { server } = await serve({ get: read }, { limits: LIMITS });
    const client = await connectTo(server);
    client.socket.write(`GET ${PATH} HTTP/1.1\r\nHost: test\r\nAccept: application/x-ndjson\r\n\r\n`);
    await client.expect('operation.progress');
    client.socket.pause();
    // More than the socket's buffers hold: whatever comes later must have been left out.
    while (counter.reads < 400) await new Promise((wake) => setTimeout(wake, 20));
    const missed = counter.reads;
    client.socket.resume();
    await client.expect(`"id":"1.${missed + 50}"`);
    const ids = [...client.received().matchAll(/"id":"1\.(\d+)"/g)].map(([, id]) => Number(id));
    expect(ids).toEqual([...ids].sort((a, b) => a - b));
    expect(ids.length).toBeLessThan(missed);
    client.socket.destroy();
  });

  it('end when the server closes, without cutting the last one in two', async () => {
    const { server } = await serve({ get: async () => viewOf({ id: 'op' }) }, { limits: LIMITS });
    const client = await connectTo(server);
    client.socket.write(`GET ${PATH} HTTP/1.1\r\nHost: test\r\n\r\n`);
    await client.expect(': heartbeat');
    const closed = server.close();
    expect(await client.ended()).toMatch(/\r\n0\r\n\r\n$/);
    await closed;
  });

  it('answer HEAD without following', async () => {
    const { counter, read } = restless();
    const { server } = await serve({ get: read }, { limits: LIMITS });
    expect((await fetch(server.url + PATH, { method: 'HEAD' })).status).toBe(200);
    expect(counter.reads).toBe(1);
  });
});
