import { describe, expect, it } from 'vitest';
import {
  cellOf,
  columnName,
  correctItem,
  csvCell,
  membersOf,
  ownColumn,
} from '../../../src/operations/retry/correction-cells.ts';

const anything = () => true;
const correct = (original: string, cells: Record<string, string>, accepts: (text: string) => boolean = anything) =>
  correctItem(original, { cells: new Map(Object.entries(cells)), whole: '' }, accepts);

describe('a corrected row', () => {
  it('that is as it was is the item as it was, to the byte', () => {
    const original = '{ "a": 1.0, "b": "x", "c": null, "d": [1e400], "e": "" }';
    const cells = Object.fromEntries([...(membersOf(original) ?? [])].map(([name, value]) => [name, cellOf(value)]));
    expect(cells).toEqual({ a: '1.0', b: 'x', c: 'null', d: '[1e400]', e: '' });
    expect(correct(original, cells)).toBe(original);
  });

  it('keeps the types of what it changes, and the digits of what it does not', () => {
    const original = '{"n":12345678901234567890,"zip":"01234","price":1,"tags":["a"]}';
    const cells = { n: '12345678901234567890', zip: '99999', price: '2.50', tags: '["a","b"]' };
    expect(correct(original, cells)).toBe('{"n":12345678901234567890,"zip":"99999","price":2.50,"tags":["a","b"]}');
    expect(correct('{"a":1,"b":2}', { a: '', b: '2', c: 'new', _note: 'mine' })).toBe('{"b":2,"c":"new"}');
    expect(correct('{"price":1}', { price: 'cheap' })).toBe('{"price":"cheap"}');
  });

  it('takes the other type where only that is an item of the target', () => {
    const wantsNumber = (text: string) => typeof JSON.parse(text).id === 'number';
    expect(correct('{"id":"abc"}', { id: '12' }, wantsNumber)).toBe('{"id":12}');
    const wantsText = (text: string) => typeof JSON.parse(text).phone === 'string';
    expect(correct('{"phone":5551234}', { phone: '5551235' }, wantsText)).toBe('{"phone":"5551235"}');
  });

  it('makes plain members of names that mean something to JavaScript', () => {
    expect(correct('{"__proto__":1,"constructor":2}', { __proto__x: '', constructor: '3' })).toBe(
      '{"__proto__":1,"constructor":3}',
    );
  });

  it('gives an item that does not fit the columns as a whole', () => {
    const row = { cells: new Map([['a', '']]), whole: '{"b":1}' };
    expect(correctItem('[1]', row, anything)).toBe('{"b":1}');
    expect(correct('not json', { a: '1' })).toBe('{"a":1}');
  });
});

describe('columns of the download', () => {
  it('never meet the items’ own, whatever those are called', () => {
    for (const own of ['_index', '__index', '_item', 'index', '_id', 'type', '_']) {
      expect(ownColumn(columnName(own)), own).toBe(own);
    }
    expect(['_index', '_line', '_outcome', '_code', '_message', '_item'].map(ownColumn)).toEqual(Array(6).fill(null));
  });
});

describe('a cell', () => {
  it('is quoted where a reader could take it for more than one', () => {
    const cells = ['a', 'a,b', 'a;b', 'a\tb', 'a"b', 'a\nb', ' a', ''];
    expect(cells.map(csvCell)).toEqual(['a', '"a,b"', '"a;b"', '"a\tb"', '"a""b"', '"a\nb"', '" a"', '']);
  });
});
