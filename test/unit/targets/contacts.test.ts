import { describe, expect, test } from 'vitest';
import { CONTACT_STATUSES, contacts } from '../../../src/targets/contacts.ts';
import { parseExact } from '../../../src/targets/exact-json.ts';

const LONE = '\ud83d';
const NUL = 'a\0b';

function read(item: unknown) {
  const parsed = contacts.item.safeParse(item);
  return parsed.success
    ? parsed.data
    : parsed.error.issues.map(({ path, message }) => `${path.join('.') || 'item'}: ${message}`);
}

const withEmail = (over: object) => read({ email: 'a@b.co', ...over });
/** The first of its faults; null where it has none. */
const faultOf = (item: object) => {
  const given = read(item);
  return Array.isArray(given) ? given[0] : null;
};

describe('the e-mail address', () => {
  test.each([
    [' Ann@Example.COM\t', 'ann@example.com'],
    ['o’neil+tag@sub.example.co.uk', 'o’neil+tag@sub.example.co.uk'],
    ["first.last'x@example.museum", "first.last'x@example.museum"],
    ['用户@例子.公司', '用户@例子.公司'],
    ['a@xn--fiqs8s.xn--p1ai', 'a@xn--fiqs8s.xn--p1ai'],
    ['a@1.example', 'a@1.example'],
    [`${'x'.repeat(64)}@example.com`, `${'x'.repeat(64)}@example.com`],
    // Two ways of writing é are one address.
    ['ren\u0065\u0301@example.com', 'ren\u00e9@example.com'],
  ])('%j is taken as %j', (given, kept) => {
    expect(read({ email: given })).toMatchObject({ email: kept });
    expect(contacts.label?.({ email: given })).toEqual({ email: kept });
  });

  test.each([
    ['', ' ', 'a', '@', 'a@', '@b.co', 'a@b', 'a@b.', 'a@.co', 'a@b..co', 'a@@b.co', 'a@b@c.co'],
    ['.a@b.co', 'a.@b.co', 'a..b@c.co', 'a b@c.co', 'a@b c.co', 'a,b@c.co', '<a@b.co>', 'Ann <a@b.co>'],
    ['a@-b.co', 'a@b-.co', 'a@b.1', 'a@b.c', 'a@127.0.0.1', 'a@[127.0.0.1]', 'a"b@c.co', 'a\u0000b@c.co'],
    [`${'x'.repeat(65)}@example.com`, `a@${'x'.repeat(64)}.com`, `a@${'x.'.repeat(130)}com`, `${LONE}@b.co`],
  ])('none of %j and its like is taken', (...addresses) => {
    for (const address of addresses) {
      expect(faultOf({ email: address }), address).toMatch(/^email: must be/);
    }
  });

  test.each([
    [{}, 'email: is required'],
    [{ email: null }, 'email: must be text'],
    [{ email: 5 }, 'email: must be text'],
  ])('%j is refused', (item, message) => {
    expect(read(item)).toEqual([message]);
  });

  test('of hostile length is refused at once', () => {
    const began = performance.now();
    for (const address of [
      'a'.repeat(1e6),
      `a@${'a.'.repeat(5e5)}`,
      `${'.'.repeat(1e6)}@b.co`,
      `a@${'-'.repeat(1e6)}`,
    ]) {
      expect(faultOf({ email: address })).toMatch(/^email: must be/);
    }
    // A regular expression that goes wrong takes hours.
    expect(performance.now() - began).toBeLessThan(10_000);
  });

  test('is what tells duplicates', () => {
    const parsed = contacts.item.parse({ email: ' A@b.CO ' });
    expect(contacts.dedupeBy?.(parsed)).toBe('a@b.co');
  });
});

describe('a field', () => {
  test.each(['name', 'phone', 'company', 'status', 'age'])(
    '%s that is absent, null or blank stays as it is',
    (field) => {
      for (const value of [undefined, null, '', '  \t']) {
        const contact = withEmail({ [field]: value });
        expect(Reflect.get(contact, field) ?? null).toBeNull();
      }
    },
  );

  test.each([
    [{ name: '  Ann  ' }, { name: 'Ann' }],
    [{ name: 'x'.repeat(200) }, { name: 'x'.repeat(200) }],
    [{ name: '😀 ä \n b' }, { name: '😀 ä \n b' }],
    [{ status: ' UnSubscribed ' }, { status: 'unsubscribed' }],
    ...CONTACT_STATUSES.map((status): [object, object] => [{ status: status.toUpperCase() }, { status }]),
    ...[0, 150, '0', '150', ' 42 ', '007'].map((age): [object, object] => [{ age }, { age: Number(age) }]),
  ])('%j becomes %j', (given: object, kept: object) => {
    expect(withEmail(given)).toMatchObject(kept);
  });

  test.each([
    ...[{ name: 5 }, { name: ['x'] }, { name: 'x'.repeat(201) }, { name: NUL }, { name: LONE }],
    ...[{ phone: 5_551_234 }, { phone: 'x'.repeat(65) }, { phone: NUL }, { company: {} }, { company: `x${LONE}` }],
    ...[{ status: 'unknown' }, { status: 1 }, { status: 'active,lead' }],
    ...[
      { age: -1 },
      { age: 151 },
      { age: 1.5 },
      { age: '1.5' },
      { age: '-1' },
      { age: 'x' },
      { age: '1e1' },
      { age: true },
    ],
    ...[{ age: '0x10' }, { age: '1000' }, { age: 1e20 }],
  ])('%j is refused', (given) => {
    expect(faultOf({ email: 'a@b.co', ...given })).toMatch(/^(name|phone|company|status|age): must/);
  });

  test.each([[null], [[]], ['a@b.co'], [5]])('%j is no contact', (item) => {
    expect(read(item)).toEqual(['item: must be an object']);
  });

  test('tells every fault of an item', () => {
    expect(read({ email: 'x', age: 'old', status: 'odd' })).toHaveLength(3);
  });
});

describe('an attribute', () => {
  test.each([
    [{ City: 'Köln' }],
    [{ 'odd "name" 😀': { deep: [1, null, 'x'] } }],
    [{ ['x'.repeat(128)]: 'x' }],
    [Object.fromEntries(Array.from({ length: 100 }, (_, n) => [`k${n}`, n]))],
    // Text that only looks like an escape.
    [{ note: '\\u0000 \\ud83d' }],
  ])('case %# is taken', (given) => {
    expect(withEmail(given)).toMatchObject(given);
  });

  test.each([
    ...[{ note: NUL }, { note: LONE }, { [NUL]: 1 }, { [LONE]: 1 }, { deep: [{ [NUL]: 1 }] }, { deep: { a: [LONE] } }],
    ...[{ ['x'.repeat(129)]: 1 }, { big: 'x'.repeat(16_384) }],
    Object.fromEntries(Array.from({ length: 101 }, (_, n) => [`k${n}`, n])),
  ])('case %# is refused, once', (given) => {
    expect(withEmail(given)).toEqual([expect.stringContaining('must')]);
  });
});

describe('a CSV row', () => {
  const itemOf = (row: Readonly<Record<string, string>>): object => {
    const item = contacts.fromRow?.(row) ?? row;
    return typeof item === 'string' ? JSON.parse(item) : item;
  };

  test.each([
    [
      { email: 'a@b.co', age: '42' },
      { email: 'a@b.co', age: '42' },
    ],
    [
      { 'E-Mail': 'a@b.co', NAME: 'A' },
      { email: 'a@b.co', name: 'A' },
    ],
    [
      { ' Email Address ': 'a@b.co', full_name: 'A', 'Phone Number': '1' },
      { email: 'a@b.co', name: 'A', phone: '1' },
    ],
    [
      { Email: 'a@b.co', 'E-mail': 'other' },
      { email: 'a@b.co', 'E-mail': 'other' },
    ],
    [
      { email: 'a@b.co', City: 'X', __proto__x: 'y' },
      { email: 'a@b.co', City: 'X', __proto__x: 'y' },
    ],
    [
      { constructor: 'x', toString: 'y' },
      { constructor: 'x', toString: 'y' },
    ],
    [
      { Email: 'other', email: 'a@b.co' },
      { email: 'a@b.co', Email: 'other' },
    ],
    [{ email: 'say "hi"\n' }, { email: 'say "hi"\n' }],
    [{}, {}],
  ])('%j is the item %j', (row, item) => {
    expect(itemOf(row)).toEqual(item);
  });

  test('keeps a column called __proto__', () => {
    const row = JSON.parse('{"email":"a@b.co","__proto__":"x"}');
    expect(Object.entries(itemOf(row))).toContainEqual(['__proto__', 'x']);
  });
});

test.each([[null], [{}], [{ email: 5 }], [{ email: 'x'.repeat(255) }], [[]], ['a@b.co']])('%j has no label', (item) => {
  expect(contacts.label?.(item)).toEqual({});
});

test('an invalid address is still what its result line is called by', () => {
  expect(contacts.label?.(parseExact('{"email":" Not An Address "}').exact)).toEqual({ email: 'not an address' });
});
