import { expect, test } from 'vitest';
import { breakToken } from '../../../src/mock-vendor/forged-token.ts';
import { readCallbackToken, signCallback } from '../../../src/model/callback-token.ts';

const SECRET = 's'.repeat(32);
const REF = { vendor: 'async', account: 'acme', id: 'op:1.a_b', uid: '01ABC', keyRun: 1, index: 41 };

test('a token says what was signed, and is the same for the same item whenever it is made', () => {
  const token = signCallback(SECRET, REF);
  expect(signCallback(SECRET, { ...REF })).toBe(token);
  expect(readCallbackToken(SECRET, 'async', token)).toEqual(REF);
  expect(token).toMatch(/^[A-Za-z0-9_-]+\.[A-Za-z0-9_-]{43}$/);
});

test('every item, run, operation and account has a token of its own', () => {
  const others = [
    { ...REF, index: 42 },
    { ...REF, keyRun: 2 },
    { ...REF, uid: '01ABD' },
    { ...REF, id: 'op' },
    { ...REF, account: 'other' },
    { ...REF, vendor: 'sync' },
  ];
  expect(new Set([REF, ...others].map((ref) => signCallback(SECRET, ref))).size).toBe(7);
});

test('nothing but the very token is taken: not for another vendor, nor by another secret', () => {
  const token = signCallback(SECRET, REF);
  expect(readCallbackToken(SECRET, 'products', token)).toBeNull();
  expect(readCallbackToken('t'.repeat(32), 'async', token)).toBeNull();
  for (const forged of ['', '.', 'a', '.a', `${token}=`, ` ${token}`, token.replace('.', ''), 'x'.repeat(10_000)]) {
    expect(readCallbackToken(SECRET, 'async', forged)).toBeNull();
  }
});

test('no single changed character, cut or swapped claim passes', () => {
  const token = signCallback(SECRET, REF);
  for (let at = 0; at < token.length; at++) {
    const changed = token.slice(0, at) + (token[at] === 'A' ? 'B' : 'A') + token.slice(at + 1);
    expect(readCallbackToken(SECRET, 'async', changed)).toBeNull();
    expect(readCallbackToken(SECRET, 'async', token.slice(0, at))).toBeNull();
  }
  for (let round = 0; round < 500; round++) {
    const forged = breakToken(`http://host/v1/vendors/async/callbacks/${token}`, Math.random).split('/').at(-1) ?? '';
    expect(readCallbackToken(SECRET, 'async', forged)).toBeNull();
  }
});

test('the longest account and id still fit', () => {
  const ref = {
    ...REF,
    account: 'a'.repeat(40),
    id: 'i'.repeat(128),
    uid: 'U'.repeat(26),
    keyRun: 999,
    index: 999_999_999,
  };
  expect(readCallbackToken(SECRET, 'async', signCallback(SECRET, ref))).toEqual(ref);
});
