import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { JSON_TYPE, partsBody, refusal, split, take, takeText, texts } from './harness.ts';

const json = (text: string, overrides = {}) => takeText(text, JSON_TYPE, overrides);
const refused = (text: string) => refusal(json(text));

describe('JSON framing', () => {
  it('takes a top-level array and keeps the items byte for byte', async () => {
    const taken = await json('[ {"a" : 1e400,"a":-0} ,\n"x\\"]", 12345678901234567890,[ ],tru ]');
    expect(texts(taken)).toEqual(['{"a" : 1e400,"a":-0}', '"x\\"]"', '12345678901234567890', '[ ]', 'tru']);
    expect(taken.items.map((item) => item.line)).toEqual([1, 2, 2, 2, 2]);
    expect(taken.result.format).toEqual({ kind: 'json' });
  });

  it.each(['items', 'operations', '\\u0069tems', 'oper\\u0061tions'])(
    'takes the array of member "%s"',
    async (name) => {
      const taken = await json(
        `{"a":{"items":[0,{"b":[]}]}, "n":-1.5e+3,"t":true,"${name}":[1,{"x":2}],"z":[null,"]}\\""]}`,
      );
      expect(texts(taken)).toEqual(['1', '{"x":2}']);
    },
  );

  it.each([
    ['[1,2', 4],
    ['[1,2]x', 5],
    ['[1,2],', 5],
    ['[1,2][3]', 5],
    ['[1,,2]', 3],
    ['[,1]', 1],
    ['[1,]', 3],
    ['[1 2]', 3],
    ['[{} {}]', 4],
    ['[{"a":[}]', 7],
    ['[[1}]', 3],
    ['[1}', 2],
    ['[1:2]', 2],
    ['[1"x"]', 2],
    ['["abc', 5],
    ['["abc\\', 6],
    ['[{"a":1}', 8],
    ['"text"', 0],
    ['12', 0],
    ['tru', 0],
    ['}', 0],
    ['{', 1],
    ['{"items":{}}', 9],
    ['{"items":"x"}', 9],
    ['{"items":null}', 9],
    ['{"items":[1],"items":[2]}', 19],
    ['{"items":[1],"operations":[2]}', 24],
    ['{"items":[1]', 12],
    ['{"items":[1]]', 12],
    ['{"items":[1],}', 13],
    ['{"a" 1,"items":[1]}', 5],
    ['{"a":,"items":[1]}', 5],
    ['{"a":tru,"items":[1]}', 8],
    ['{"a":01,"items":[1]}', 7],
    ['{"a":1 "items":[1]}', 7],
    ['{"a":[1,],"items":[1]}', 8],
    ['{"a":[1},"items":[1]}', 7],
    ['{"a":{"b":1,},"items":[1]}', 12],
    ['{a:1,"items":[1]}', 1],
    ['{"\\q":1,"items":[1]}', 4],
    ['{"items":[1]} x', 14],
  ])('refuses %j at byte %d', async (text, offset) => {
    expect(await refused(text)).toBe(`malformed_body@${offset}`);
  });

  it.each([
    '',
    ' \n',
    '\ufeff',
    '\ufeff \r\n',
    '[]',
    ' [ \n ] ',
    '{}',
    '{"a":[1]}',
    '{"items":[]}',
    '{"a":{"items":[1]}}',
  ])('finds no items in %j', async (text) => {
    expect(await refused(text)).toBe('no_items');
  });

  it('takes a byte order mark, and counts it in offsets', async () => {
    expect(texts(await json('\ufeff[1]'))).toEqual(['1']);
    expect(await refused('\ufeff[1')).toBe('malformed_body@5');
  });

  it('takes an item nested 64 deep and fails one nested 65 deep alone', async () => {
    const nested = (depth: number) => '['.repeat(depth) + ']'.repeat(depth);
    expect(texts(await json(`[${nested(64)},${nested(65)},3]`))).toEqual([nested(64), 'item_too_deep', '3']);
  });

  it('fails 100,000 nested brackets as one item, and refuses them unbalanced', async () => {
    const deep = '['.repeat(100_000) + ']'.repeat(100_000);
    expect(texts(await json(deep))).toEqual(['item_too_deep']);
    expect(texts(await json(`[1,${deep},2]`))).toEqual(['1', 'item_too_deep', '2']);
    expect(await refused(deep.slice(0, -1))).toBe('malformed_body@199999');
    expect(await refused(deep.slice(0, 100_000))).toBe('malformed_body@100000');
  });

  it('takes a skipped member nested 64 deep and refuses a deeper one', async () => {
    const nested = (depth: number) => `{"a":${'['.repeat(depth)}${']'.repeat(depth)},"items":[1]}`;
    expect(texts(await json(nested(64)))).toEqual(['1']);
    expect(await refused(nested(65))).toBe('malformed_body@69');
  });

  it('takes an item of the largest size and fails one that is a byte larger alone', async () => {
    const taken = await json(`["${'a'.repeat(8)}","${'a'.repeat(9)}",${'1'.repeat(11)},{"a":[1]}]`, {
      itemBytesMax: 10,
    });
    expect(texts(taken)).toEqual(['"aaaaaaaa"', 'item_too_large', 'item_too_large', '{"a":[1]}']);
  });

  it('counts LF, CRLF and a lone CR as one line break each, within items too', async () => {
    const taken = await json('[\n1,\r\n2,\r3,\n\n{"a":\r\n"b\rc"},\n"\\\n", 6]');
    expect(taken.items.map((item) => item.line)).toEqual([2, 3, 4, 6, 9, 10]);
  });

  it('frames the same items with the same lines at every split', async () => {
    const text =
      '\ufeff{"x\\"":[1,"\\\\"],\r\n"\\u0069tems":[{"a\\"]":"\\\\","b":[{},[]]},\r\n tru ,"q\\"",\r-0.5e1,"é\u2028"] , "z":"\\u0041"} ';
    const bytes = Buffer.from(text);
    const whole = await json(text);
    expect(whole.items).toHaveLength(5);
    for (let at = 1; at < bytes.length; at++) {
      const taken = await take(partsBody(split(bytes, [at])), JSON_TYPE);
      expect(taken.items).toEqual(whole.items);
    }
    const single = await take(partsBody(Array.from(bytes, (byte) => Buffer.of(byte))), JSON_TYPE);
    expect(single.items).toEqual(whole.items);
  });

  it('gives back any values in any white space at any split', async () => {
    const space = fc
      .array(fc.constantFrom(' ', '\t', '\n', '\r', '\r\n'), { maxLength: 3 })
      .map((parts) => parts.join(''));
    const values = fc.array(
      fc.tuple(space, fc.jsonValue({ maxDepth: 6 }), space, fc.constantFrom(undefined, 1, '\t')),
      { minLength: 1, maxLength: 12 },
    );
    const wrap = fc.constantFrom(['', ''], ['{"items":', '}'], ['{"a":[{"b":"]"}],"operations":', ',"c":"\\\\"}']);
    const check = fc.asyncProperty(
      values,
      wrap,
      fc.array(fc.nat(), { maxLength: 8 }),
      async (rows, [head, tail], cuts) => {
        const serialised = rows.map(([before, value, after, indent]) => ({
          before,
          after,
          text: JSON.stringify(value, null, indent),
        }));
        const parts = serialised.map(({ before, after, text }) => before + text + after);
        const bytes = Buffer.from(`${head}[${parts.join(',')}]${tail}`);
        const taken = await take(partsBody(split(bytes, cuts)), JSON_TYPE);
        expect(taken.items.map((item) => item.text)).toEqual(serialised.map(({ text }) => text));
        expect(taken.items.map((item) => item.line)).toEqual(expectedLines(`${head}[`, serialised));
      },
    );
    await fc.assert(check, { numRuns: 300 });
  });

  it('takes whatever JSON.parse takes and refuses torn bodies', async () => {
    const check = fc.asyncProperty(
      fc.array(fc.jsonValue(), { minLength: 1, maxLength: 4 }),
      fc.nat(),
      async (values, cut) => {
        const text = Buffer.from(JSON.stringify({ other: values, items: values }));
        const torn = text.subarray(0, 1 + (cut % (text.length - 1)));
        expect(await refusal(take(partsBody([torn]), JSON_TYPE))).toBe(`malformed_body@${torn.length}`);
      },
    );
    await fc.assert(check, { numRuns: 200 });
  });
});

function expectedLines(head: string, rows: readonly { before: string; text: string; after: string }[]): number[] {
  let seen = head;
  return rows.map(({ before, text, after }) => {
    const line = 1 + (seen + before).split(/\r\n|\r|\n/).length - 1;
    seen += `${before}${text}${after},`;
    return line;
  });
}
