import { describe, expect, test } from 'vitest';
import type { Transient } from '../../../src/model/outcome.ts';
import { parseExact } from '../../../src/targets/exact-json.ts';
import { noop } from '../../../src/targets/noop.ts';
import { products } from '../../../src/targets/products.ts';
import type { NotCalled, VendorAnswer, VendorRequest } from '../../../src/vendors/vendor.ts';

const operation = { account: 'default', id: 'op', uid: 'u' };
const signal = new AbortController().signal;

async function apply(text: string, answer: VendorAnswer | Transient | NotCalled = OK) {
  const { value, exact } = parseExact(text);
  const item = products.item.parse(value);
  const requests: VendorRequest[] = [];
  const vendor = async (request: VendorRequest) => {
    requests.push(request);
    return answer;
  };
  const applied = await products.applyOne?.(
    { index: 7, item, exact, idempotencyKey: 'u:7' },
    { vendor, signal, operation },
  );
  return { applied, request: requests[0] };
}

const OK: VendorAnswer = { kind: 'answer', status: 200, body: '{}' };
const answer = (status: number, body: string): VendorAnswer => ({ kind: 'answer', status, body });

describe('the call', () => {
  test.each([
    ['{"type":"create","product":{"name":"A","price":1.10}}', 'POST', '/products', '{"name":"A","price":1.10}'],
    ['{"type":"update","id":123,"product":{"n":-0,"h":1e400}}', 'PATCH', '/products/123', '{"n":-0,"h":1e400}'],
    ['{"type":"delete","id":456,"product":{"a":1}}', 'DELETE', '/products/456', null],
    ['{"type":"delete","id":12345678901234567890}', 'DELETE', '/products/12345678901234567890', null],
    ['{"type":"delete","id":"a/b?c#d e%"}', 'DELETE', '/products/a%2Fb%3Fc%23d%20e%25', null],
    ['{"type":"create","id":9,"product":{"__proto__":{"a":1}}}', 'POST', '/products', '{"__proto__":{"a":1}}'],
  ])('of %s is %s %s', async (text, method, path, body) => {
    expect((await apply(text)).request).toEqual({ method, path, body, idempotencyKey: 'u:7' });
  });
});

describe('the outcome', () => {
  const create = '{"type":"create","product":{}}';

  test.each([
    [answer(201, '{"id":"p_1","name":"A"}'), { status: 201, id: 'p_1' }],
    [answer(200, '{"id":5}'), { status: 200, id: 5 }],
    [answer(200, '{"id":12345678901234567890}'), { status: 200, id: '12345678901234567890' }],
    [answer(204, ''), { status: 204 }],
    [answer(200, '<html>'), { status: 200 }],
    [answer(200, `{"id":"${'x'.repeat(600)}"}`), { status: 200 }],
    [answer(200, '{"id":{"a":1}}'), { status: 200 }],
  ])('of %j is succeeded, with status and id alone', async (given, result) => {
    expect((await apply(create, given)).applied).toEqual({ kind: 'succeeded', result });
  });

  test.each([
    [answer(422, '{"code":"x","message":"name is required"}'), 'vendor answered 422: name is required'],
    [answer(404, '{"error":{"message":"no such product"}}'), 'vendor answered 404: no such product'],
    [answer(400, '{"error":"bad"}'), 'vendor answered 400: bad'],
    [answer(400, '{"title":"Bad","detail":"id is odd"}'), 'vendor answered 400: id is odd'],
    [answer(403, 'go\n  away'), 'vendor answered 403: go away'],
    [answer(302, ''), 'vendor answered 302'],
    [answer(400, 'x'.repeat(1_000)), `vendor answered 400: ${'x'.repeat(200)}`],
  ])('of %j is failed and says why', async (given, message) => {
    const error = { code: 'vendor_rejected', message, retryable: false };
    expect((await apply(create, given)).applied).toEqual({ kind: 'failed', error });
  });

  test('of a transient answer or a call not made is handed on', async () => {
    const transient: Transient = { kind: 'transient', code: 'vendor_error', message: '', doubt: true, counts: true };
    expect((await apply(create, transient)).applied).toBe(transient);
    expect((await apply(create, { kind: 'not_called' })).applied).toEqual({ kind: 'not_called' });
  });
});

test.each([
  ['5', 'item must be an object'],
  ['null', 'item must be an object'],
  ['{}', 'type must be create, update or delete'],
  ['{"type":"upsert"}', 'type must be create, update or delete'],
  ['{"type":"create"}', 'product is required'],
  ['{"type":"create","product":[]}', 'product must be an object'],
  ['{"type":"update","product":{}}', 'id is required'],
  ['{"type":"update","id":1}', 'product is required'],
  ['{"type":"delete","id":null}', 'id must be a string or a number'],
  ['{"type":"delete","id":""}', 'id must not be empty'],
  ['{"type":"delete","id":"."}', 'id cannot be part of a URL'],
  ['{"type":"delete","id":".."}', 'id cannot be part of a URL'],
  ['{"type":"delete","id":"\\ud800"}', 'id cannot be part of a URL'],
  ['{"type":"delete","id":1e400}', 'id must be a string or a number'],
])('%s is invalid: %s', (text, message) => {
  const parsed = products.item.safeParse(JSON.parse(text));
  expect(parsed.error?.issues.map((issue) => issue.message)).toEqual([message]);
});

test('unknown members are tolerated', () => {
  expect(products.item.safeParse({ type: 'delete', id: 1, note: 'x' }).success).toBe(true);
});

test.each([
  ['{"type":"update","id":123}', { type: 'update', id: 123 }],
  ['{"type":"update","id":12345678901234567890}', { type: 'update', id: '12345678901234567890' }],
  ['{"type":"create"}', { type: 'create' }],
  ['{"type":5,"id":["a"]}', {}],
  ['[]', {}],
  ['null', {}],
])('the label of %s is what can be shown of it', (text, label) => {
  expect(products.label?.(parseExact(text).exact)).toEqual(label);
});

describe('a CSV row', () => {
  test.each([
    [
      { type: 'update', id: '007', name: 'A "b"', price: '1.10', stock: '12345678901234567890' },
      '{"type":"update","id":"007","product":{"name":"A \\"b\\"","price":1.10,"stock":12345678901234567890}}',
    ],
    [{ type: 'delete', id: '5' }, '{"type":"delete","id":"5"}'],
    [{ price: '1,5', quantity: '007', stock: '' }, '{"product":{"price":"1,5","quantity":"007","stock":""}}'],
    [{ price: '-0', quantity: '1e3', sku: '12' }, '{"product":{"price":-0,"quantity":1e3,"sku":"12"}}'],
    [{ ['__proto__']: 'x' }, '{"product":{"__proto__":"x"}}'],
    [{}, '{}'],
  ])('%j becomes %s', (row, text) => {
    expect(products.fromRow?.(row)).toBe(text);
  });

  test('without a type is invalid', () => {
    expect(products.item.safeParse(JSON.parse(String(products.fromRow?.({ name: 'A' })))).success).toBe(false);
  });
});

test.each([
  ['{}', { kind: 'succeeded' }],
  ['5', { kind: 'succeeded' }],
  ['null', { kind: 'succeeded' }],
  ['{"fail":1}', { kind: 'succeeded' }],
  ['{"fail":"odd"}', { kind: 'failed', error: { code: 'odd', message: 'the item asked to fail', retryable: false } }],
])('noop takes %s and answers at once', (text, applied) => {
  const item = noop.item.parse(JSON.parse(text));
  const context = { vendor: () => Promise.reject(new Error('nobody is called')), signal, operation };
  expect(noop.applyOne?.({ index: 0, item, exact: item, idempotencyKey: 'u:0' }, context)).toEqual(applied);
});
