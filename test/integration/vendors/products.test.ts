import { expect, test } from 'vitest';
import { parseExact } from '../../../src/targets/exact-json.ts';
import { products } from '../../../src/targets/products.ts';
import { createVendorClient } from '../../../src/vendors/client.ts';
import { createLocalSlots } from '../../../src/vendors/local-slots.ts';
import { startVendorUnderTest } from '../mock-vendor/vendor-under-test.ts';

test('numbers go from an item to the vendor and its id back, digit for digit', async () => {
  const vendor = await startVendorUnderTest();
  const slots = createLocalSlots();
  const client = createVendorClient({ name: 'products', baseUrl: vendor.url, connections: 1, slots });
  const signal = new AbortController().signal;
  const body = '{"id":12345678901234567890,"huge":1e400,"zero":-0,"price":1.10}';
  const { value, exact } = parseExact(`{"type":"create","product":${body}}`);
  const applied = await products.applyOne?.(
    { index: 0, item: products.item.parse(value), exact, idempotencyKey: 'u:0' },
    {
      signal,
      operation: { account: 'default', id: 'op', uid: 'u' },
      vendor: (request) =>
        client.call(request, { account: 'default', mayCall: () => true, timeoutMs: 5_000, waiting: signal, signal }),
    },
  );
  expect(applied).toEqual({ kind: 'succeeded', result: { status: 201, id: '12345678901234567890' } });
  expect(await (await fetch(`${vendor.url}/products`)).text()).toContain(`"product":${body},`);
  await client.close();
  await vendor.close();
});
