import { describe, expect, it } from 'vitest';
import { toCsv, toJsonArray } from '../../../src/api/native/results-format.ts';

async function* pieces(...texts: string[]): AsyncGenerator<Buffer> {
  for (const text of texts) yield Buffer.from(text);
}

async function textOf(source: AsyncIterable<Buffer>): Promise<string> {
  const all: Buffer[] = [];
  for await (const piece of source) all.push(piece);
  return Buffer.concat(all).toString('utf8');
}

const HEADER = 'index,line,type,id,outcome,attempts,code,message,result,details\r\n';

async function rowOf(line: string, guarded = false): Promise<string> {
  const csv = await textOf(toCsv(pieces(`${line}\n`), { guarded }));
  expect(csv.startsWith(HEADER)).toBe(true);
  return csv.slice(HEADER.length);
}

describe('results as a JSON array', () => {
  it('is valid across pieces, empty pieces and letters of several bytes', async () => {
    const text = await textOf(toJsonArray(pieces('{"a":"ä\\n€"}\n{"a":2}\n', '', '{"a":3}\n')));
    expect(JSON.parse(text)).toEqual([{ a: 'ä\n€' }, { a: 2 }, { a: 3 }]);
  });

  it('is an empty array where there are no lines', async () => {
    expect(JSON.parse(await textOf(toJsonArray(pieces())))).toEqual([]);
  });
});

describe('results as CSV', () => {
  it('has a header even where there are no lines', async () => {
    expect(await textOf(toCsv(pieces(), { guarded: false }))).toBe(HEADER);
  });

  it('puts result and error into their columns', async () => {
    expect(
      await rowOf('{"index":0,"line":1,"type":"update","id":7,"outcome":"succeeded","attempts":1,"result":{"a":1}}'),
    ).toBe('0,1,update,7,succeeded,1,,,"{""a"":1}",\r\n');
    expect(
      await rowOf(
        '{"index":1,"line":2,"outcome":"failed","attempts":3,"error":{"code":"x","message":"a, \\"b\\"","retryable":false}}',
      ),
    ).toBe('1,2,,,failed,3,x,"a, ""b""",,"{""retryable"":false}"\r\n');
  });

  it('shows the reason of a skipped item as its code, and every other member among the details', async () => {
    expect(
      await rowOf('{"index":1,"line":2,"outcome":"skipped","attempts":0,"reason":"duplicate","duplicateOf":0}'),
    ).toBe('1,2,,,skipped,0,duplicate,,,"{""duplicateOf"":0}"\r\n');
  });

  it('loses no member, whatever its name', async () => {
    const labels = '"code":"c","message":"m","details":"d","__proto__":"p"';
    expect(await rowOf(`{"index":1,"line":2,${labels},"outcome":"succeeded","attempts":0}`)).toBe(
      '1,2,,,succeeded,0,,,,"{""code"":""c"",""message"":""m"",""details"":""d"",""__proto__"":""p""}"\r\n',
    );
  });

  it('keeps the digits that a double cannot hold', async () => {
    const line =
      '{"index":0,"line":1,"id":12345678901234567890,"outcome":"succeeded","attempts":1,"result":{"big":1e400}}';
    expect(await rowOf(line)).toBe('0,1,,12345678901234567890,succeeded,1,,,"{""big"":1e400}",\r\n');
  });

  it.each(['=1+1', '+1', '-1', '@x', '\tx', '\rx'])('guards a cell that begins like %j only when asked', async (id) => {
    const line = JSON.stringify({ index: 0, line: 1, id, outcome: 'succeeded', attempts: 1 });
    const quoted = id.includes('\r') ? (text: string) => `"${text}"` : (text: string) => text;
    expect(await rowOf(line)).toContain(`,${quoted(id)},`);
    expect(await rowOf(line, true)).toContain(`,${quoted(`'${id}`)},`);
  });

  it('renders every row of a piece that is longer than one batch', async () => {
    const line = (index: number) => `{"index":${index},"line":1,"outcome":"succeeded","attempts":1}\n`;
    const text = Array.from({ length: 2_500 }, (_, index) => line(index)).join('');
    const rows = (await textOf(toCsv(pieces(text), { guarded: false }))).trimEnd().split('\r\n');
    expect(rows).toHaveLength(2_501);
    expect(rows[2_500]).toMatch(/^2499,/);
  });
});
