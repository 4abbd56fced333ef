import { afterEach, beforeEach, expect, test } from 'vitest';
import { startVendorUnderTest, type VendorUnderTest } from './vendor-under-test.ts';

let vendor: VendorUnderTest;
beforeEach(async () => {
  vendor = await startVendorUnderTest();
});
afterEach(() => vendor.close());

test('a second call under a key gets the stored answer and has no effect', async () => {
  const first = await vendor.call('POST', '/products', 'k1', '{"name":"A"}');
  const second = await vendor.call('POST', '/products', 'k1', '{"name":"A"}');
  expect([first.status, second.status]).toEqual([201, 201]);
  expect(first.headers.get('idempotent-replayed')).toBeNull();
  expect(second.headers.get('idempotent-replayed')).toBe('true');
  expect(await second.text()).toBe(await first.text());
  expect((await vendor.ledger()).map((row) => [row.key, row.status, row.applied, row.replayed])).toEqual([
    ['k1', 201, true, false],
    ['k1', 201, false, true],
  ]);
  expect(await vendor.products()).toHaveLength(1);
});

test('a stored refusal is replayed even after its cause is gone', async () => {
  await vendor.control({ rejectNames: ['bad'] });
  expect((await vendor.call('POST', '/products', 'k1', '{"name":"bad"}')).status).toBe(422);
  await vendor.control({ rejectNames: [] });
  const again = await vendor.call('POST', '/products', 'k1', '{"name":"bad"}');
  expect([again.status, again.headers.get('idempotent-replayed')]).toEqual([422, 'true']);
  expect((await vendor.call('POST', '/products', 'k2', '{"name":"bad"}')).status).toBe(201);
});

test('while the first call under a key runs, another one is answered 409', async () => {
  await vendor.control({ latencyMs: 500 });
  const patch = () => vendor.call('PATCH', '/products/7', 'k1', '{"price":1}');
  const answers = await Promise.all([patch(), patch()]);
  expect(answers.map((answer) => answer.status).sort()).toEqual([200, 409]);
  const refused = answers.find((answer) => answer.status === 409);
  expect(await refused?.json()).toMatchObject({ code: 'idempotency_key_in_use' });
  expect((await vendor.ledger()).filter((row) => row.applied)).toHaveLength(1);
});

test.each([
  ['another body', 'PATCH', '/products/7', '{"price":2}'],
  ['another path', 'PATCH', '/products/8', '{"price":1}'],
  ['another method', 'DELETE', '/products/7', undefined],
])('%s under a used key is refused', async (_what, method, path, body) => {
  await vendor.call('PATCH', '/products/7', 'k1', '{"price":1}');
  const reused = await vendor.call(method, path, 'k1', body);
  expect(reused.status).toBe(422);
  expect(await reused.json()).toMatchObject({ code: 'idempotency_key_reused' });
  expect((await vendor.ledger()).filter((row) => row.applied)).toHaveLength(1);
});

test('an injected error is not stored: the same key is executed later', async () => {
  await vendor.control({ errors: { 500: 1 } });
  expect((await vendor.call('PATCH', '/products/7', 'k1', '{}')).status).toBe(500);
  await vendor.control({ errors: {} });
  expect((await vendor.call('PATCH', '/products/7', 'k1', '{}')).status).toBe(200);
  expect((await vendor.ledger()).map((row) => row.applied)).toEqual([false, true]);
});

test('calls without a key are all executed', async () => {
  await vendor.call('POST', '/products', null, '{}');
  await vendor.call('POST', '/products', null, '{}');
  expect((await vendor.ledger()).map((row) => [row.key, row.applied])).toEqual([
    [null, true],
    [null, true],
  ]);
});

test('a vendor that ignores keys doubles effects, and shows it', async () => {
  await vendor.control({ ignoreKeys: true });
  await vendor.call('PATCH', '/products/7', 'k1', '{}');
  await vendor.call('PATCH', '/products/7', 'k1', '{}');
  await vendor.call('PATCH', '/products/8', 'k2', '{}');
  expect(await vendor.products('?doubled=true')).toMatchObject([{ id: '7', version: 2, appliedKeys: 1 }]);
  expect((await vendor.ledger()).filter((row) => row.applied && row.key === 'k1')).toHaveLength(2);
});

test('the oldest keys are forgotten when more than the bound are kept', async () => {
  await vendor.close();
  vendor = await startVendorUnderTest({ keysMax: 4 });
  for (const key of ['a', 'b', 'c', 'd', 'e']) await vendor.call('PATCH', '/products/1', key, '{}');
  const newest = await vendor.call('PATCH', '/products/1', 'e', '{}');
  const oldest = await vendor.call('PATCH', '/products/1', 'a', '{}');
  expect(newest.headers.get('idempotent-replayed')).toBe('true');
  expect(oldest.headers.get('idempotent-replayed')).toBeNull();
});
