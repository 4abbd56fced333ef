/** What the mock vendor's tests share: a vendor on a free port, calls with a key, and its ledger as rows. */

import type { LedgerRow } from '../../../src/mock-vendor/ledger.ts';
import type { ProductRow } from '../../../src/mock-vendor/product-store.ts';
import { type MockVendor, type MockVendorOptions, startMockVendor } from '../../../src/mock-vendor/server.ts';

export interface VendorUnderTest extends MockVendor {
  call(method: string, path: string, key: string | null, body?: string): Promise<Response>;
  control(change: Readonly<Record<string, unknown>>): Promise<Response>;
  ledger(since?: number): Promise<LedgerRow[]>;
  products(query?: string): Promise<ProductRow[]>;
}

export async function startVendorUnderTest(options: Partial<MockVendorOptions> = {}): Promise<VendorUnderTest> {
  const vendor = await startMockVendor({ host: '127.0.0.1', port: 0, ...options });
  return {
    ...vendor,
    call: (method, path, key, body) =>
      fetch(`${vendor.url}${path}`, {
        method,
        headers: { 'content-type': 'application/json', ...(key === null ? {} : { 'idempotency-key': key }) },
        ...(body === undefined ? {} : { body }),
      }),
    control: (change) => fetch(`${vendor.url}/control`, { method: 'POST', body: JSON.stringify(change) }),
    ledger: async (since = 0) => toRows<LedgerRow>(await (await fetch(`${vendor.url}/ledger?since=${since}`)).text()),
    products: async (query = '') => toRows<ProductRow>(await (await fetch(`${vendor.url}/products${query}`)).text()),
  };
}

/** The lines are what the vendor wrote: their shape is what the tests check. */
function toRows<Row>(ndjson: string): Row[] {
  return ndjson
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line) as Row);
}

/** Polls until `read` gives a value; the bound turns a missing event into a failure, not a hang. */
export async function eventually<Value>(read: () => Promise<Value | null>): Promise<Value> {
  for (let attempt = 0; attempt < 500; attempt++) {
    const value = await read();
    if (value !== null) return value;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  throw new Error('did not come to pass within 5 s');
}
