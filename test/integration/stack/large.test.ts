/** Large and hostile bodies on the running server: what the table of SURFACES promises, in constant memory. */
import { randomUUID } from 'node:crypto';
import { Readable } from 'node:stream';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { blobsBeyond, blobsOf, nothingBeyond } from '../../fixtures/stack/blobs.ts';
import { asOperation } from '../../fixtures/stack/client.ts';
import { eventually } from '../../fixtures/stack/eventually.ts';
import { allAppliedOnce, resultsThatMatch, tell } from '../../fixtures/stack/faults.ts';
import { largeBody, noopLines, productLines, productRows, slowBody } from '../../fixtures/stack/items.ts';
import { growthWhile } from '../../fixtures/stack/memory.ts';
import { type Stack, startStack } from '../../fixtures/stack/stack.ts';
import { watchOperation } from '../../fixtures/stack/watch.ts';

const MIB = 1024 * 1024;
const GROWTH_MAX_MIB = 150;
const QUOTA_BYTES = 1_100_000_000;
const JSON_TYPE = 'application/json';
const CSV_TYPE = 'text/csv';

let stack: Stack;

beforeAll(async () => {
  stack = await startStack({ BODY_BYTES_MAX: `${QUOTA_BYTES}`, BODY_IDLE_TIMEOUT_MS: '2000' });
});
afterAll(() => stack?.stop());
beforeEach(() => stack.vendor.reset());

describe('large inputs', () => {
  it('run 100,000 rows of CSV to the end, each row applied once', async () => {
    const rows = 100_000;
    const { id, counts } = await stack.client.accept({ body: productRows(rows), type: CSV_TYPE });
    expect(counts.total).toBe(rows);
    const watch = watchOperation(stack.client, id);
    const ended = await stack.client.ended(id);
    await watch.stop();
    await allAppliedOnce(stack.client, ended, await stack.vendor.ledger());
    const last = await (await fetch(`${stack.vendor.url}/products/${rows}`)).json();
    expect(last).toMatchObject({ product: { name: `product ${rows}`, price: rows - 0.5 } });
    expect(watch.faults).toEqual([]);
    expect(watch.slowestMs()).toBeLessThan(2_000);
  });

  it('run 1,000,000 lines of NDJSON to the end, with results for every index in order', async () => {
    const items = 1_000_000;
    const startedAt = performance.now();
    const upload = () => stack.client.accept({ body: noopLines(items), target: 'noop' });
    const { result, growthMiB } = await growthWhile(stack, upload);
    const ended = await stack.client.ended(result.id);
    expect(ended).toMatchObject({ outcome: 'succeeded', counts: { total: items, succeeded: items } });
    const tookMs = performance.now() - startedAt;
    await resultsThatMatch(stack.client, ended);
    tell(`1,000,000 items ended after ${tookMs.toFixed(0)} ms; the API grew by ${growthMiB.toFixed(0)} MiB`);
    expect(growthMiB).toBeLessThan(GROWTH_MAX_MIB);
  });
});

describe('a body that is refused as a whole', () => {
  const gzip = gzipSync(productLines(1_000));
  const badCrc = Buffer.from(gzip);
  badCrc[gzip.length - 8] = (badCrc[gzip.length - 8] ?? 0) ^ 1;
  const gzipped = { 'content-encoding': 'gzip' };
  const multipart = (boundary: string) => `multipart/form-data${boundary}`;

  it.each([
    ['truncated JSON', 400, 'malformed_body', { type: JSON_TYPE, body: '[{"a":1},{"b"' }],
    ['trailing garbage', 400, 'malformed_body', { type: JSON_TYPE, body: '[{"a":1}] x' }],
    ['a truncated gzip stream', 400, 'malformed_body', { body: gzip.subarray(0, -9), headers: gzipped }],
    ['a gzip stream of bad CRC', 400, 'malformed_body', { body: badCrc, headers: gzipped }],
    ['multipart without a boundary', 400, 'malformed_body', { type: multipart(''), body: 'x' }],
    ['an unknown coding', 415, 'unsupported_content_coding', { body: gzip, headers: { 'content-encoding': 'br' } }],
    [
      'a doubled coding',
      ...([415, 'unsupported_content_coding'] as const),
      { body: gzipSync(gzip), headers: { 'content-encoding': 'gzip, gzip' } },
    ],
    ['an unknown media type', 415, 'unsupported_media_type', { type: 'text/html', body: '<p>' }],
    ['nothing', 422, 'no_items', { type: JSON_TYPE, body: '[]' }],
    ['only a BOM', 422, 'no_items', { body: '\ufeff' }],
    ['only a header', 422, 'no_items', { type: CSV_TYPE, body: 'type,id\r\n' }],
    ['only blank lines', 422, 'no_items', { body: '\n \r\n\t\r\n' }],
    ['doubled header names', 422, 'invalid_header', { type: CSV_TYPE, body: 'type,id,id\nupdate,1,2\n' }],
    ['an empty header name', 422, 'invalid_header', { type: CSV_TYPE, body: 'type,,id\nupdate,1,2\n' }],
    [
      'UTF-16',
      ...([422, 'unsupported_charset'] as const),
      { type: CSV_TYPE, body: Buffer.from('\ufefftype,id\nupdate,1\n', 'utf16le') },
    ],
  ] as const)('%s: %i %s, and nothing is kept', async (_name, status, code, submission) => {
    const before = await blobsOf(stack.dataDir);
    const answer = await stack.client.submit(submission);
    expect(answer).toMatchObject({ status, body: { status, code } });
    expect(answer.headers['content-type']).toMatch(/^application\/problem\+json/);
    if (status === 400) expect(answer.body).toHaveProperty('offset', expect.any(Number));
    if (code === 'unsupported_content_coding') expect(answer.headers['accept-encoding']).toBe('gzip');
    expect(await blobsBeyond(stack.dataDir, before)).toEqual([]);
  });
});

describe('an item that cannot be applied', () => {
  const good = '{"type":"update","id":1,"product":{"price":1}}';
  const nested = `{"type":"update","id":1,"product":{"deep":${'['.repeat(100_000)}${']'.repeat(100_000)}}}`;

  it.each([
    ['nested 100,000 brackets deep', 'item_too_deep', `${good}\n${nested}\n${good}\n`],
    ['of invalid UTF-8', 'invalid_utf8', Buffer.from(`${good}\n{"type":"upd\xffate"}\n${good}\n`, 'latin1')],
    ['with a raw control character', 'invalid_json', `${good}\n{"type":"up\u0001date"}\n${good}\n`],
    ['that is a broken line', 'invalid_json', `${good}\n{"type":\n${good}\n`],
    ['against the schema', 'invalid_item', `${good}\n{"type":"replace"}\n${good}\n`],
  ])('%s fails by itself with %s, and the rest goes on', async (_name, code, body) => {
    const { id } = await stack.client.accept({ body });
    const ended = await stack.client.ended(id);
    expect(ended).toMatchObject({ outcome: 'partially_succeeded', counts: { total: 3, succeeded: 2, failed: 1 } });
    const { sample } = await resultsThatMatch(stack.client, ended);
    expect(sample[1]).toMatchObject({ index: 1, line: 2, outcome: 'failed', error: { code, retryable: false } });
    if (code === 'invalid_json') expect(sample[1]).toHaveProperty('error.column', expect.any(Number));
    expect(await stack.vendor.ledger()).toHaveLength(2);
  });

  it('is a ragged row, and one with a quote that is never closed', async () => {
    const body = 'type,id,price\r\nupdate,1,2\r\nupdate,2\r\nupdate,3,4\r\nupdate,4,"5\r\nupdate,5,6\r\n';
    const { id } = await stack.client.accept({ body, type: CSV_TYPE });
    const { sample, outcomes } = await resultsThatMatch(stack.client, await stack.client.ended(id));
    expect(outcomes).toEqual(['succeeded', 'failed', 'succeeded', 'failed']);
    expect(sample[1]).toMatchObject({ line: 3, error: { code: 'csv_ragged_row' } });
    expect(sample[3]).toMatchObject({ line: 5, error: { code: expect.stringMatching(/csv/) } });
  });
});

describe('an item that is odd but right', () => {
  it('reaches the target digit for digit, as plain data, with the last of doubled members', async () => {
    const id = '90071992547409931234567';
    const product = '{"big":123456789012345678901234567890,"huge":1e400,"zero":-0,"__proto__":{"x":1},"constructor":2}';
    const lines = [
      `{"type":"update","id":${id},"product":${product}}`,
      '{"type":"update","id":7,"id":8,"product":{"price":1,"price":2}}',
    ];
    const body = `\ufeff${lines[0]}\r\n\r\n\r${lines[1]}`;
    const operation = await stack.client.accept({ body });
    expect(await stack.client.ended(operation.id)).toMatchObject({ outcome: 'succeeded', counts: { total: 2 } });
    expect((await stack.vendor.ledger()).map(({ path }) => path).sort()).toEqual(['/products/8', `/products/${id}`]);
    const stored = await (await fetch(`${stack.vendor.url}/products/${id}`)).text();
    for (const piece of ['123456789012345678901234567890', '1e400', '-0', '"__proto__":{"x":1}', '"constructor":2']) {
      expect(stored).toContain(piece);
    }
    expect(await (await fetch(`${stack.vendor.url}/products/8`)).json()).toMatchObject({ product: { price: 2 } });
  });
});

describe('a huge body', () => {
  it('with a line of 600 MiB costs that item, and no memory', async () => {
    const good = '{"type":"update","id":1,"product":{"price":1}}\n';
    const body = () => largeBody(`${good}{"x":"`, 'x', 600 * MIB, `"}\n${good}`);
    const { result, growthMiB } = await growthWhile(stack, () => stack.client.accept({ body: body() }));
    const ended = await stack.client.ended(result.id);
    expect(ended).toMatchObject({ counts: { total: 3, succeeded: 2, failed: 1 } });
    const { sample } = await resultsThatMatch(stack.client, ended);
    expect(sample[1]).toMatchObject({ index: 1, line: 2, error: { code: 'item_too_large' } });
    tell(`a line of 600 MiB: the API grew by ${growthMiB.toFixed(0)} MiB`);
    expect(growthMiB).toBeLessThan(GROWTH_MAX_MIB);
  });

  it('of 1 GB of newlines has no items, and costs no memory', async () => {
    const before = await blobsOf(stack.dataDir);
    const submit = () => stack.client.submit({ body: largeBody('', '\n', 1_000_000_000, '') });
    const { result, growthMiB } = await growthWhile(stack, submit);
    expect(result).toMatchObject({ status: 422, body: { code: 'no_items' } });
    tell(`1 GB of newlines: ${result.tookMs.toFixed(0)} ms, the API grew by ${growthMiB.toFixed(0)} MiB`);
    expect(growthMiB).toBeLessThan(GROWTH_MAX_MIB);
    expect(await blobsBeyond(stack.dataDir, before)).toEqual([]);
  });

  it('from a gzip bomb is refused as soon as it is over the quota', async () => {
    const before = await blobsOf(stack.dataDir);
    const items = gzipSync(productLines(200_000));
    const filler = gzipSync(Buffer.alloc(64 * MIB, 'x'));
    // 64 GiB inflated: who reads on does not answer in time.
    const bomb = () => Readable.from([items, ...Array.from({ length: 1_024 }, () => filler)]);
    const submit = () => stack.client.submit({ body: bomb(), target: 'noop', headers: { 'content-encoding': 'gzip' } });
    const { result, growthMiB } = await growthWhile(stack, submit);
    expect(result).toMatchObject({ status: 413, body: { code: 'content_too_large' } });
    tell(`a gzip bomb: ${result.tookMs.toFixed(0)} ms, the API grew by ${growthMiB.toFixed(0)} MiB`);
    expect(growthMiB).toBeLessThan(GROWTH_MAX_MIB);
    await eventually('the staged chunks being gone', () => nothingBeyond(stack.dataDir, before));
  });
});

describe('an upload that does not come to its end', () => {
  const text = productLines(60_000);

  it('leaves nothing behind where its client goes away', async () => {
    const before = await blobsOf(stack.dataDir);
    const key = randomUUID();
    const body = slowBody(text, 64 * 1024, 20);
    const upload = stack.client.submit({ body, key }).catch(() => 'broken off');
    await eventually('staged chunks', async () => (await blobsBeyond(stack.dataDir, before)).length > 1);
    body.destroy(new Error('the client goes away'));
    expect(await upload).toBe('broken off');
    await eventually('the staged chunks being gone', () => nothingBeyond(stack.dataDir, before));
    expect((await stack.client.send('GET', `/v1/operations/${key}`)).status).toBe(404);
  });

  it('gets 408 where no byte comes any more, and leaves nothing behind', async () => {
    const before = await blobsOf(stack.dataDir);
    async function* stalling() {
      yield Buffer.from(text.slice(0, 1_000_000));
      await new Promise((wake) => setTimeout(wake, 20_000).unref());
    }
    const body = Readable.from(stalling());
    const answer = await stack.client.submit({ body });
    body.destroy();
    expect(answer).toMatchObject({ status: 408, body: { code: 'body_timeout' } });
    await eventually('the staged chunks being gone', () => nothingBeyond(stack.dataDir, before));
  });

  it('does not keep the server from taking the next', async () => {
    const answer = await stack.client.submit({ body: productLines(10) });
    expect(await stack.client.ended(asOperation(answer.body).id)).toMatchObject({ outcome: 'succeeded' });
  });
});
