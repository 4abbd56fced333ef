import { describe, expect, it } from 'vitest';
import { canonicalJson, fingerprintOf } from '../../../src/operations/submit/fingerprint.ts';

const input = { mediaType: 'application/json', bytes: 3, sha256: 'aa' };
const parts = {
  target: 'products',
  input,
  policy: { concurrency: 2, priority: 1 },
  metadata: { a: { x: 1, y: 2 } },
  scheduledAt: null,
};

describe('a fingerprint', () => {
  it('does not see the order of members, nor parameters of the media type', () => {
    const same = fingerprintOf({
      ...parts,
      input: { ...input, mediaType: 'Application/JSON; charset=utf-8' },
      policy: { priority: 1, concurrency: 2 },
      metadata: { a: { y: 2, x: 1 } },
    });
    expect(same).toBe(fingerprintOf(parts));
    expect(same).toMatch(/^[0-9a-f]{64}$/);
  });

  it('sees every part', () => {
    const others = [
      { ...parts, target: 'noop' },
      { ...parts, input: { ...input, sha256: 'ab' } },
      { ...parts, input: { ...input, mediaType: 'application/x-ndjson' } },
      { ...parts, policy: { concurrency: 2 } },
      { ...parts, policy: { ...parts.policy, maxFailures: 0 } },
      { ...parts, policy: { ...parts.policy, onFailureLimit: 'stop' as const } },
      { ...parts, policy: { ...parts.policy, deadline: '2999-01-01T00:00:00.000Z' } },
      { ...parts, metadata: { a: { x: 1, y: 3 } } },
      { ...parts, metadata: {} },
      { ...parts, scheduledAt: '2999-01-01T00:00:00.000Z' },
    ];
    const all = [parts, ...others].map(fingerprintOf);
    expect(new Set(all).size).toBe(all.length);
  });

  it('takes __proto__ for a member like any other', () => {
    expect(canonicalJson(JSON.parse('{"__proto__":{"b":1,"a":2}}'))).toBe('{"__proto__":{"a":2,"b":1}}');
    expect(canonicalJson({ list: [{ b: 1, a: [] }, null] })).toBe('{"list":[{"a":[],"b":1},null]}');
  });
});
