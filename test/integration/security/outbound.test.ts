/** Calls to vendors: whatever an item or a vendor's answer says, they go to the vendor's own address and resources. */
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { parseExact } from '../../../src/targets/exact-json.ts';
import { products } from '../../../src/targets/products.ts';
import type { SubmitContext } from '../../../src/targets/target.ts';
import { async as asyncJobs, sync } from '../../../src/targets/vendor-jobs.ts';
import { createVendorClient } from '../../../src/vendors/client.ts';
import { createLocalSlots } from '../../../src/vendors/local-slots.ts';
import type { VendorClient } from '../../../src/vendors/vendor.ts';

interface Seen {
  readonly method: string;
  readonly target: string;
  readonly headers: readonly string[];
  readonly body: string;
}

let vendor: Server;
let trap: Server;
let trapUrl: string;
let trapped = 0;
let seen: Seen[] = [];
let answer: { status: number; headers: Record<string, string>; body: string };
let client: VendorClient;

async function listen(server: Server): Promise<string> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  return `http://127.0.0.1:${typeof address === 'object' && address !== null ? address.port : 0}`;
}

async function textOf(request: IncomingMessage): Promise<string> {
  const pieces: Buffer[] = [];
  for await (const piece of request) pieces.push(piece as Buffer);
  return Buffer.concat(pieces).toString('utf8');
}

beforeEach(async () => {
  seen = [];
  trapped = 0;
  answer = { status: 200, headers: {}, body: '{}' };
  vendor = createServer(async (request, response) => {
    const { method = '', url = '', rawHeaders } = request;
    seen.push({ method, target: url, headers: rawHeaders, body: await textOf(request) });
    response.writeHead(answer.status, answer.headers).end(answer.body);
  });
  trap = createServer((_, response) => void response.end());
  trap.on('connection', () => trapped++);
  trapUrl = await listen(trap);
  const baseUrl = `${await listen(vendor)}/base`;
  client = createVendorClient({ name: 'products', baseUrl, connections: 2, slots: createLocalSlots() });
});
afterEach(async () => {
  await client.close();
  for (const server of [vendor, trap]) {
    server.closeAllConnections();
    server.close();
  }
});

function context(): SubmitContext {
  const never = new AbortController().signal;
  const call = { account: 'default', mayCall: () => true, timeoutMs: 5_000, waiting: never, signal: never };
  return {
    vendor: (request) => client.call(request, call),
    signal: never,
    operation: { account: 'default', id: 'op', uid: 'U' },
    callbackUrl: () => 'http://127.0.0.1:1/v1/vendors/async/callbacks/token',
  };
}

/** As the slice does it: parsed, held against the schema; null where the item is refused. */
function itemOf(target: typeof products | typeof sync | typeof asyncJobs, value: unknown) {
  const { exact, value: plain } = parsed(JSON.stringify(value));
  const checked = target.item.safeParse(plain);
  return checked.success ? { index: 0, item: checked.data as never, exact, idempotencyKey: 'U:0' } : null;
}

function parsed(text: string): { exact: unknown; value: unknown } {
  return { exact: parseExact(text).exact, value: JSON.parse(text) };
}

const HOSTILE_IDS = [
  ...[
    '../admin',
    '..',
    '.',
    '../../etc/passwd',
    'a/b',
    'a\\b',
    '%2e%2e',
    '%2e%2e%2fadmin',
    '?x=1',
    '#x',
    'a?b#c',
    '&a=b',
  ],
  ...[
    ' ',
    'a b',
    'a\r\nX-Evil: yes',
    'a\nGET /admin HTTP/1.1',
    '\u0000',
    '\u202e',
    'é',
    '💥',
    ';',
    '@host',
    ':80',
    '//host/x',
  ],
  ...['http://host/x', 'x'.repeat(512), '__proto__', '-1', '+', '*', "' OR 1=1", '<x>', '%', '%zz', '%00'],
];

describe('the path of a call', () => {
  it.each(HOSTILE_IDS)('holds %j as one encoded segment, or no call is made', async (id) => {
    for (const type of ['update', 'delete'] as const) {
      const item = itemOf(products, { type, id, product: { name: 'x' } });
      if (item === null) {
        expect(['..', '.']).toContain(id);
        continue;
      }
      await products.applyOne?.(item, context());
      const call = seen.at(-1);
      expect(call?.target).toMatch(/^\/base\/products\/[A-Za-z0-9._~!*'()%-]+$/);
      const segment = call?.target.slice('/base/products/'.length) ?? '';
      expect(segment).not.toMatch(/^\.{1,2}$/);
      expect(decodeURIComponent(segment)).toBe(id);
      expect(call?.headers.join('\n')).not.toMatch(/evil/i);
    }
  });

  it.each(['..', '.', '../../admin', 'http://host/x', 'a?b#c', 'a\r\nb', '\ud800', 'x'.repeat(600), '', 7, null, {}])(
    'holds what the vendor itself called its job (%j) as one segment, or it is not asked',
    async (id) => {
      answer.body = JSON.stringify({ id });
      const item = itemOf(asyncJobs, { a: 1 });
      if (item === null) throw new Error('any JSON is a job');
      const submitted = await asyncJobs.submit?.(item, context());
      expect(submitted).toMatchObject({ kind: 'submitted' });
      const ref = submitted?.kind === 'submitted' ? submitted.vendorRef : null;
      if (ref === null) return;
      await asyncJobs.poll?.(ref, item, context());
      expect(seen.at(-1)?.target).toMatch(/^\/base\/jobs\/[A-Za-z0-9._~!*'()%-]+$/);
      expect(seen.at(-1)?.target).not.toMatch(/\/\.{1,2}$/);
    },
  );
});

describe('an item that names addresses', () => {
  it('has them sent to its vendor as data, and our callback URL stays ours', async () => {
    const names = [
      'url',
      'callbackUrl',
      'callback_url',
      'webhook',
      'href',
      'payload',
      'baseUrl',
      'host',
      'path',
      'method',
    ];
    const urls = Object.fromEntries(names.map((name) => [name, trapUrl]));
    const context_ = context();
    for (const value of [urls, trapUrl, [trapUrl], { payload: urls, ...urls }]) {
      for (const target of [sync, asyncJobs]) {
        const item = itemOf(target, value);
        if (item === null) throw new Error('any JSON is a job');
        await (target.applyOne?.(item, context_) ?? target.submit?.(item, context_));
        const { method, target: path, body } = seen.at(-1) ?? { method: '', target: '', body: '{}' };
        expect([method, path]).toEqual(['POST', '/base/jobs']);
        const sent = JSON.parse(body) as { payload: unknown; callbackUrl?: string };
        expect(sent.payload).toEqual(value);
        expect(sent.callbackUrl).toBe(target === sync ? undefined : context_.callbackUrl({ index: 0 }));
      }
    }
    expect(trapped).toBe(0);
  });
});

describe('a vendor that answers with an address', () => {
  it.each([301, 302, 303, 307, 308])('%i is not followed, by no target', async (status) => {
    answer = {
      status,
      headers: { Location: `${trapUrl}/x`, Refresh: `0; url=${trapUrl}` },
      body: JSON.stringify({ url: trapUrl }),
    };
    const outcomes = [];
    for (const target of [products, sync, asyncJobs]) {
      const item = itemOf(target, { type: 'delete', id: 'a' });
      if (item === null) throw new Error('the item is sound');
      outcomes.push(await (target.applyOne?.(item, context()) ?? target.submit?.(item, context())));
      if (target.poll !== undefined) outcomes.push(await target.poll('ref', item, context()));
    }
    expect(outcomes.map((outcome) => outcome?.kind)).toEqual(['failed', 'failed', 'failed', 'pending']);
    expect(trapped).toBe(0);
  });

  it('has its words bounded before they become a message', async () => {
    answer = { status: 422, headers: {}, body: JSON.stringify({ error: `no\r\n${'x'.repeat(50_000)}` }) };
    for (const target of [products, sync]) {
      const item = itemOf(target, { type: 'delete', id: 'a' });
      if (item === null) throw new Error('the item is sound');
      const outcome = await target.applyOne?.(item, context());
      const message = outcome?.kind === 'failed' ? outcome.error.message : '';
      expect(message).toMatch(/^vendor answered 422: no x+$/);
      expect(message.length).toBeLessThan(250);
    }
  });
});

describe('what a call carries', () => {
  it('is its key, its length and its type: nothing of the request that brought the item', async () => {
    const item = itemOf(products, { type: 'create', product: { name: 'x' } });
    if (item === null) throw new Error('the item is sound');
    await products.applyOne?.(item, context());
    const names = (seen[0]?.headers ?? []).filter((_, n) => n % 2 === 0).map((name) => name.toLowerCase());
    const known = [
      'host',
      'connection',
      'content-type',
      'idempotency-key',
      'content-length',
      'traceparent',
      'tranche-sent-at',
    ];
    expect(names.filter((name) => !known.includes(name))).toEqual([]);
  });
});
