/** A vendor to develop and test against: the products API, its controls and its ledger on one plain HTTP server. */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { startCallsLog } from './calls-log.ts';
import { createKeyMemory } from './key-memory.ts';
import { startLagMeter } from './lag-meter.ts';
import { createLedger } from './ledger.ts';
import { createProductStore } from './product-store.ts';
import { createProductsApi } from './products-api.ts';
import { DEFAULT_SETTINGS, mergeSettings, parseChange } from './settings.ts';

export interface MockVendorOptions {
  readonly host: string;
  /** 0 = any free port. */
  readonly port: number;
  /** Every ledger row is appended to this file too, as NDJSON, within about 100 ms. */
  readonly callsLogPath?: string;
  /** Calls kept in the ledger (about 100 bytes each) before the oldest are dropped; default 5 million. */
  readonly ledgerRowsMax?: number;
  /** Idempotency keys remembered; at least the newest half always is. Default 5 million. */
  readonly keysMax?: number;
}

export interface MockVendor {
  readonly url: string;
  readonly port: number;
  /** Destroys open connections: hanging calls do not hold it up. */
  close(): Promise<void>;
}

const KEPT_MAX = 5_000_000;
/** Longer than any pause of a client, so that this side never closes a connection which a call is about to use. */
const KEEP_ALIVE_MS = 3_600_000;

export async function startMockVendor(options: MockVendorOptions): Promise<MockVendor> {
  const ledger = createLedger(options.ledgerRowsMax ?? KEPT_MAX);
  const keys = createKeyMemory(options.keysMax ?? KEPT_MAX);
  const products = createProductStore();
  const lag = startLagMeter();
  const api = createProductsApi({ ledger, keys, products, lagMs: lag.lagMs }, DEFAULT_SETTINGS);
  const callsLog = options.callsLogPath === undefined ? null : startCallsLog(options.callsLogPath, ledger);

  const routes: Readonly<
    Record<string, (request: IncomingMessage, response: ServerResponse, query: URLSearchParams) => unknown>
  > = {
    'GET /health': (_request, response) => sendJson(response, 200, { status: 'ok' }),
    'GET /control': (_request, response) => sendJson(response, 200, api.settings()),
    'POST /control': async (request, response) => {
      const parsed = parseChange(await readText(request));
      if (!parsed.ok) return sendJson(response, 400, { code: 'invalid_setting', errors: parsed.faults });
      api.configure(mergeSettings(api.settings(), parsed.change), { reseed: parsed.change.seed !== undefined });
      sendJson(response, 200, api.settings());
    },
    'DELETE /control': (_request, response) => {
      api.configure(DEFAULT_SETTINGS, { reseed: true });
      sendJson(response, 200, api.settings());
    },
    'GET /ledger': (_request, response, query) => {
      response.setHeader('ledger-first-seq', ledger.firstSeq());
      response.setHeader('ledger-last-seq', ledger.lastSeq());
      return sendLines(response, ledger.rows(Number(query.get('since') ?? 0) || 0));
    },
    'DELETE /ledger': (_request, response) => {
      ledger.clear();
      keys.clear();
      products.clear();
      sendJson(response, 200, { lastSeq: ledger.lastSeq() });
    },
    'GET /products': (_request, response, query) => {
      const doubledOnly = query.get('doubled') === 'true';
      const rows = products.rows();
      return sendLines(response, doubledOnly ? rows.filter((row) => row.version > row.appliedKeys) : rows);
    },
  };

  async function handleAside(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? '/', 'http://vendor');
    const route = routes[`${request.method} ${url.pathname.replace(/^\/control\/reset$/, '/control')}`];
    if (route !== undefined) return void (await route(request, response, url.searchParams));
    const id = /^\/products\/([^/]+)$/.exec(url.pathname)?.[1];
    const product = id === undefined || request.method !== 'GET' ? null : products.get(decodeURIComponent(id));
    if (product !== null) return sendJson(response, 200, product);
    sendJson(response, 404, { code: 'not_found', message: `there is no ${request.method} ${url.pathname}` });
  }

  const server = createServer({ keepAliveTimeout: KEEP_ALIVE_MS, requestTimeout: 0 }, (request, response) => {
    response.sendDate = false;
    if (request.method !== 'GET' && request.url?.startsWith('/products')) return api.handle(request, response);
    handleAside(request, response).catch(() => response.destroy());
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(options.port, options.host, 4_096, resolve);
  });
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('the mock vendor has no port');
  return {
    url: `http://${options.host}:${address.port}`,
    port: address.port,
    async close() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      server.closeAllConnections();
      await closed;
      lag.stop();
      await callsLog?.close();
    },
  };
}

function sendJson(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json' });
  response.end(JSON.stringify(body));
}

/** Streams NDJSON at the reader's pace. A reader that leaves is no fault of ours. */
async function sendLines(response: ServerResponse, rows: Iterable<unknown>): Promise<void> {
  response.setHeader('content-type', 'application/x-ndjson');
  await pipeline(Readable.from(toLines(rows), { objectMode: true, highWaterMark: 4 }), response).catch(() => undefined);
}

const LINES_PER_WRITE = 500;

function* toLines(rows: Iterable<unknown>): Generator<string> {
  let lines = '';
  let count = 0;
  for (const row of rows) {
    lines += `${JSON.stringify(row)}\n`;
    count += 1;
    if (count % LINES_PER_WRITE !== 0) continue;
    yield lines;
    lines = '';
  }
  if (lines !== '') yield lines;
}

async function readText(request: IncomingMessage): Promise<string> {
  const parts: Buffer[] = [];
  for await (const part of request) parts.push(part as Buffer);
  return Buffer.concat(parts).toString('utf8');
}
