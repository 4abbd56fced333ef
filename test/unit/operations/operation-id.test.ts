import { describe, expect, it } from 'vitest';
import { mayNameOperation, newUid, operationIdOf } from '../../../src/operations/submit/operation-id.ts';

describe('an operation id', () => {
  it('is the key itself where that may stand in a path', () => {
    for (const key of ['a', 'A.b_c:d-9', '0'.repeat(128)]) expect(operationIdOf(key)).toBe(key);
  });

  it('is made from the hash of any other key, the same each time', () => {
    for (const key of ['', '.hidden', 'a b', 'a/b', 'ü', '0'.repeat(129)]) {
      expect(operationIdOf(key)).toMatch(/^k_[a-z2-7]{52}$/);
      expect(operationIdOf(key)).toBe(operationIdOf(key));
    }
    expect(operationIdOf('a b')).not.toBe(operationIdOf('a  b'));
  });

  it('encodes the hash as RFC 4648 does', () => {
    // printf '' | sha256sum | xxd -r -p | base32 | tr A-Z a-z
    expect(operationIdOf('')).toBe('k_4oymiquy7qobjgx36tejs35zeqt24qpemsnzgtfeswmrw6csxbkq');
  });

  it('is never looked up where it cannot name anything', () => {
    expect(mayNameOperation('default', newUid())).toBe(true);
    for (const [account, id] of [
      ['default', '../x'],
      ['default', ''],
      ['default', '0'.repeat(129)],
      ['De/fault', 'x'],
      ['', 'x'],
    ] as const) {
      expect(mayNameOperation(account, id)).toBe(false);
    }
  });

  it('is fresh each time where there is no key', () => {
    const uids = Array.from({ length: 1_000 }, newUid);
    expect(new Set(uids).size).toBe(1_000);
    for (const uid of uids) expect(uid).toMatch(/^[0-9A-HJKMNP-TV-Z]{26}$/);
  });
});
