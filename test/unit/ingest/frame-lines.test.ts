import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { LINES_TYPE, partsBody, refusal, split, take, takeText, texts } from './harness.ts';

const lines = (text: string, overrides = {}) => takeText(text, LINES_TYPE, overrides);

describe('NDJSON framing', () => {
  it('ends lines by LF, CRLF and a lone CR, skips blank ones and counts them', async () => {
    const taken = await lines('\ufeff{"a":1}\r\n\r\n \t\n{"b":2}\r{"c":\n\n\r x \r\n{"d":4}');
    expect(texts(taken)).toEqual(['{"a":1}', '{"b":2}', '{"c":', ' x ', '{"d":4}']);
    expect(taken.items.map((item) => item.line)).toEqual([1, 4, 5, 8, 9]);
    expect(taken.result.format).toEqual({ kind: 'json' });
  });

  it.each(['', '\n', '\ufeff', '\r\n\r\n', '  ', ' \t \r'])('finds no items in %j', async (text) => {
    expect(await refusal(lines(text))).toBe('no_items');
  });

  it('takes a line of the largest size and fails a larger one alone; a blank line of any size is none', async () => {
    const taken = await lines('1234567890\n12345678901\n\n             \n          1\nx', { itemBytesMax: 10 });
    expect(texts(taken)).toEqual(['1234567890', 'item_too_large', 'item_too_large', 'x']);
    expect(taken.items.map((item) => item.line)).toEqual([1, 2, 5, 6]);
  });

  it('keeps a broken line for its slice to fail', async () => {
    expect(texts(await lines('{"a":\n}\n'))).toEqual(['{"a":', '}']);
  });

  it('gives the same items for any lines at any split', async () => {
    const line = fc.oneof(fc.json(), fc.constantFrom('', ' ', '\t ', ' {"a":1} ', 'é', 'x'.repeat(40)));
    const rows = fc.array(fc.tuple(line, fc.constantFrom('\n', '\r\n', '\r')), { minLength: 1, maxLength: 20 });
    const check = fc.asyncProperty(
      rows,
      fc.array(fc.nat(), { maxLength: 10 }),
      fc.boolean(),
      async (drawn, cuts, final) => {
        const text = drawn.map(([content, end], n) => content + (final || n < drawn.length - 1 ? end : '')).join('');
        const expected = text
          .split(/\r\n|\r|\n/)
          .map((content, n) => ({ text: content, line: n + 1, fault: null, column: undefined }))
          .filter((item) => !/^[ \t]*$/.test(item.text));
        const taken = take(partsBody(split(Buffer.from(text), cuts)), LINES_TYPE);
        if (expected.length === 0) expect(await refusal(taken)).toBe('no_items');
        else expect((await taken).items).toEqual(expected);
      },
    );
    await fc.assert(check, { numRuns: 300 });
  });
});
