/** Vendors to develop and test against on one plain HTTP server: products, and jobs under `/sync` and `/async`. */
import { createServer } from 'node:http';
import { startCallsLog } from './calls-log.ts';
import { createInspection } from './inspection.ts';
import { createAsyncJobs, createSyncJobs } from './jobs-api.ts';
import { createKeyMemory } from './key-memory.ts';
import { startLagMeter } from './lag-meter.ts';
import { createLedger } from './ledger.ts';
import { createProductStore } from './product-store.ts';
import { executeOn } from './products-api.ts';
import { DEFAULT_SETTINGS } from './settings.ts';
import { createVendorApi, type VendorApiDeps } from './vendor-api.ts';

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
  const lag = startLagMeter();
  const memory = () => ({
    ledger: createLedger(options.ledgerRowsMax ?? KEPT_MAX),
    keys: createKeyMemory(options.keysMax ?? KEPT_MAX),
  });
  const vendor = (own: ReturnType<typeof memory>, execute: VendorApiDeps['execute']) =>
    createVendorApi({ ...own, execute, lagMs: lag.lagMs }, DEFAULT_SETTINGS);

  const products = createProductStore();
  const ofProducts = memory();
  const api = vendor(ofProducts, executeOn(products));
  const inspect = createInspection({ api, ...ofProducts, products, jobs: null });
  const callsLog = options.callsLogPath === undefined ? null : startCallsLog(options.callsLogPath, ofProducts.ledger);
  const jobs = { '/sync': createSyncJobs(), '/async': createAsyncJobs() };
  const jobVendors = Object.entries(jobs).map(([prefix, each]) => {
    const own = memory();
    const jobsApi = vendor(own, each.execute);
    return { prefix, api: jobsApi, inspect: createInspection({ api: jobsApi, ...own, products: null, jobs: each }) };
  });

  const server = createServer({ keepAliveTimeout: KEEP_ALIVE_MS, requestTimeout: 0 }, (request, response) => {
    response.sendDate = false;
    const path = request.url ?? '/';
    if (request.method !== 'GET' && path.startsWith('/products')) return api.handle(request, response);
    const jobVendor = jobVendors.find(({ prefix }) => path.startsWith(`${prefix}/`));
    const own = path.slice(jobVendor?.prefix.length ?? 0);
    if (jobVendor !== undefined && /^\/jobs(\/|$)/.test(own)) return jobVendor.api.handle(request, response);
    (jobVendor?.inspect ?? inspect)(request, response, own).catch(() => response.destroy());
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
      await Promise.all(Object.values(jobs).map((each) => each.close()));
      await callsLog?.close();
    },
  };
}
