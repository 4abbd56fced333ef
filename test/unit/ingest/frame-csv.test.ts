import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseCsvRow } from '../../../src/model/csv-row.ts';
import { CSV_COLUMNS_MAX } from '../../../src/model/limits.ts';
import { CSV_TYPE, partsBody, refusal, split, take, takeText, texts } from './harness.ts';

const csv = (text: string, overrides = {}) => takeText(text, CSV_TYPE, overrides);

describe('CSV framing', () => {
  it.each([
    ['id,name\n1,x\n', ',', ['id', 'name'], ['1,x']],
    ['id;name;a\n1;x;2', ';', ['id', 'name', 'a'], ['1;x;2']],
    ['id\tname\r\n1\tx\r\n', '\t', ['id', 'name'], ['1\tx']],
    ['"a,b,c";d\n1;2', ';', ['a,b,c', 'd'], ['1;2']],
    ['id\n1', ',', ['id'], ['1']],
    ['\ufeff\r\n id , "name"\r1,2', ',', null, null],
    ['\ufeff\r\n id ,name \r1,2', ',', ['id', 'name'], ['1,2']],
    ['__proto__,constructor\n1,2', ',', ['__proto__', 'constructor'], ['1,2']],
  ])('reads the header of %j', async (text, delimiter, columns, rows) => {
    if (columns === null) return expect(await refusal(csv(text))).toBe('invalid_header');
    const taken = await csv(text);
    expect(taken.result.format).toEqual({ kind: 'csv', delimiter, columns });
    expect(taken.chunks[0]?.header.format).toEqual(taken.result.format);
    expect(texts(taken)).toEqual(rows);
  });

  it('keeps line breaks, doubled quotes and delimiters within quotes, and skips blank rows', async () => {
    const taken = await csv('a,b\r\n\r\n"1\r\n2","x""\n,"\r\n  \n3,y"z,\n"",\n');
    expect(texts(taken)).toEqual(['"1\r\n2","x""\n,"', '3,y"z,', '"",']);
    expect(taken.items.map((item) => item.line)).toEqual([3, 7, 8]);
  });

  it('takes a row of tabs as empty cells where the tab is the delimiter, and as blank where it is not', async () => {
    expect(texts(await csv('a\tb\n\t\n1\t2'))).toEqual(['\t', '1\t2']);
    expect(texts(await csv('a,b\n\t\n1,2'))).toEqual(['1,2']);
  });

  it.each(['a,a\n1,2', 'a,\n1,2', 'a, ,b\n', 'a,"b\n1,2', 'a"b,c\n1,2', '"a"b,c\n1', 'a,a'])(
    'refuses the header of %j',
    async (text) => {
      expect(await refusal(csv(text))).toBe('invalid_header');
    },
  );

  it('takes as many columns as allowed and refuses one more', async () => {
    const header = (columns: number) => Array.from({ length: columns }, (_, n) => `c${n}`).join(',');
    expect((await csv(`${header(CSV_COLUMNS_MAX)}\n1`)).result.total).toBe(1);
    expect(await refusal(csv(`${header(CSV_COLUMNS_MAX + 1)}\n1`))).toBe('invalid_header');
  });

  it('refuses a header that is too large and one that is not UTF-8', async () => {
    expect(await refusal(csv('abcdefghijk\n1', { itemBytesMax: 10 }))).toBe('invalid_header');
    expect(texts(await csv('abcdefghij\n1', { itemBytesMax: 10 }))).toEqual(['1']);
    expect(await refusal(takeText(Buffer.from('a,\xff\n1,2', 'latin1'), CSV_TYPE))).toBe('invalid_header');
  });

  it.each(['', '\ufeff', '\r\n', 'a,b', 'a,b\r\n \r\n'])('finds no items in %j', async (text) => {
    expect(await refusal(csv(text))).toBe('no_items');
  });

  it('fails a row whose quote is never closed, and only that row', async () => {
    const taken = await csv('a,b\n1,2\n3,"4\n5,6\n');
    expect(texts(taken)).toEqual(['1,2', 'csv_unterminated_quote']);
    expect(taken.items[1]).toMatchObject({ line: 3, column: 3 });
    expect(texts(await csv('a,b\n"1,2'))).toEqual(['csv_unterminated_quote']);
    expect(texts(await csv('a,b\n1,2\n"3,4\n5,6\n7,8', { itemBytesMax: 6 }))).toEqual([
      '1,2',
      'csv_unterminated_quote',
    ]);
    expect(texts(await csv('a,b\n1,2\n"3,4\n5,6\n",8', { itemBytesMax: 6 }))).toEqual(['1,2', 'item_too_large']);
  });

  it('gives back any cells at any split', async () => {
    const text = fc.string({ unit: fc.constantFrom('a', ' ', '"', ',', ';', '\t', '\n', '\r', 'é'), maxLength: 6 });
    const rows = fc.array(fc.array(text, { minLength: 3, maxLength: 3 }), { minLength: 1, maxLength: 8 });
    const check = fc.asyncProperty(
      rows,
      fc.constantFrom(',' as const, ';' as const, '\t' as const),
      fc.constantFrom('\n', '\r\n', '\r'),
      fc.array(fc.nat(), { maxLength: 10 }),
      async (drawn, delimiter, end, cuts) => {
        const quoted = drawn.map((cells) => cells.map((cell) => `"${cell.replaceAll('"', '""')}"`).join(delimiter));
        const body = [['a', 'b', 'c'].join(delimiter), ...quoted].join(end);
        const taken = await take(partsBody(split(Buffer.from(body), cuts)), CSV_TYPE);
        expect(taken.items.map((item) => item.text)).toEqual(quoted);
        expect(taken.items.map((item) => parseCsvRow(item.text, delimiter))).toEqual(drawn.map((cells) => ({ cells })));
        let seen = `a${end}`;
        for (const [n, item] of taken.items.entries()) {
          expect(item.line).toBe(seen.split(/\r\n|\r|\n/).length);
          seen += quoted[n] + end;
        }
      },
    );
    await fc.assert(check, { numRuns: 300 });
  });

  it('frames any bytes the same way at any split', async () => {
    const text = fc.string({ unit: fc.constantFrom('a', ' ', '"', ',', ';', '\t', '\n', '\r', 'é'), maxLength: 40 });
    const outcome = async (parts: readonly Buffer[]) => {
      const taken = take(partsBody(parts), CSV_TYPE, { itemBytesMax: 12 });
      return taken.then(
        ({ items }) => items,
        (error: Error) => error.message,
      );
    };
    const check = fc.asyncProperty(text, fc.array(fc.nat(), { maxLength: 8 }), async (rows, cuts) => {
      const bytes = Buffer.from(`a,b\n${rows}`);
      expect(await outcome(split(bytes, cuts))).toEqual(await outcome([bytes]));
    });
    await fc.assert(check, { numRuns: 300 });
  });
});
