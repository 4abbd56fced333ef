import { describe, expect, it } from 'vitest';
import { parseCsvRow } from '../../../src/model/csv-row.ts';

describe('a CSV row', () => {
  it.each([
    ['a,b', ['a', 'b']],
    ['', ['']],
    [',', ['', '']],
    ['"",', ['', '']],
    [',"a"', ['', 'a']],
    [',,"a,b",', ['', '', 'a,b', '']],
    [' a , b ', [' a ', ' b ']],
    ['"a,b","c""d","\r\n"', ['a,b', 'c"d', '\r\n']],
    ['"""","x"', ['"', 'x']],
    ['é,\ufeffa', ['é', '\ufeffa']],
  ])('%j has the cells %j', (raw, cells) => {
    expect(parseCsvRow(raw, ',')).toEqual({ cells });
    expect(parseCsvRow(Buffer.from(raw), ',')).toEqual({ cells });
  });

  it('is cut at its own delimiter only', () => {
    expect(parseCsvRow('a,b;c', ';')).toEqual({ cells: ['a,b', 'c'] });
    expect(parseCsvRow('"a\tb"\tc', '\t')).toEqual({ cells: ['a\tb', 'c'] });
  });

  it.each([
    ['a,b"c', 4],
    ['a, "b"', 4],
    ['"a" ,b', 4],
    ['"a"b', 4],
    ['x,"a', 3],
    ['x,"a""', 3],
    ['"', 1],
  ])('%j is refused at column %d', (raw, column) => {
    expect(parseCsvRow(raw, ',')).toMatchObject({ column });
  });

  it('that is not UTF-8 is refused where its bytes stop being it', () => {
    const raw = Buffer.concat([Buffer.from('é,\ufffd,'), Buffer.of(0xff), Buffer.from(',a')]);
    expect(parseCsvRow(raw, ',')).toEqual({ message: 'the row is not UTF-8', column: 5 });
    expect(parseCsvRow(Buffer.from('é,\ufffd'), ',')).toEqual({ cells: ['é', '\ufffd'] });
  });
});
