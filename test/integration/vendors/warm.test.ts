import dns from 'node:dns';
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { createVendorClient } from '../../../src/vendors/client.ts';
import type { CallContext, Slot, SlotSource, VendorClient } from '../../../src/vendors/vendor.ts';

/** A vendor that takes so long to connect to, and slots that come later than that and stand for less. */
const CONNECT_MS = 200;
const SLOT_AFTER_MS = 1_000;
const STANDS_MS = 150;

let server: Server;
let client: VendorClient | null = null;
let baseUrl = '';
let connections = 0;
let closes = true;

beforeEach(async () => {
  connections = 0;
  server = createServer((_request, response) => {
    response.setHeader('connection', closes ? 'close' : 'keep-alive').end('{}');
  });
  server.on('connection', () => connections++);
  await once(server.listen(0, '127.0.0.1'), 'listening');
  baseUrl = `http://localhost:${(server.address() as AddressInfo).port}`;
  const lookup = dns.lookup;
  vi.spyOn(dns, 'lookup').mockImplementation(((...args: Parameters<typeof dns.lookup>) => {
    setTimeout(() => lookup(...args), CONNECT_MS);
  }) as typeof dns.lookup);
});
afterEach(async () => {
  vi.restoreAllMocks();
  await client?.close();
  client = null;
  server.closeAllConnections();
  server.close();
});

function slotsOf(standsMs: number, afterMs: number): SlotSource {
  return {
    take: () =>
      new Promise<Slot>((resolve) => {
        setTimeout(() => {
          const untilMs = performance.now() + standsMs;
          const nothing = () => undefined;
          resolve({ stands: () => performance.now() <= untilMs, giveBack: nothing, done: nothing });
        }, afterMs);
      }),
  };
}

function call(standsMs = STANDS_MS, slotAfterMs = SLOT_AFTER_MS) {
  client ??= createVendorClient({ name: 'far', baseUrl, connections: 16, slots: slotsOf(standsMs, slotAfterMs) });
  const signal = new AbortController().signal;
  const context: CallContext = { account: 'a', mayCall: () => true, timeoutMs: 5_000, waiting: signal, signal };
  return client.call({ method: 'GET', path: '/', idempotencyKey: 'k', body: null }, context);
}

test('calls to a far vendor that hangs up after each one leave at their slots all the same', async () => {
  closes = true;
  for (let nth = 0; nth < 3; nth++) expect(await call()).toMatchObject({ kind: 'answer', status: 200 });
  expect(connections).toBe(3);
});

test('a few connections are made ahead, however many calls wait for slots', async () => {
  closes = false;
  const calls = Array.from({ length: 16 }, () => call(5_000));
  await vi.waitFor(() => expect(connections).toBe(8));
  for (const called of await Promise.all(calls)) expect(called).toMatchObject({ kind: 'answer' });
  expect(connections).toBeLessThanOrEqual(16);
});

test('where nobody listens, calls end by themselves and it is not called up all the time', async () => {
  server.close();
  await once(server, 'close');
  expect(await call(5_000)).toMatchObject({ code: 'vendor_unreachable' });
  expect(vi.mocked(dns.lookup).mock.calls.length).toBeLessThanOrEqual(3);
});

test('where nobody listens, one connection is tried now and then for all calls that wait', async () => {
  server.close();
  await once(server, 'close');
  const calls = Array.from({ length: 16 }, () => call(5_000, 6_000));
  await vi.waitFor(() => expect(vi.mocked(dns.lookup).mock.calls.length).toBe(10), { timeout: 5_500 });
  for (const called of await Promise.all(calls)) expect(called).toMatchObject({ code: 'vendor_unreachable' });
  // Eight when the calls came, one a second until their slots, then their own.
  expect(vi.mocked(dns.lookup).mock.calls.length).toBeLessThanOrEqual(8 + 6 + 16);
});
