/** What a test sets and reads of one vendor: `/control`, `/ledger`, its products or callbacks, `/health`. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { Jobs } from './jobs-api.ts';
import type { KeyMemory } from './key-memory.ts';
import type { Ledger } from './ledger.ts';
import type { ProductStore } from './product-store.ts';
import { DEFAULT_SETTINGS, mergeSettings, parseChange } from './settings.ts';
import type { VendorApi } from './vendor-api.ts';

export interface InspectionDeps {
  readonly api: VendorApi;
  readonly ledger: Ledger;
  readonly keys: KeyMemory;
  /** Null for a vendor of jobs. */
  readonly products: ProductStore | null;
  readonly jobs: Jobs | null;
}

type Route = (request: IncomingMessage, response: ServerResponse, query: URLSearchParams) => void | Promise<void>;

/** Handles everything that is not a call of the vendor's API. `path` is without the vendor's prefix. */
export function createInspection(deps: InspectionDeps) {
  const routes = { ...controlRoutes(deps), ...readRoutes(deps) };
  return async (request: IncomingMessage, response: ServerResponse, path: string): Promise<void> => {
    const url = new URL(path, 'http://vendor');
    const route = routes[`${request.method} ${url.pathname}`];
    if (route !== undefined) {
      await route(request, response, url.searchParams);
      return;
    }
    const id = /^\/products\/([^/]+)$/.exec(url.pathname)?.[1];
    const product =
      id === undefined || request.method !== 'GET' ? null : (deps.products?.get(decodeURIComponent(id)) ?? null);
    if (product !== null) sendJson(response, 200, product);
    else sendJson(response, 404, { code: 'not_found', message: `there is no ${request.method} ${url.pathname}` });
  };
}

function controlRoutes({ api }: InspectionDeps): Readonly<Record<string, Route>> {
  const reset: Route = (_request, response) => {
    api.configure(DEFAULT_SETTINGS, { reseed: true });
    sendJson(response, 200, api.settings());
  };
  return {
    'GET /control': (_request, response) => sendJson(response, 200, api.settings()),
    'POST /control': async (request, response) => {
      const parsed = parseChange(await readText(request));
      if (!parsed.ok) {
        sendJson(response, 400, { code: 'invalid_setting', errors: parsed.faults });
        return;
      }
      api.configure(mergeSettings(api.settings(), parsed.change), { reseed: parsed.change.seed !== undefined });
      sendJson(response, 200, api.settings());
    },
    'DELETE /control': reset,
    'POST /control/reset': reset,
  };
}

function readRoutes({ ledger, keys, products, jobs }: InspectionDeps): Readonly<Record<string, Route>> {
  return {
    'GET /health': (_request, response) => sendJson(response, 200, { status: 'ok' }),
    'GET /ledger': (_request, response, query) => {
      response.setHeader('ledger-first-seq', ledger.firstSeq());
      response.setHeader('ledger-last-seq', ledger.lastSeq());
      return sendLines(response, ledger.rows(Number(query.get('since') ?? 0) || 0));
    },
    'DELETE /ledger': (_request, response) => {
      ledger.clear();
      keys.clear();
      products?.clear();
      jobs?.clear();
      sendJson(response, 200, { lastSeq: ledger.lastSeq() });
    },
    'GET /callbacks': (_request, response) => sendJson(response, 200, jobs?.callbacks() ?? {}),
    'GET /products': (_request, response, query) => {
      const rows = products?.rows() ?? [];
      const doubledOnly = query.get('doubled') === 'true';
      return sendLines(response, doubledOnly ? [...rows].filter((row) => row.version > row.appliedKeys) : rows);
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
