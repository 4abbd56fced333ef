import { describe, expect, it } from 'vitest';
import { toAccountId } from '../../../src/model/account.ts';

describe('account id', () => {
  it.each(['default', 'a', 'team-7', 'a'.repeat(40)])('is the name itself for %s', (name) => {
    expect(toAccountId(name)).toBe(name);
  });

  it.each(['', 'Team', 'a b', 'a'.repeat(41), 'ä', 'a/b', 'a_b'])('is a hash for %j', (name) => {
    expect(toAccountId(name)).toMatch(/^h-[0-9a-f]{32}$/);
  });

  it('is never shared by a hashed name and the name that looks like its hash', () => {
    const mapped = toAccountId('Team');
    expect(toAccountId(mapped)).not.toBe(mapped);
  });
});
