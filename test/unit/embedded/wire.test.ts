import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { createCutter, type Received, simpleQuery, statusAfter, WireError } from '../../../src/embedded/wire.ts';

function message(type: string, body: Buffer): Buffer {
  const head = Buffer.alloc(5);
  head.write(type);
  head.writeUInt32BE(4 + body.length, 1);
  return Buffer.concat([head, body]);
}

function startup(words: readonly string[], code = 196_608): Buffer {
  const body = Buffer.from(`${words.map((word) => `${word}\0`).join('')}\0`);
  const head = Buffer.alloc(8);
  head.writeUInt32BE(8 + body.length, 0);
  head.writeUInt32BE(code, 4);
  return Buffer.concat([head, body]);
}

const SSL = Buffer.from([0, 0, 0, 8, 4, 0xd2, 0x16, 0x2f]);
const GREETING = startup(['user', 'x', 'database', 'y']);
const PARSE = message('P', Buffer.from('\0SELECT 1\0\0\0'));
const BIND = message('B', Buffer.from('\0\0\0\0\0\0\0\0'));
const SYNC = message('S', Buffer.alloc(0));
const QUERY = simpleQuery('SELECT 1');

describe('what a client sends', () => {
  test('is cut in the same way however it arrives', () => {
    const all = Buffer.concat([SSL, GREETING, QUERY, PARSE, BIND, SYNC, QUERY, message('X', Buffer.alloc(0))]);
    const wanted: Received[] = [
      { kind: 'encryption' },
      {
        kind: 'startup',
        parameters: new Map([
          ['user', 'x'],
          ['database', 'y'],
        ]),
      },
      { kind: 'batch', bytes: QUERY },
      { kind: 'batch', bytes: Buffer.concat([PARSE, BIND, SYNC]) },
      { kind: 'batch', bytes: QUERY },
      { kind: 'goodbye' },
    ];
    fc.assert(
      fc.property(fc.array(fc.nat(all.length), { maxLength: 30 }), (cuts) => {
        const cutter = createCutter();
        const ends = [...cuts, all.length].toSorted((a, b) => a - b);
        const received = ends.flatMap((end, i) => [...cutter.push(all.subarray(ends[i - 1] ?? 0, end))]);
        expect(received).toEqual(wanted);
      }),
    );
    const cutter = createCutter();
    expect([...all].flatMap((byte) => [...cutter.push(Buffer.from([byte]))])).toEqual(wanted);
  });

  test.each([
    ['another protocol', startup(['user', 'x'], 2 << 16), '08P01'],
    ['a greeting beyond bounds', Buffer.from([0, 1, 0, 0]), '08P01'],
    ['a greeting without length', Buffer.from([0, 0, 0, 3]), '08P01'],
    ['a message without length', Buffer.concat([GREETING, Buffer.from([0x51, 0, 0, 0, 3])]), '08P01'],
    ['a message beyond bounds', Buffer.concat([GREETING, Buffer.from([0x51, 0x7f, 0xff, 0xff, 0xff])]), '08P01'],
    ['a named statement', Buffer.concat([GREETING, message('P', Buffer.from('name\0SELECT 1\0\0\0'))]), '0A000'],
    ['a flush', Buffer.concat([GREETING, message('H', Buffer.alloc(0))]), '0A000'],
    ['a copy in', Buffer.concat([GREETING, simpleQuery(' Copy t (a)\nFROM  stdin')]), '0A000'],
    ['a copy in after another statement', Buffer.concat([GREETING, simpleQuery('BEGIN; COPY t FROM STDIN')]), '0A000'],
    ['a copy in, parsed', Buffer.concat([GREETING, message('P', Buffer.from('\0COPY t FROM STDIN\0\0\0'))]), '0A000'],
    ['copied data', Buffer.concat([GREETING, message('d', Buffer.from('x'))]), '0A000'],
  ])('that is %s is refused', (_, bytes, code) => {
    const cutter = createCutter();
    expect(() => cutter.push(bytes)).toThrow(WireError);
    expect(() => createCutter().push(bytes)).toThrow(expect.objectContaining({ code }));
  });

  test.each(['COPY t TO STDOUT', 'SELECT copy FROM stdin', "INSERT INTO copies SELECT 'from stdin'"])(
    'is taken where it is %s',
    (text) => {
      expect(createCutter().push(Buffer.concat([GREETING, simpleQuery(text)]))).toHaveLength(2);
    },
  );

  test('to cancel another’s statement is a goodbye', () => {
    const cancel = Buffer.from([0, 0, 0, 16, 4, 0xd2, 0x16, 0x2e, 0, 0, 0, 1, 0, 0, 0, 2]);
    expect(createCutter().push(cancel)).toEqual([{ kind: 'goodbye' }]);
  });
});

describe('the end of an answer', () => {
  test.each([
    ['I', 'idle'],
    ['T', 'open'],
    ['E', 'open'],
  ])('%s means %s', (status, wanted) => {
    expect(statusAfter(Buffer.concat([QUERY, message('Z', Buffer.from(status))]))).toBe(wanted);
  });

  test.each([[Buffer.alloc(0)], [QUERY], [Buffer.from('ZI')]])('must be there', (answer) => {
    expect(() => statusAfter(answer)).toThrow('did not end');
  });
});
