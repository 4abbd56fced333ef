import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CSV_TYPE, JSON_TYPE, LINES_TYPE, partsBody, refusal, split, take, takeText, texts } from './harness.ts';

const gzipped = (bytes: Buffer, overrides = {}) =>
  take(partsBody([bytes]), JSON_TYPE, { contentEncoding: 'gzip', ...overrides });
const BODY = JSON.stringify(Array.from({ length: 2_000 }, (_, n) => ({ id: n, title: `widget ${n * 7919}` })));
const GZIP = gzipSync(BODY);

describe('content coding', () => {
  it('gives plain and gzipped bodies the same hash, bytes and items at any split', async () => {
    const check = fc.asyncProperty(
      fc.array(fc.jsonValue(), { minLength: 1 }),
      fc.array(fc.nat(), { maxLength: 5 }),
      async (values, cuts) => {
        const body = Buffer.from(JSON.stringify(values));
        const plain = await take(partsBody(split(body, cuts)), JSON_TYPE);
        const coded = await take(partsBody(split(gzipSync(body), cuts)), JSON_TYPE, { contentEncoding: 'GZIP' });
        expect(coded.result).toEqual(plain.result);
        expect(coded.items).toEqual(plain.items);
        expect(plain.result.input).toEqual({
          mediaType: JSON_TYPE,
          bytes: body.length,
          sha256: createHash('sha256').update(body).digest('hex'),
        });
      },
    );
    await fc.assert(check, { numRuns: 100 });
  });

  it('takes concatenated members at any split', async () => {
    const members = Buffer.concat([gzipSync('[1,'), gzipSync(''), gzipSync('2]')]);
    for (let at = 0; at <= members.length; at++) {
      const taken = await take(partsBody(split(members, [at])), JSON_TYPE, { contentEncoding: 'gzip' });
      expect(texts(taken)).toEqual(['1', '2']);
    }
  });

  it('refuses a gzip stream that is cut off anywhere', async () => {
    const small = gzipSync('[1,2,3]');
    for (let length = 0; length < small.length; length++) {
      expect(await refusal(gzipped(small.subarray(0, length)))).toMatch(/^malformed_body@[0-7]$/);
    }
    expect(await refusal(gzipped(GZIP.subarray(0, -9)))).toMatch(/^malformed_body@\d+$/);
  });

  it('refuses a gzip stream with a bad CRC, a bad length, or no gzip at all', async () => {
    for (const at of [GZIP.length - 8, GZIP.length - 1]) {
      const bad = Buffer.from(GZIP);
      bad[at] = (bad[at] ?? 0) ^ 1;
      expect(await refusal(gzipped(bad))).toMatch(/^malformed_body@\d+$/);
    }
    expect(await refusal(gzipped(Buffer.from('[1,2,3]')))).toBe('malformed_body@0');
  });

  it.each(['x', '\0', '\0\0\0\0\0', '\x1f', '\x1f\x8b', 'trailing garbage of some length'])(
    'refuses %j behind the last member, in one piece or its own',
    async (tail) => {
      const small = gzipSync('[1]');
      const garbage = Buffer.from(tail, 'latin1');
      expect(await refusal(gzipped(Buffer.concat([small, garbage])))).toMatch(/^malformed_body@\d$/);
      const apart = take(partsBody([small, garbage, garbage]), JSON_TYPE, { contentEncoding: 'gzip' });
      expect(await refusal(apart)).toMatch(/^malformed_body@\d$/);
    },
  );

  it.each(['gzip, gzip', 'gzip,gzip', 'br', 'deflate', 'zstd', 'gzip, identity', 'x', 'gzip;q=1'])(
    'refuses the coding %j',
    async (contentEncoding) => {
      expect(await refusal(gzipped(GZIP, { contentEncoding }))).toBe('unsupported_content_coding');
    },
  );

  it.each(['gzip', ' GZip ', 'x-gzip'])('takes the coding %j', async (contentEncoding) => {
    expect((await gzipped(GZIP, { contentEncoding })).result.total).toBe(2_000);
  });

  it('takes identity and an empty coding as none', async () => {
    expect(texts(await takeText('[1]', JSON_TYPE, { contentEncoding: 'identity' }))).toEqual(['1']);
    expect(texts(await takeText('[1]', JSON_TYPE, { contentEncoding: '' }))).toEqual(['1']);
  });
});

describe('the quota', () => {
  it('counts decoded bytes: at it the body is taken, one beyond it is refused', async () => {
    expect((await gzipped(GZIP, { bytesMax: BODY.length })).result.total).toBe(2_000);
    expect(await refusal(gzipped(GZIP, { bytesMax: BODY.length - 1 }))).toBe('content_too_large');
    expect(await refusal(takeText(BODY, JSON_TYPE, { bytesMax: BODY.length - 1 }))).toBe('content_too_large');
  });

  it('names its limit', async () => {
    await expect(takeText('[1,2]', JSON_TYPE, { bytesMax: 3 })).rejects.toMatchObject({
      facts: { limit: 3, unit: 'bytes' },
    });
  });

  it('stops an endless gzip bomb as soon as it is over', async () => {
    const member = gzipSync(Buffer.alloc(1024 * 1024, 0x20));
    let members = 0;
    const bomb = new Readable({
      read() {
        members++;
        this.push(member);
      },
    });
    const taken = take(bomb, JSON_TYPE, { contentEncoding: 'gzip', bytesMax: 3 * 1024 * 1024 });
    expect(await refusal(taken)).toBe('content_too_large');
    bomb.destroy();
    // The bomb is 1,000 bytes a mebibyte: what lies in the buffers of the streams is some 128 KiB of it.
    expect(members).toBeLessThan(400);
  });
});

describe('media type and charset', () => {
  it.each([
    JSON_TYPE,
    'Application/JSON; charset=UTF-8',
    'application/json;foo=bar;charset="utf-8"',
    'application/json; charset=us-ascii',
  ])('takes %j', async (contentType) => {
    const taken = await takeText('[1]', contentType);
    expect(taken.result.input.mediaType).toBe(JSON_TYPE);
  });

  it.each([LINES_TYPE, 'application/ndjson', 'application/jsonl', 'application/x-jsonlines'])(
    'takes %j as lines',
    async (contentType) => {
      expect(texts(await takeText('1\n2', contentType))).toEqual(['1', '2']);
    },
  );

  it.each([
    null,
    '',
    'text/plain',
    'application/xml',
    'application/octet-stream',
    'application/json; charset=latin1',
    'text/csv;charset=utf-16',
  ])('refuses %j', async (contentType) => {
    expect(await refusal(take(partsBody([Buffer.from('[1]')]), contentType))).toBe('unsupported_media_type');
  });

  it.each([JSON_TYPE, LINES_TYPE, CSV_TYPE])('refuses UTF-16 as %s, with its mark and without', async (contentType) => {
    const little = Buffer.from('[1]\n[2]', 'utf16le');
    const big = Buffer.from(little).swap16();
    for (const bytes of [
      little,
      big,
      Buffer.concat([Buffer.of(0xff, 0xfe), little]),
      Buffer.concat([Buffer.of(0xfe, 0xff), big]),
    ]) {
      for (const parts of [[bytes], Array.from(bytes, (byte) => Buffer.of(byte))]) {
        expect(await refusal(take(partsBody(parts), contentType))).toBe('unsupported_charset');
      }
    }
  });
});
