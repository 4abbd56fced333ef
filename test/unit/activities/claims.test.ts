/** The table of keys: exact whatever the digests, sized in bytes that are known beforehand. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { claimsBytes, createClaims, createDigest } from '../../../src/activities/duplicates/claims.ts';
import { CHUNK_BYTES_MAX } from '../../../src/model/limits.ts';

const MIB = 2 ** 20;

/** Three words as a digest. */
function digestOf(a: number, b: number, c: number): string {
  const bytes = Buffer.alloc(12);
  for (const [i, word] of [a, b, c].entries()) bytes.writeUInt32LE(word >>> 0, 4 * i);
  return bytes.toString('latin1');
}

describe('claims', () => {
  it('the first one holds the key, every later one is told who', () => {
    const claims = createClaims({ keysMax: 3 });
    expect(claims.claim('a', 7)).toBeNull();
    expect(claims.claim('b', 0)).toBeNull();
    expect(claims.claim('a', 8)).toBe(7);
    expect(claims.claim('b', 9)).toBe(0);
    expect(claims.claim('a', 10)).toBe(7);
    expect(claims.claim('', 11)).toBeNull();
    expect(claims.claim('', 12)).toBe(11);
  });

  it('behaves as a Map does', () => {
    fc.assert(
      fc.property(fc.array(fc.string({ maxLength: 3, unit: 'binary' }), { maxLength: 200 }), (keys) => {
        const claims = createClaims({ keysMax: keys.length });
        const map = new Map<string, number>();
        for (const [index, key] of keys.entries()) {
          expect(claims.claim(key, index)).toBe(map.get(key) ?? null);
          if (!map.has(key)) map.set(key, index);
        }
      }),
    );
  });

  it('holds many keys whose digests begin alike, beyond the end of the table, too', () => {
    const words = new Map<string, [number, number, number]>();
    for (let i = 0; i < 40; i++) words.set(`home ${i}`, [0xffff_ffff, 0, i]);
    for (let i = 0; i < 20; i++) words.set(`second ${i}`, [0xffff_ffff, i + 1, 0]);
    const digest = (key: string) => digestOf(...(words.get(key) ?? [0, 0, 0]));
    const claims = createClaims({ keysMax: 60, digest });
    const keys = [...words.keys()];
    for (const [index, key] of keys.entries()) expect(claims.claim(key, index)).toBeNull();
    for (const [index, key] of keys.entries()) expect(claims.claim(key, 1_000)).toBe(index);
  });

  it('refuses to hold more keys than fit, and never loops for ever', () => {
    const claims = createClaims({ keysMax: 50 });
    const claimAll = () => {
      for (let i = 0; i < 100; i++) claims.claim(`key ${i}`, i);
    };
    expect(claimAll).toThrow('more than 50 keys');
  });

  it('keeps indexes up to a thousand million apart', () => {
    const claims = createClaims({ keysMax: 2 });
    expect(claims.claim('a', 999_999_999)).toBeNull();
    expect(claims.claim('a', 1)).toBe(999_999_999);
  });

  it('each key falls into exactly one part', () => {
    const digest = createDigest();
    const parts = Array.from({ length: 7 }, (_, number) =>
      createClaims({ keysMax: 300, part: { number, of: 7 }, digest }),
    );
    for (let i = 0; i < 1_000; i++) for (const claims of parts) expect(claims.claim(`key ${i}`, i)).toBeNull();
    for (let i = 0; i < 1_000; i++) {
      const holders = parts.map((claims) => claims.claim(`key ${i}`, 5_000)).filter((holder) => holder !== null);
      expect(holders).toEqual([i]);
    }
  });
});

describe('the digest', () => {
  it('is another one in every execution, so that nobody can make up keys that collide', () => {
    expect(createDigest()('a@example.com')).not.toBe(createDigest()('a@example.com'));
  });

  it('tells keys apart that are the same in UTF-8', () => {
    const digest = createDigest();
    const keys = ['\ud800', '\ud801', '\ufffd', '"\\ud800"', '\\ud800', '"\ufffd"'];
    expect(new Set(keys.map(digest)).size).toBe(keys.length);
  });
});

describe('memory', () => {
  it('the table of 10 M keys and the chunks beside it stay below 300 MiB', () => {
    expect(claimsBytes(10_000_000)).toBe(200_000_000);
    // One chunk in work and two that come, each with its tables.
    const chunks = 3 * (CHUNK_BYTES_MAX + MIB);
    expect(claimsBytes(10_000_000) + chunks).toBeLessThan(220 * MIB);
  });

  it('10 M keys are held in exactly the bytes that were promised, outside the heap, and given back', () => {
    const items = 10_000_000;
    let index = 0;
    // A cheap one-to-one digest: multiplication by an odd number modulo 2^32.
    const digest = () => {
      const a = Math.imul(index, 0x9e37_79b1);
      return String.fromCharCode(a & 255, (a >> 8) & 255, (a >> 16) & 255, a >>> 24, 0, 0, 0, 0, 0, 0, 0, 0);
    };
    const before = process.memoryUsage().arrayBuffers;
    const claims = createClaims({ keysMax: items, digest });
    let taken = 0;
    for (; index < items; index++) if (claims.claim('', index) !== null) taken++;
    expect(taken).toBe(0);
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(claimsBytes(items) + MIB);
    index = 9_999_999;
    expect(claims.claim('', 1)).toBe(9_999_999);
    claims.end();
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(MIB);
  }, 60_000);
});
