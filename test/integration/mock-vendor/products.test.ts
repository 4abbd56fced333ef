import { afterEach, beforeEach, expect, test } from 'vitest';
import { startVendorUnderTest, type VendorUnderTest } from './vendor-under-test.ts';

let vendor: VendorUnderTest;
beforeEach(async () => {
  vendor = await startVendorUnderTest();
});
afterEach(() => vendor.close());

test('create, update and delete leave the state that they say', async () => {
  const created = await vendor.call('POST', '/products', 'k1', '{"name":"A","price":10}');
  const { id } = (await created.json()) as { id: string };
  expect((await vendor.call('PATCH', `/products/${id}`, 'k2', '{"price":12}')).status).toBe(200);
  expect((await vendor.call('DELETE', '/products/456', 'k3')).status).toBe(204);
  expect(await vendor.products()).toEqual([
    { id, product: { id, name: 'A', price: 12 }, version: 2, appliedKeys: 2, deleted: false },
    { id: '456', product: {}, version: 1, appliedKeys: 1, deleted: true },
  ]);
});

test('numbers stay digit for digit, also through a merge, and __proto__ is a member like any other', async () => {
  const body = '{"big":12345678901234567890,"huge":1e400,"zero":-0,"price":1.10,"__proto__":{"a":1}}';
  await vendor.call('PATCH', '/products/1', 'k1', body);
  await vendor.call('PATCH', '/products/1', 'k2', '{"stock":3.00}');
  const text = await (await fetch(`${vendor.url}/products/1`)).text();
  expect(text).toContain(`"product":${body.slice(0, -1)},"stock":3.00}`);
});

test('an id is taken from the decoded path or from the product created', async () => {
  await vendor.call('PATCH', '/products/a%2Fb%20c', 'k1', '{}');
  await vendor.call('POST', '/products', 'k2', '{"id":12345678901234567890}');
  expect((await vendor.products()).map((row) => row.id)).toEqual(['a/b c', '12345678901234567890']);
});

test('unseen ids count as existing, and do not where the vendor is strict', async () => {
  expect((await vendor.call('PATCH', '/products/1', 'k1', '{}')).status).toBe(200);
  await vendor.control({ strict: true });
  expect((await vendor.call('PATCH', '/products/1', 'k2', '{}')).status).toBe(200);
  expect((await vendor.call('PATCH', '/products/2', 'k3', '{}')).status).toBe(404);
  expect((await vendor.call('DELETE', '/products/1', 'k4')).status).toBe(204);
  expect((await vendor.call('DELETE', '/products/1', 'k5')).status).toBe(404);
  expect((await vendor.call('POST', '/products', 'k6', '{"id":"x","name":"X"}')).status).toBe(201);
  expect((await vendor.call('POST', '/products', 'k7', '{"id":"x","name":"X"}')).status).toBe(409);
  expect((await vendor.call('POST', '/products', 'k8', '{}')).status).toBe(422);
});

test.each([
  ['POST', '/products', '[]', 400],
  ['POST', '/products', '{"name":', 400],
  ['POST', '/products', undefined, 400],
  ['PATCH', '/products/1', '"text"', 400],
  ['PUT', '/products/1', '{}', 404],
  ['PATCH', '/products', '{}', 404],
  ['DELETE', '/products/', undefined, 404],
  ['DELETE', '/products/%zz', undefined, 404],
])('%s %s with %s is refused and has no effect', async (method, path, body, status) => {
  expect((await vendor.call(method, path, 'k', body)).status).toBe(status);
  expect(await vendor.ledger()).toMatchObject([{ status, applied: false }]);
  expect(await vendor.products()).toEqual([]);
});

test('an empty product still gets an id', async () => {
  expect(await (await vendor.call('POST', '/products', 'k', '{ }')).json()).toEqual({ id: 'p_1' });
});

test('the ledger keeps when a call says that it left, and nothing where it says nothing of sense', async () => {
  const call = (sentAt: string | null) =>
    fetch(`${vendor.url}/products/1`, {
      method: 'PATCH',
      body: '{}',
      headers: sentAt === null ? {} : { 'Tranche-Sent-At': sentAt },
    });
  for (const sentAt of ['1790000000000.625', null, 'yesterday', '']) await (await call(sentAt)).text();
  const told = (await vendor.ledger()).map(({ sentAtMs }) => sentAtMs);
  expect(told).toEqual([1_790_000_000_000.625, null, null, null]);
});
