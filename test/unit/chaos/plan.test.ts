import { describe, expect, it } from 'vitest';
import { type PlannedFault, planFaults, type Strike } from '../../chaos/faults/plan.ts';
import { describe as describeStrike, nameOf } from '../../chaos/faults/strike.ts';
import { createRandom } from '../../chaos/random.ts';

const LENGTH_MS = 600_000;
const plan = (seed: number, store: 'fs' | 's3' = 's3') => planFaults(createRandom(seed), LENGTH_MS, store);
const seeds = Array.from({ length: 20 }, (_, at) => at + 1);

function standingAt(planned: readonly PlannedFault[], atMs: number): readonly PlannedFault[] {
  return planned.filter((fault) => fault.atMs <= atMs && fault.atMs + fault.forMs > atMs);
}

/** One process, one link, one disk, one vendor, one server. */
function thingsOf(strike: Strike): readonly string[] {
  const group = { kill: 'process', freeze: 'process', link: 'link', store: 'link', disk: 'disk', vendor: 'vendor' };
  if (!('whom' in strike)) return [strike.do.replace(/^.*_/, '')];
  return [strike.whom].flat().map((whom) => `${group[strike.do]} ${whom}`);
}

describe('a plan of faults', () => {
  it('is the same for the same seed, and another for another', () => {
    expect(plan(7)).toEqual(plan(7));
    expect(plan(8)).not.toEqual(plan(7));
  });

  it.each(seeds)('has bounded faults, a few at once, none of one thing twice (seed %i)', (seed) => {
    const planned = plan(seed, seed % 2 === 0 ? 'fs' : 's3');
    expect(planned.length).toBeGreaterThan(20);
    for (const { atMs, forMs } of planned) {
      expect(atMs).toBeLessThan(LENGTH_MS);
      expect(forMs).toBeLessThanOrEqual(12_000);
      const standing = standingAt(planned, atMs);
      expect(standing.length).toBeLessThanOrEqual(4);
      const things = standing.flatMap(({ strike }) => thingsOf(strike));
      expect(new Set(things).size).toBe(things.length);
    }
  });

  it.each(seeds)('has spells in which everything is as it should be (seed %i)', (seed) => {
    const planned = plan(seed);
    const quiet = Array.from(
      { length: LENGTH_MS / 1_000 },
      (_, second) => standingAt(planned, second * 1_000).length === 0,
    );
    expect(quiet.join().match(/(true,){5}/g)?.length ?? 0).toBeGreaterThan(5);
  });

  it('has each kind of fault, those of a disk only where there is one', () => {
    const names = (store: 'fs' | 's3') =>
      new Set(seeds.flatMap((seed) => plan(seed, store).map(({ strike }) => nameOf(strike))));
    const [disk, bucket] = [names('fs'), names('s3')];
    for (const name of ['kill api', 'kill worker', 'freeze worker', 'kill temporal', 'kill database', 'link hole']) {
      expect(disk.has(name) && bucket.has(name), name).toBe(true);
    }
    expect([...disk].filter((name) => name.startsWith('S3'))).toEqual([]);
    expect([...bucket].filter((name) => name.startsWith('disk'))).toEqual([]);
    expect([...disk].filter((name) => name.startsWith('disk')).sort()).toEqual([
      'disk EIO',
      'disk ENOSPC',
      'disk slow',
    ]);
    expect(bucket.has('S3 cut_after') && bucket.has('S3 slow_down')).toBe(true);
  });

  it('can be told in words', () => {
    for (const { strike } of plan(3)) expect(describeStrike(strike)).not.toBe('');
  });
});
