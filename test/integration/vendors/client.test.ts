import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createVendorClient } from '../../../src/vendors/client.ts';
import { createLocalSlots, FREE } from '../../../src/vendors/local-slots.ts';
import type { CallContext, Slot, SlotSource, VendorClient, VendorRequest } from '../../../src/vendors/vendor.ts';
import { eventually, startVendorUnderTest, type VendorUnderTest } from '../mock-vendor/vendor-under-test.ts';

let vendor: VendorUnderTest;
let client: VendorClient;
beforeEach(async () => {
  vendor = await startVendorUnderTest();
  client = clientFor(vendor.url);
});
afterEach(async () => {
  await vendor.close();
  await client.close();
});

function clientFor(baseUrl: string, connections = 4, slots: SlotSource = createLocalSlots()): VendorClient {
  return createVendorClient({ name: 'products', baseUrl, connections, slots });
}

const context = (change: Partial<CallContext> = {}): CallContext => ({
  account: 'default',
  mayCall: () => true,
  timeoutMs: 5_000,
  waiting: new AbortController().signal,
  signal: new AbortController().signal,
  ...change,
});
const patch = (id: number): VendorRequest => ({
  method: 'PATCH',
  path: `/products/${id}`,
  idempotencyKey: `u:${id}`,
  body: '{"price":1}',
});

/** Slots that count what is taken and given back. */
function countingSlots() {
  const counts = { taken: 0, givenBack: 0 };
  const fate = { stands: true, done: [] as string[] };
  const source: SlotSource = {
    take(): Slot {
      counts.taken += 1;
      return {
        stands: () => fate.stands,
        giveBack() {
          counts.givenBack += 1;
        },
        done(called) {
          fate.done.push(called.kind);
        },
      };
    },
  };
  return { counts, fate, source };
}

test('a call reaches the vendor with its method, path, key and body', async () => {
  expect(await client.call(patch(1), context())).toEqual({
    kind: 'answer',
    status: 200,
    body: '{"id":"1","version":1}',
  });
  const request = { method: 'DELETE', path: '/products/2', idempotencyKey: 'u:2', body: null } as const;
  expect(await client.call(request, context())).toMatchObject({ status: 204, body: '' });
  expect(await vendor.ledger()).toMatchObject([
    { method: 'PATCH', path: '/products/1', key: 'u:1', applied: true },
    { method: 'DELETE', path: '/products/2', key: 'u:2', bodyHash: null, applied: true },
  ]);
});

test('a path prefix of the base URL is kept', async () => {
  const prefixed = clientFor(`${vendor.url}/products/`);
  await prefixed.call({ ...patch(1), path: '/9' }, context());
  expect(await vendor.ledger()).toMatchObject([{ path: '/products/9' }]);
  await prefixed.close();
});

test.each([
  [{ errors: { 500: 1 } }, { code: 'vendor_error', doubt: false, counts: true }],
  [
    { errors: { 503: 1 }, retryAfterSeconds: 7 },
    { code: 'vendor_unavailable', doubt: false, retryAfterMs: 7_000 },
  ],
  [{ resetBeforeEffectRate: 1 }, { code: 'vendor_reset', doubt: true, counts: true }],
  [{ resetAfterEffectRate: 1 }, { code: 'vendor_reset', doubt: true, counts: true }],
])('under %j the call is transient', async (fault, expected) => {
  await vendor.control(fault);
  expect(await client.call(patch(1), context())).toMatchObject({ kind: 'transient', ...expected });
});

test('a 429 carries the time that the vendor asks for and does not count', async () => {
  await vendor.control({ callsPerSecond: 0.1 });
  await client.call(patch(1), context());
  expect(await client.call(patch(2), context())).toMatchObject({
    code: 'vendor_rate_limited',
    counts: false,
    retryAfterMs: 10_000,
  });
});

test('a vendor that does not answer in time leaves the call in doubt, and its place to the next call', async () => {
  await vendor.control({ hangRate: 1 });
  const narrow = clientFor(vendor.url, 1);
  expect(await narrow.call(patch(1), context({ timeoutMs: 50 }))).toMatchObject({
    code: 'vendor_timeout',
    doubt: true,
  });
  await vendor.control({ hangRate: 0 });
  expect(await narrow.call(patch(1), context())).toMatchObject({ status: 200 });
  await narrow.close();
});

test('an address where nobody listens was never called', async () => {
  await vendor.close();
  const expected = { code: 'vendor_unreachable', doubt: false, counts: false };
  expect(await client.call(patch(1), context())).toMatchObject(expected);
  vendor = await startVendorUnderTest();
});

test('an abort in flight leaves the call in doubt', async () => {
  await vendor.control({ hangRate: 1 });
  const stop = new AbortController();
  const calls = [1, 2].map((id) => client.call(patch(id), context({ signal: stop.signal })));
  await eventually(async () => ((await vendor.ledger()).length === 2 ? true : null));
  stop.abort();
  expect(await Promise.all(calls)).toMatchObject([
    { code: 'aborted', doubt: true, counts: false },
    { code: 'aborted', doubt: true, counts: false },
  ]);
});

test('without leave no call is made, and its slot is given back', async () => {
  const { counts, source } = countingSlots();
  const refused = clientFor(vendor.url, 2, source);
  expect(await refused.call(patch(1), context({ mayCall: () => false }))).toEqual({ kind: 'not_called' });
  expect(await refused.call(patch(1), context({ signal: AbortSignal.abort() }))).toEqual({ kind: 'not_called' });
  expect(await refused.call(patch(1), context({ waiting: AbortSignal.abort() }))).toEqual({ kind: 'not_called' });
  expect(counts).toEqual({ taken: 2, givenBack: 2 });
  expect(await vendor.ledger()).toEqual([]);
  await refused.close();
});

test('leave that is withdrawn while the connection is made stops the call', async () => {
  const { counts, source } = countingSlots();
  const cold = clientFor(vendor.url, 1, source);
  const leave = [true, false];
  expect(await cold.call(patch(1), context({ mayCall: () => leave.shift() ?? true }))).toEqual({ kind: 'not_called' });
  expect(counts).toEqual({ taken: 1, givenBack: 1 });
  expect(await cold.call(patch(2), context())).toMatchObject({ status: 200 });
  expect((await vendor.ledger()).map((row) => row.key)).toEqual(['u:2']);
  await cold.close();
});

test('calls over the connections wait before they take a slot or ask for leave, and can be called off', async () => {
  await vendor.control({ hangRate: 1 });
  const { counts, source } = countingSlots();
  const narrow = clientFor(vendor.url, 2, source);
  const stop = new AbortController();
  const asked = new Set<number>();
  const calls = [1, 2, 3, 4, 5].map((id) =>
    narrow.call(
      patch(id),
      context({ waiting: stop.signal, signal: stop.signal, mayCall: () => asked.add(id) instanceof Set }),
    ),
  );
  await eventually(async () => ((await vendor.ledger()).length === 2 ? true : null));
  expect([[...asked], counts.taken]).toEqual([[1, 2], 2]);
  stop.abort();
  expect((await Promise.all(calls)).map((answer) => answer.kind)).toEqual([
    'transient',
    'transient',
    'not_called',
    'not_called',
    'not_called',
  ]);
  await vendor.control({ hangRate: 0 });
  expect(await narrow.call(patch(6), context())).toMatchObject({ status: 200 });
  await narrow.close();
});

test('the end of the waiting leaves calls in flight alone', async () => {
  await vendor.control({ latencyMs: 100 });
  const narrow = clientFor(vendor.url, 1);
  const stop = new AbortController();
  let asked = 0;
  const mayCall = () => {
    asked += 1;
    return true;
  };
  const calls = [1, 2].map((id) => narrow.call(patch(id), context({ waiting: stop.signal, mayCall })));
  // Asked before the connection is made, when it is, and for the third time when the first call's bytes go out.
  await eventually(async () => (asked === 3 ? true : null));
  stop.abort();
  expect((await Promise.all(calls)).map((answer) => answer.kind)).toEqual(['answer', 'not_called']);
  expect((await vendor.ledger()).map((row) => row.key)).toEqual(['u:1']);
  await narrow.close();
});

test('who waits for a connection gives its own slot back when the waiting ends', async () => {
  await vendor.control({ hangRate: 1 });
  const own = countingSlots();
  const narrow = clientFor(vendor.url, 1);
  const cut = new AbortController();
  const first = narrow.call(patch(1), context({ signal: cut.signal }));
  const stop = new AbortController();
  const second = narrow.call(patch(2), context({ waiting: stop.signal, pace: own.source }));
  expect(own.counts).toEqual({ taken: 1, givenBack: 0 });
  await eventually(async () => ((await vendor.ledger()).length === 1 ? true : null));
  stop.abort();
  expect(await second).toEqual({ kind: 'not_called' });
  expect(own.counts).toEqual({ taken: 1, givenBack: 1 });
  cut.abort();
  expect(await first).toMatchObject({ code: 'aborted', doubt: true });
  await narrow.close();
});

test('a call that waits for its own pace keeps no connection from others, nor a slot of the vendor', async () => {
  const shared = countingSlots();
  const narrow = clientFor(vendor.url, 1, shared.source);
  const granted = Promise.withResolvers<Slot | null>();
  const slow = narrow.call(patch(1), context({ pace: { take: () => granted.promise } }));
  expect(await narrow.call(patch(2), context())).toMatchObject({ status: 200 });
  expect(shared.counts.taken).toBe(1);
  granted.resolve(FREE);
  expect(await slow).toMatchObject({ status: 200 });
  expect((await vendor.ledger()).map((row) => row.key)).toEqual(['u:2', 'u:1']);
  await narrow.close();
});

test('a slot that is over when the connection has been made is given back, and the call is not made', async () => {
  const { source, counts, fate } = countingSlots();
  const answers = [true, false];
  const take: SlotSource['take'] = (...asked) => ({
    ...(source.take(...asked) as Slot),
    stands: () => answers.shift() ?? false,
  });
  const late = clientFor(vendor.url, 1, { take });
  expect(await late.call(patch(1), context())).toEqual({ kind: 'not_called' });
  expect([counts, fate.done, answers]).toEqual([{ taken: 1, givenBack: 1 }, [], []]);
  expect(await vendor.ledger()).toEqual([]);
  await late.close();
});

test('what became of a call is told to its slot', async () => {
  const { source, counts, fate } = countingSlots();
  const told = clientFor(vendor.url, 1, source);
  await told.call(patch(1), context());
  await vendor.control({ errors: { 503: 1 } });
  await told.call(patch(2), context());
  expect([counts, fate.done]).toEqual([{ taken: 2, givenBack: 0 }, ['answer', 'transient']]);
  await told.close();
});

test('many more calls than connections all come through, each answered as its own', async () => {
  const narrow = clientFor(vendor.url, 3);
  const calls = Array.from({ length: 300 }, (_, id) => narrow.call(patch(id), context()));
  const answers = await Promise.all(calls);
  expect(answers.map((answer) => (answer.kind === 'answer' ? JSON.parse(answer.body).id : answer))).toEqual(
    Array.from({ length: 300 }, (_, id) => String(id)),
  );
  await narrow.close();
});

test('after a lost connection its place serves the calls that wait', async () => {
  await vendor.control({ resetBeforeEffectRate: 1 });
  const narrow = clientFor(vendor.url, 1);
  const lost = await Promise.all([1, 2, 3].map((id) => narrow.call(patch(id), context())));
  expect(lost).toMatchObject([{ code: 'vendor_reset' }, { code: 'vendor_reset' }, { code: 'vendor_reset' }]);
  await vendor.control({ resetBeforeEffectRate: 0 });
  expect(await narrow.call(patch(4), context())).toMatchObject({ status: 200 });
  await narrow.close();
});

test('a path that cannot be written as a request counts, and leaves the connection to others', async () => {
  const narrow = clientFor(vendor.url, 1);
  const broken = await narrow.call({ ...patch(1), path: '/a b\r\nx: y' }, context());
  expect(broken).toMatchObject({ code: 'vendor_request_invalid', counts: true, doubt: false });
  expect(await narrow.call(patch(2), context())).toMatchObject({ status: 200 });
  await narrow.close();
});

test("a caller's own pace and the vendor's budget both hold", async () => {
  const own = countingSlots();
  const shared = countingSlots();
  const both = clientFor(vendor.url, 2, shared.source);
  await both.call(patch(1), context({ pace: own.source }));
  await both.call(patch(2), context({ pace: own.source, mayCall: () => false }));
  expect([own.counts, shared.counts]).toEqual([
    { taken: 2, givenBack: 1 },
    { taken: 2, givenBack: 1 },
  ]);
  await both.close();
});

test('a long answer is cut at 64 KiB and a slow one after its headers is in doubt', async () => {
  const server: Server = createServer((request, response) => {
    response.writeHead(200);
    if (request.url === '/long') response.end('x'.repeat(10_000_000));
    else response.write('x');
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  const other = clientFor(`http://127.0.0.1:${port}`);
  const long = await other.call({ ...patch(1), path: '/long' }, context());
  expect(long).toEqual({ kind: 'answer', status: 200, body: 'x'.repeat(64 * 1024) });
  const slow = await other.call({ ...patch(1), path: '/slow' }, context({ timeoutMs: 50 }));
  expect(slow).toMatchObject({ code: 'vendor_timeout', doubt: true });
  server.closeAllConnections();
  server.close();
  await other.close();
});

test('each call is a span of its own in the trace it belongs to, and of none where it has none', async () => {
  const seen: (string | string[] | undefined)[] = [];
  const server: Server = createServer((request, response) => {
    seen.push(request.headers['traceparent']);
    response.end('{}');
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  const traced = clientFor(`http://127.0.0.1:${port}`, 1);
  const traceId = '0af7651916cd43dd8448eb211c80319c';
  await traced.call(patch(1), context({ traceId }));
  await traced.call(patch(2), context());
  await traced.call({ ...patch(3), method: 'DELETE', body: null }, context({ traceId }));
  await traced.call({ ...patch(3), method: 'DELETE', body: null }, context({ traceId: 'no trace' }));
  const span = expect.stringMatching(/^00-0af7651916cd43dd8448eb211c80319c-[0-9a-f]{16}-01$/);
  expect(seen).toEqual([span, undefined, span, undefined]);
  expect(seen[0]).not.toBe(seen[2]);
  for (let n = 0; n < 1_500; n++) await traced.call(patch(n), context({ traceId }));
  expect(new Set(seen.slice(4)).size).toBe(1_500);
  server.closeAllConnections();
  server.close();
  await traced.close();
});
