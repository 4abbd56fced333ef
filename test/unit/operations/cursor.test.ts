import { describe, expect, it } from 'vitest';
import { decodeCursor, encodeCursor } from '../../../src/operations/status/cursor.ts';
import { visibilityQuery } from '../../../src/operations/status/visibility.ts';

describe('a cursor', () => {
  const token = Buffer.from([0, 1, 255, 254]);

  it('gives the page token back for the filter it was made for', () => {
    const text = encodeCursor(token, 'filter');
    expect(text).toMatch(/^[A-Za-z0-9_-]+$/);
    expect(decodeCursor(text, 'filter')).toEqual(token);
  });

  it('is refused for another filter, torn, made up or endless', () => {
    const text = encodeCursor(token, 'filter');
    const made = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');
    expect(() => decodeCursor(text, 'other')).toThrow(/cursor/);
    for (const bad of [
      '',
      'x',
      text.slice(1),
      text.slice(0, -4),
      made(null),
      made([]),
      made({ v: 2 }),
      'A'.repeat(5_000),
    ]) {
      expect(() => decodeCursor(bad, 'filter')).toThrow(/cursor/);
    }
  });
});

describe('the visibility query', () => {
  it('names the account always, and what is filtered by', () => {
    const query = visibilityQuery({
      account: 'a-1',
      state: 'running',
      createdAfter: '2026-01-01T00:00:00+02:00',
      limit: 9,
    });
    expect(query).toContain("TrancheAccount = 'a-1'");
    expect(query).toContain("TrancheState = 'running'");
    expect(query).toContain("StartTime >= '2025-12-31T22:00:00.000Z'");
    expect(query).not.toContain('TrancheOutcome');
  });

  it('takes no value that could end the quotes', () => {
    for (const target of ["a'b", 'a b', '', 'a\\']) {
      expect(() => visibilityQuery({ account: 'a', target, limit: 1 })).toThrow(/target/);
    }
  });
});
