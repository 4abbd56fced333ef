import { createServer, connect as dial, type Server, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Link, openLink } from '../../chaos/links/link.ts';
import { eventually } from '../../fixtures/stack/eventually.ts';

let echo: Server;
let link: Link;
let clients: Socket[];
const accepted = new Set<Socket>();
/** What reached the server. */
let arrived: string;

beforeEach(async () => {
  arrived = '';
  clients = [];
  echo = createServer((socket) => {
    accepted.add(socket);
    socket.on('error', () => {});
    socket.on('close', () => accepted.delete(socket));
    socket.on('data', (bytes) => {
      arrived += bytes.toString();
      socket.write(bytes);
    });
  });
  await new Promise<void>((resolve) => echo.listen(0, '127.0.0.1', resolve));
  const address = echo.address();
  link = await openLink([typeof address === 'object' && address !== null ? address.port : 0]);
});
afterEach(async () => {
  for (const socket of [...clients, ...accepted]) socket.destroy();
  await link.close();
  await new Promise((resolve) => echo.close(resolve));
});

/** A client and all that it has heard. */
function connectClient() {
  const socket = dial({ host: '127.0.0.1', port: link.port });
  const seen = { text: '', end: null as string | null };
  clients.push(socket);
  socket.on('data', (bytes) => {
    seen.text += bytes.toString();
  });
  socket.on('error', (error) => {
    seen.end = 'code' in error ? String(error.code) : error.message;
  });
  socket.on('close', () => {
    seen.end ??= 'closed';
  });
  return { socket, seen };
}

async function talking() {
  const client = connectClient();
  client.socket.write('one ');
  await eventually('an echo', () => client.seen.text === 'one ');
  return client;
}

describe('a link', () => {
  it('passes on what it gets, and an end as an end', async () => {
    const { socket, seen } = await talking();
    socket.end('two');
    await eventually('the end', () => seen.end !== null);
    expect(seen).toEqual({ text: 'one two', end: 'closed' });
  });

  it('resets what is open and what comes meanwhile, then serves again', async () => {
    const { seen } = await talking();
    link.setFault({ kind: 'reset' });
    await eventually('the reset', () => seen.end !== null);
    expect(seen.end).toBe('ECONNRESET');
    const late = connectClient();
    await eventually('the refusal', () => late.seen.end !== null);
    link.setFault(null);
    await talking();
  });

  it('refuses only what comes', async () => {
    const { socket, seen } = await talking();
    link.setFault({ kind: 'refuse' });
    const late = connectClient();
    await eventually('the refusal', () => late.seen.end !== null);
    socket.write('two');
    await eventually('the echo', () => seen.text === 'one two');
  });

  it('holds bytes back and delivers them in order once it is over', async () => {
    const { socket, seen } = await talking();
    link.setFault({ kind: 'hold', way: 'up' });
    socket.write('two ');
    await sleep(50);
    socket.write('three');
    await sleep(50);
    expect(arrived).toBe('one ');
    link.setFault(null);
    await eventually('the rest', () => seen.text === 'one two three');
  });

  it.each(['up', 'down', 'both'] as const)(
    'loses bytes on the way %s, tells nobody, and hangs up once it is over',
    async (way) => {
      const { socket, seen } = await talking();
      link.setFault({ kind: 'hole', way });
      socket.write('two');
      if (way === 'down') await eventually('the arrival', () => arrived === 'one two');
      else await sleep(100);
      expect(seen).toEqual({ text: 'one ', end: null });
      expect(arrived).toBe(way === 'down' ? 'one two' : 'one ');
      link.setFault(null);
      await eventually('the hang-up', () => seen.end !== null);
      await talking();
    },
  );

  it('does not tell of the other side’s death while it carries nothing', async () => {
    const { seen } = await talking();
    link.setFault({ kind: 'hole', way: 'both' });
    for (const socket of accepted) socket.resetAndDestroy();
    await sleep(100);
    expect(seen.end).toBe(null);
    link.setFault(null);
    await eventually('the hang-up', () => seen.end !== null);
  });

  it('delays, and keeps the order', async () => {
    const { socket, seen } = await talking();
    link.setFault({ kind: 'delay', delayMs: 150 });
    const sentAt = performance.now();
    socket.write('two ');
    socket.write('three');
    await eventually('the echo', () => seen.text === 'one two three', { everyMs: 5 });
    expect(performance.now() - sentAt).toBeGreaterThanOrEqual(290);
  });

  it('trickles', async () => {
    const { socket, seen } = await talking();
    link.setFault({ kind: 'trickle', bytesPerSecond: 200 });
    const sentAt = performance.now();
    socket.write('x'.repeat(60));
    await eventually('all of it', () => seen.text.length === 64, { everyMs: 5 });
    expect(performance.now() - sentAt).toBeGreaterThanOrEqual(240);
  });
});
