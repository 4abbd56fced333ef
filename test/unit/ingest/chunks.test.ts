import { Readable } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { createIngest } from '../../../src/ingest/index.ts';
import { decodeChunk } from '../../../src/model/chunk.ts';
import { bodyOf, CSV_TYPE, JSON_TYPE, LINES_TYPE, refusal, request, take, takeText, texts } from './harness.ts';

const numbers = (count: number) => Array.from({ length: count }, (_, n) => `${n}`).join('\n');

describe('chunks', () => {
  it('grow along the request, keep ordinals and indexes in order, and only a single one is the only one', async () => {
    const chunkSizes = { itemsFirst: 2, itemsMax: 8, chunksPerSize: 2 };
    const taken = await takeText(numbers(35), LINES_TYPE, { chunkSizes });
    expect(taken.result.chunkItems).toEqual([2, 2, 4, 4, 8, 8, 7]);
    expect(taken.result.total).toBe(35);
    expect(taken.chunks.map((chunk) => chunk.header.firstIndex)).toEqual([0, 2, 4, 8, 12, 20, 28]);
    expect(texts(taken)).toEqual(numbers(35).split('\n'));
    expect(new Set(taken.onlys)).toEqual(new Set([false]));
    expect((await takeText('1\n2', LINES_TYPE, { chunkSizes })).onlys).toEqual([true]);
    expect((await takeText('1\n2\n\n', LINES_TYPE, { chunkSizes })).onlys).toEqual([true]);
    expect((await takeText('1\n2\n3', LINES_TYPE, { chunkSizes })).onlys).toEqual([false, false]);
  });

  it('never hold more payload bytes than allowed, unless one item alone does', async () => {
    const taken = await takeText('12345\n67890\n1\n12345678901\n2', LINES_TYPE, { chunkSizes: { bytesMax: 10 } });
    expect(taken.chunks.map((chunk) => chunk.payload.toString())).toEqual(['1234567890', '1', '12345678901', '2']);
    expect(taken.items.map((item) => item.line)).toEqual([1, 2, 3, 4, 5]);
  });

  it('keep a fault with its item when the item moves to the next chunk', async () => {
    const taken = await takeText('1\n2\n3333333\n4', LINES_TYPE, { chunkSizes: { itemsFirst: 2 }, itemBytesMax: 5 });
    expect(texts(taken)).toEqual(['1', '2', 'item_too_large', '4']);
    expect(taken.chunks[1]?.header.faults).toMatchObject([{ position: 0, code: 'item_too_large' }]);
  });

  it('are refused beyond their greatest number', async () => {
    const chunkSizes = { itemsFirst: 1, itemsMax: 1, chunksMax: 3 };
    expect((await takeText('1\n2\n3', LINES_TYPE, { chunkSizes })).result.total).toBe(3);
    expect(await refusal(takeText('1\n2\n3\n4', LINES_TYPE, { chunkSizes }))).toBe('content_too_large');
  });
});

describe('the sink', () => {
  const chunkSizes = { itemsFirst: 1, itemsMax: 1 };

  it('is called in order, twice at once at most, and a slow one stops the reading', async () => {
    let read = 0;
    const body = new Readable({
      highWaterMark: 1,
      read() {
        read++;
        this.push(read > 200 ? null : `${read}\n`);
      },
    });
    const calls: { ordinal: number; done: () => void }[] = [];
    const ingested = createIngest({ chunkSizes })(request(body, LINES_TYPE), (chunk) => {
      const { promise, resolve } = Promise.withResolvers<void>();
      calls.push({ ordinal: chunk.ordinal, done: resolve });
      return promise;
    });
    // Everything that is not held back by the sink is done once the event loop has nothing left but the sink.
    for (let turn = 0; turn < 100; turn++) await new Promise(setImmediate);
    expect(calls.map((call) => call.ordinal)).toEqual([0, 1]);
    expect(read).toBeLessThan(20);
    for (let n = 0; n < 200; n++) {
      while (calls[n] === undefined) await new Promise(setImmediate);
      expect(calls.length).toBeLessThanOrEqual(n + 2);
      calls[n]?.done();
    }
    expect((await ingested).total).toBe(200);
    expect(calls.map((call) => call.ordinal)).toEqual(Array.from({ length: 200 }, (_, n) => n));
  });

  it('that fails ends the ingest with its error, and is not called again', async () => {
    let calls = 0;
    const body = bodyOf(numbers(500));
    const ingested = createIngest({ chunkSizes })(request(body, LINES_TYPE), async () => {
      if (++calls === 3) throw new Error('disk full');
    });
    await expect(ingested).rejects.toThrow('disk full');
    expect(calls).toBeLessThanOrEqual(4);
    const atThrow = calls;
    for (let turn = 0; turn < 20; turn++) await new Promise(setImmediate);
    expect(calls).toBe(atThrow);
  });

  it('has finished every call when a refusal is thrown', async () => {
    let open = 0;
    const ingested = createIngest({ chunkSizes })(request(bodyOf('[1,2,3,4,,]'), JSON_TYPE), async (chunk) => {
      open++;
      expect(decodeChunk(chunk.blob).header.items).toBe(1);
      for (let turn = 0; turn < 20; turn++) await new Promise(setImmediate);
      open--;
    });
    expect(await refusal(ingested)).toBe('malformed_body@9');
    expect(open).toBe(0);
  });

  it('is not called for a body without items', async () => {
    let calls = 0;
    const sink = async () => {
      calls++;
    };
    expect(await refusal(createIngest()(request(bodyOf('[]'), JSON_TYPE), sink))).toBe('no_items');
    expect(calls).toBe(0);
    expect((await take(bodyOf('[1]'), JSON_TYPE)).onlys).toEqual([true]);
  });
});

describe('a bound on the items of a body', () => {
  it.each([
    ['JSON', JSON_TYPE, '[1,2,3]'],
    ['NDJSON', LINES_TYPE, '1\n2\n3\n'],
    ['CSV', CSV_TYPE, 'a\n1\n2\n3\n'],
  ])('lets %s with as many through and refuses one more, whatever the chunks', async (_name, type, body) => {
    for (const chunkItems of [1, 2, 3, 100]) {
      expect((await takeText(body, type, { itemsMax: 3, chunkItems })).result.total).toBe(3);
      const refused = takeText(body, type, { itemsMax: 2, chunkItems });
      await expect(refused).rejects.toMatchObject({ code: 'content_too_large', facts: { limit: 2, unit: 'items' } });
    }
  });

  it('refuses as soon as the item that is too many has come, the rest unread', async () => {
    let read = 0;
    const body = new Readable({
      highWaterMark: 1,
      read() {
        read++;
        this.push(`${read}\n`);
      },
    });
    expect(await refusal(take(body, LINES_TYPE, { itemsMax: 5 }))).toBe('content_too_large');
    expect(read).toBeLessThan(20);
    body.destroy();
  });
});

describe('a bound on the payload', () => {
  it('takes exactly so many bytes and refuses one more', async () => {
    expect((await takeText('[1,2]', JSON_TYPE, { payloadBytesMax: 5 })).result.total).toBe(2);
    const refused = takeText('[1,2]', JSON_TYPE, { payloadBytesMax: 4 });
    await expect(refused).rejects.toMatchObject({ code: 'content_too_large', facts: { limit: 4, unit: 'bytes' } });
  });
});

describe('a size of chunks that the request names', () => {
  it('is that of every chunk, instead of chunks that grow', async () => {
    const { result } = await takeText(numbers(100), LINES_TYPE, { chunkItems: 7 });
    expect(result.chunkItems).toEqual([...Array.from({ length: 14 }, () => 7), 2]);
  });
});
