import { gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { CSV_TYPE, JSON_TYPE, partsBody, refusal, split, take, texts } from './harness.ts';

const TYPE = 'multipart/form-data; boundary="--x y"';

interface Part {
  readonly name: string;
  readonly content: string;
  readonly filename?: string;
  readonly type?: string;
  readonly headers?: string;
}

function multipart(parts: readonly Part[], ending = '--'): Buffer {
  const sections = parts.map(({ name, content, filename, type, headers }) => {
    const disposition = `Content-Disposition: form-data; name="${name}"${filename === undefined ? '' : `; filename="${filename}"`}`;
    return `----x y\r\n${disposition}\r\n${type === undefined ? '' : `Content-Type: ${type}\r\n`}${headers ?? ''}\r\n${content}\r\n`;
  });
  return Buffer.from(`${sections.join('')}----x y${ending}`);
}

const file = (content: string, part: Partial<Part> = {}): Part => ({
  name: 'file',
  content,
  filename: 'a.json',
  type: JSON_TYPE,
  ...part,
});
const field = (name: string, content: string): Part => ({ name, content });
const taken = (parts: readonly Part[], overrides = {}) => take(partsBody([multipart(parts)]), TYPE, overrides);

describe('multipart', () => {
  it('takes fields before and after the file, the last of a name wins, at every split', async () => {
    const bytes = multipart([
      field('target', 'a'),
      file('[1,\r\n{"a":2}]'),
      field('target', 'products'),
      field('__proto__', 'é'),
    ]);
    for (let at = 0; at <= bytes.length; at++) {
      const { result, items } = await take(partsBody(split(bytes, [at])), TYPE);
      expect(Object.entries(result.fields)).toEqual([
        ['target', 'products'],
        ['__proto__', 'é'],
      ]);
      expect(items.map((item) => [item.text, item.line])).toEqual([
        ['1', 1],
        ['{"a":2}', 2],
      ]);
    }
  });

  it('hashes and counts the file alone, so that boundaries and fields do not matter', async () => {
    const bare = await take(partsBody([Buffer.from('[1,2]')]), JSON_TYPE);
    const one = await taken([file('[1,2]')]);
    const other = await taken([field('a', 'b'), file('[1,2]', { filename: 'other.json' })]);
    expect(one.result.input).toEqual(bare.result.input);
    expect(other.result.input).toEqual(bare.result.input);
  });

  it.each([
    [{ type: JSON_TYPE, filename: 'a.csv' }, JSON_TYPE],
    [{ type: 'text/csv; charset=utf-8', filename: 'a' }, CSV_TYPE],
    [{ type: 'application/octet-stream', filename: 'A.CSV' }, CSV_TYPE],
    [{ type: 'application/vnd.ms-excel', filename: 'a.b.csv' }, CSV_TYPE],
    [{ type: 'text/plain', filename: 'a.ndjson' }, 'application/x-ndjson'],
    [{ type: 'text/plain', filename: 'a.jsonl' }, 'application/jsonl'],
    [{ type: 'text/plain', filename: 'a.json' }, JSON_TYPE],
  ])('reads the file %j as %s', async (part, mediaType) => {
    const content = mediaType === CSV_TYPE ? 'a,b\n1,2' : mediaType === JSON_TYPE ? '[1]' : '1';
    expect((await taken([file(content, part)])).result.input.mediaType).toBe(mediaType);
  });

  it.each([
    { type: 'text/plain', filename: 'a.txt' },
    { type: 'application/octet-stream', filename: 'a' },
    { type: 'image/png', filename: 'csv' },
  ])('refuses the file %j', async (part) => {
    expect(await refusal(taken([file('[1]', part)]))).toBe('unsupported_media_type');
  });

  it('refuses a Content-Type without boundary', async () => {
    const body = partsBody([multipart([file('[1]')])]);
    expect(await refusal(take(body, 'multipart/form-data'))).toBe('malformed_body@0');
  });

  it('refuses a body that is cut off anywhere, within its last boundary too', async () => {
    const bytes = multipart([field('a', 'b'), file('[1,2]'), field('c', 'd')]);
    for (let length = 0; length < bytes.length; length++) {
      expect(await refusal(take(partsBody([bytes.subarray(0, length)]), TYPE))).toMatch(/^malformed_body@\d+$/);
    }
    expect((await take(partsBody([Buffer.concat([bytes, Buffer.from('\r\nepilogue')])]), TYPE)).result.total).toBe(2);
  });

  it('refuses a body without a part named file, and one with two', async () => {
    await expect(taken([field('a', 'b')])).rejects.toThrow('no part named "file"');
    expect(await refusal(taken([field('a', 'b')]))).toMatch(/^malformed_body@/);
    expect(await refusal(taken([file('[1]'), file('[2]')]))).toMatch(/^malformed_body@/);
  });

  it('takes a file part among others that carry file names, and an empty one as no items', async () => {
    const other = { name: 'photo', content: 'png', filename: 'a.png', type: 'image/png' };
    expect(texts(await taken([other, file('[1]')]))).toEqual(['1']);
    expect(await refusal(taken([file('')]))).toBe('no_items');
  });

  it('takes 64 fields of 64 KiB and refuses one more, and a larger one', async () => {
    const fields = (count: number) => Array.from({ length: count }, (_, n) => field(`f${n}`, 'x'));
    expect(Object.keys((await taken([file('[1]'), ...fields(64)])).result.fields)).toHaveLength(64);
    expect(await refusal(taken([file('[1]'), ...fields(65)]))).toMatch(/^malformed_body@/);
    expect(await refusal(taken([...fields(65), file('[1]')]))).toMatch(/^malformed_body@/);
    expect((await taken([field('a', 'x'.repeat(65_536)), file('[1]')])).result.fields['a']).toHaveLength(65_536);
    expect(await refusal(taken([field('a', 'x'.repeat(65_537)), file('[1]')]))).toMatch(/^malformed_body@/);
  });

  it('refuses a file that is broken with the offset in the file, and one that is coded for transfer', async () => {
    expect(await refusal(taken([field('a', 'b'), file('[1,,2]')]))).toBe('malformed_body@3');
    expect(await refusal(taken([file('WzFd', { headers: 'Content-Transfer-Encoding: base64\r\n' })]))).toBe(
      'unsupported_content_coding',
    );
    expect(texts(await taken([file('[1]', { headers: 'Content-Transfer-Encoding: binary\r\n' })]))).toEqual(['1']);
  });

  it('is inflated and held to the quota like any body', async () => {
    const bytes = gzipSync(multipart([file(`[${'1,'.repeat(100_000)}1]`), field('a', 'b')]));
    const options = { contentEncoding: 'gzip' };
    expect((await take(partsBody([bytes]), TYPE, options)).result).toMatchObject({
      total: 100_001,
      fields: { a: 'b' },
    });
    expect(await refusal(take(partsBody([bytes]), TYPE, { ...options, bytesMax: 50_000 }))).toBe('content_too_large');
  });

  it.each(['application/octet-stream', 'text/plain', 'application/vnd.ms-excel'])(
    'takes a part of type %s and no telling name for what the surface expects',
    async (type) => {
      const part = file('a\n1\n', { type, filename: 'contacts.txt' });
      expect((await taken([part], { plainFileType: CSV_TYPE })).result.input.mediaType).toBe(CSV_TYPE);
      expect(await refusal(taken([part]))).toBe('unsupported_media_type');
    },
  );

  it('never takes a part that says it is something else', async () => {
    const part = file('a\n1\n', { type: 'image/png', filename: 'a.png' });
    expect(await refusal(taken([part], { plainFileType: CSV_TYPE }))).toBe('unsupported_media_type');
  });
});
