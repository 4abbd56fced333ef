import fc from 'fast-check';
import { expect, test } from 'vitest';
import { digitsOf, memberOf, parseExact } from '../../../src/targets/exact-json.ts';

const digits = (max: number) => fc.string({ unit: fc.constantFrom(...'0123456789'), maxLength: max });

/** Any JSON number literal, long and odd ones included. */
const literal = fc
  .tuple(
    fc.boolean(),
    fc.nat(9),
    digits(25),
    fc.option(digits(25)),
    fc.option(fc.tuple(fc.constantFrom('e', 'E', 'e+', 'e-'), fc.nat(400))),
  )
  .map(([negative, first, more, fraction, exponent]) => {
    const whole = first === 0 ? '0' : `${first}${more}`;
    const point = fraction === null || fraction === '' ? '' : `.${fraction}`;
    return `${negative ? '-' : ''}${whole}${point}${exponent === null ? '' : exponent.join('')}`;
  });

test.each([
  '12345678901234567890',
  '1e400',
  '-0',
  '1.10',
  '0.0000001',
  '-0.0',
  '1E2',
  '9007199254740993',
  '1.0',
  '5e-324',
])('%s comes out digit for digit wherever it stands', (number) => {
  for (const text of [number, ` ${number} `, `[${number}]`, `[1,${number}]`, `{"a":${number}}`, `{"a": ${number} }`]) {
    expect(JSON.stringify(parseExact(text).exact)).toBe(text.replace(/ /g, ''));
  }
});

test('any number comes out digit for digit', () => {
  fc.assert(
    fc.property(fc.array(literal, { minLength: 1, maxLength: 5 }), (numbers) => {
      const text = `{"deep":[${numbers.join(',')}],"one":${numbers[0]}}`;
      expect(JSON.stringify(parseExact(text).exact)).toBe(text);
    }),
    { numRuns: 3_000 },
  );
});

test('the value is what JSON.parse gives', () => {
  fc.assert(
    fc.property(fc.json(), (text) => {
      const { value, exact } = parseExact(text);
      expect(value).toStrictEqual(JSON.parse(text));
      expect(JSON.parse(JSON.stringify(exact))).toStrictEqual(JSON.parse(JSON.stringify(value)));
    }),
  );
});

test('plain items are parsed once: value and exact are the same object', () => {
  const { value, exact } = parseExact('{"name":"Chair 2026-01-05, 4006381333931","price":12.5,"stock":100,"id":-5}');
  expect(exact).toBe(value);
});

test('what looks like a risky number inside a string does not cost a second parse', () => {
  const { value, exact } = parseExact(
    '{"at":"2026-11-21T10:20:30.120Z","tel":"\\\\\\" 00491701234567890123","x":[1,-2.5,0.25]}',
  );
  expect(exact).toBe(value);
});

test('a risky number after strings with escapes is found', () => {
  const text = '{"a\\\\":"\\"1","b":"\\\\\\"","c":[true,null,-1.50]}';
  expect(JSON.stringify(parseExact(text).exact)).toBe(text);
});

test('__proto__ and constructor are members like any other, in both', () => {
  const text = '{"__proto__":{"admin":true},"constructor":{"prototype":1},"price":1.10}';
  const { value, exact } = parseExact(text);
  expect(JSON.stringify(exact)).toBe(text);
  expect(Object.hasOwn(value as object, '__proto__')).toBe(true);
  expect(({} as { admin?: boolean }).admin).toBeUndefined();
  expect(memberOf(exact, 'toString')).toBeUndefined();
});

test('of duplicate members the last one counts', () => {
  expect(JSON.stringify(parseExact('{"a":1.10,"a":2.20}').exact)).toBe('{"a":2.20}');
});

test.each(['', '{', '[1,]', '01', '1.', '{"a":1e}', 'nul'])('%j is refused', (text) => {
  expect(() => parseExact(text)).toThrow(SyntaxError);
});

test('the digits of a number are known however large it is', () => {
  const { exact } = parseExact('{"big":12345678901234567890,"small":5,"text":"5"}');
  expect(['big', 'small', 'text', 'none'].map((name) => digitsOf(memberOf(exact, name)))).toEqual([
    '12345678901234567890',
    '5',
    null,
    null,
  ]);
});
