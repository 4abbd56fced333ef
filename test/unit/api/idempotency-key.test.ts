import { describe, expect, it } from 'vitest';
import { readIdempotencyKey } from '../../../src/api/idempotency-key.ts';

describe('Idempotency-Key', () => {
  it('is null where it is absent', () => {
    expect(readIdempotencyKey(undefined)).toBeNull();
  });

  it.each([
    ['order-1', 'order-1'],
    ['"order-1"', 'order-1'],
    ['  "order-1"  ', 'order-1'],
    ['"a,b"', 'a,b'],
    ['a'.repeat(255), 'a'.repeat(255)],
  ])('takes %j', (header, key) => {
    expect(readIdempotencyKey(header)).toBe(key);
  });

  it('unescapes a quoted key', () => {
    expect(readIdempotencyKey('"a\\"b\\\\c"')).toBe('a"b\\c');
  });

  it.each([
    ['empty', ''],
    ['empty quotes', '""'],
    ['one character too many', 'a'.repeat(256)],
    ['a space', 'a b'],
    ['a space in quotes', '"a b"'],
    ['a letter beyond ASCII', 'clé'],
    ['two fields, joined by Node', 'a, b'],
    ['a comma list of strings', '"a", "b"'],
    ['an open quote', '"a'],
    ['a quote inside', 'a"b'],
    ['parameters behind it', '"a";x=1'],
  ])('refuses %s', (_what, header) => {
    expect(() => readIdempotencyKey(header)).toThrow(expect.objectContaining({ code: 'idempotency_key_invalid' }));
  });
});
