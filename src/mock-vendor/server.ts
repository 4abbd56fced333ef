/** A vendor to develop and test against: the products API, its controls and its ledger on one plain HTTP server. */
import { createServer } from 'node:http';
import { startCallsLog } from './calls-log.ts';
import { createInspection } from './inspection.ts';
import { createKeyMemory } from './key-memory.ts';
import { startLagMeter } from './lag-meter.ts';
import { createLedger } from './ledger.ts';
import { createProductStore } from './product-store.ts';
import { createProductsApi } from './products-api.ts';
import { DEFAULT_SETTINGS } from './settings.ts';

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

  const inspect = createInspection({ api, ledger, keys, products });
  const server = createServer({ keepAliveTimeout: KEEP_ALIVE_MS, requestTimeout: 0 }, (request, response) => {
    response.sendDate = false;
    if (request.method !== 'GET' && request.url?.startsWith('/products')) return api.handle(request, response);
    inspect(request, response).catch(() => response.destroy());
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
