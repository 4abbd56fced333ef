/** The log: what clients and vendors say cannot forge a line, steer a terminal, fill the disk or lie around in it. */
import { describe, expect, it } from 'vitest';
import { createLog } from '../../../src/log.ts';

function linesOf(write: (log: ReturnType<typeof createLog>) => void): string[] {
  const lines: string[] = [];
  write(createLog({ level: 'debug', part: 'test', write: (line) => lines.push(line) }));
  return lines;
}

const told = (facts: Readonly<Record<string, unknown>>) => linesOf((log) => log('error', 'it failed', facts)).join('');

function failureOf(act: () => unknown): unknown {
  try {
    return act();
  } catch (error) {
    return error;
  }
}

describe('a log line', () => {
  it.each([
    ['a line end', 'a\r\n{"level":"error"}'],
    ['an escape sequence', 'a\u001b[2J'],
    ['an 8-bit escape sequence', 'a\u009b2J\u0085\u007f'],
    ['separators', 'a\u2028b\u2029'],
    ['reversed text', 'a\u202etxt.exe\u2066\u200f'],
    ['half a character', 'a\ud800'],
    ['NUL', 'a\u0000b'],
  ])('is one line of visible characters where a fact holds %s', (_, hostile) => {
    const line = told({ hostile, error: new Error(hostile) });
    expect(line).toMatch(/^[^\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]+\n$/u);
    expect(JSON.parse(line)).toMatchObject({
      message: 'it failed',
      hostile: hostile.isWellFormed() ? hostile : 'a\ud800',
    });
  });

  it('is bounded, however much there is to tell', () => {
    const long = 'x'.repeat(5_000_000);
    expect(told({ long }).length).toBeLessThan(3_000);
    expect(told({ error: new Error(long, { cause: new Error(long) }) }).length).toBeLessThan(6_000);
    const many = told({ many: Array.from({ length: 200_000 }, (_, n) => n) });
    expect(JSON.parse(many)).toMatchObject({ level: 'error', message: 'it failed', facts: 'too long' });
    expect(linesOf((log) => log('error', long)).join('').length).toBeLessThan(3_000);
  });

  it('quotes nothing of a text that could not be parsed', () => {
    const texts = ['{"ssn": 078-05-1120}', 'SECRET', '{"a": "078-05-1120', '[1,2,SECRET]', '{"x":"a", SECRET "}'];
    for (const text of texts) {
      const line = told({ error: new Error('outer', { cause: failureOf(() => JSON.parse(text)) }) });
      expect(line).toContain('SyntaxError');
      expect(line).not.toMatch(/SECRET|078-05|ssn/);
    }
  });

  it('quotes nothing of a value that a database refused, and says which column it was for', () => {
    const refused = Object.assign(new Error('invalid input syntax for type integer: "078-05-1120"'), {
      code: '22P02',
      detail: 'Key (email)=(SECRET@example.com) already exists.',
      where: 'SECRET',
    });
    const line = told({ cause: refused });
    expect(line).toContain('invalid input syntax for type integer');
    expect(line).not.toMatch(/078-05|SECRET/);
    const column = told({ cause: new Error('null value in column "email" violates not-null constraint') });
    expect(column).toContain('\\"email\\"');
  });

  it('holds no line of a message twice: frames are frames', () => {
    const { error } = JSON.parse(told({ error: new Error('a\nSECRET of the second line') })) as {
      error: { stack: string[] };
    };
    for (const frame of error.stack) expect(frame).toMatch(/^at /);
  });
});
