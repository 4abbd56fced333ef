/** Rules about results and counts: for everything that they forbid, a history that does it. */
import { describe, expect, it } from 'vitest';
import { countsRise } from '../../check/rules/counts-rise.ts';
import { everyItemOnce } from '../../check/rules/every-item-once.ts';
import { outcomesStay } from '../../check/rules/outcomes-stay.ts';
import { download, fault, reading, row, saidBy, story, told } from './story.ts';

describe('every item once', () => {
  it('takes what is whole', () => {
    expect(saidBy(everyItemOnce, told())).toEqual([]);
  });

  it.each([
    ['a line is lost', told({ final: download(2_100, [row(0), row(1)]) }), /2 lines for 3 items/],
    ['a line is too many', told({ final: download(2_100, [row(0), row(1), row(2), row(3)]) }), /4 lines for 3/],
    [
      'an index is missing',
      told({ final: download(2_100, [row(0), row(1), row(3)]) }),
      /line 2 of run 1 is of index 3/,
    ],
    ['an index comes twice', told({ final: download(2_100, [row(0), row(1), row(1)]) }), /index 1 after 1/],
    ['the order is another', told({ final: download(2_100, [row(1), row(0), row(2)]) }), /index 0 after 1/],
    [
      'a partial is out of order',
      told({ partial: download(1_200, [row(2), row(0)], { complete: false }) }),
      /0 after 2/,
    ],
    [
      'the results say another thing than the counts',
      told({ final: download(2_100, [row(0), row(1), row(2)]) }),
      /counts 1 failed, its results 0/,
    ],
    [
      'the end leaves items undecided',
      told({ ended: { ...story().ended, counts: { ...story().ended.counts, pending: 1, failed: 0 } } }),
      /ended with 1 items undecided/,
    ],
    [
      'a reading has another total',
      told({ running: reading(1_250, { counts: { total: 2, pending: 2 } }) }),
      /3 items were accepted, and a reading says 2/,
    ],
  ])('finds that %s', (_, lines, text) => {
    expect(saidBy(everyItemOnce, lines)).toContainEqual(expect.stringMatching(text));
  });

  it('looks at the order of a download whose run is not certain', () => {
    const torn = download(3_005, [row(1), row(0)]);
    expect(saidBy(everyItemOnce, told({ retrying: null }, [torn]))).toContainEqual(expect.stringMatching(/0 after 1/));
  });
});

describe('outcomes stay', () => {
  it('takes an outcome that changes from run to run', () => {
    expect(saidBy(outcomesStay, told())).toEqual([]);
  });

  it.each([
    [
      'an outcome changes before the end',
      told({ partial: download(1_200, [row(0, 'failed', 'x')], { complete: false }) }),
      /index 0 is failed \(x\) and then succeeded/,
    ],
    [
      'a reason changes',
      told({}, [download(2_200, [row(0), row(1), row(2, 'failed', 'other')])]),
      /failed \(vendor_rejected\) and then failed \(other\)/,
    ],
    [
      'an outcome is lost again',
      told({}, [download(1_240, [], { complete: false })]),
      /index 0 had an outcome and lost it/,
    ],
    ['two final downloads differ', told({}, [download(4_300, [row(0), row(1), row(2, 'unknown')])]), /index 2 is/],
  ])('finds that %s', (_, lines, text) => {
    expect(saidBy(outcomesStay, lines)).toContainEqual(expect.stringMatching(text));
  });

  it('does not ask a download for what another has shown while it was on its way', () => {
    const beside = download(1_240, [], { complete: false, beganAtMs: 1_150 });
    expect(saidBy(outcomesStay, told({}, [beside]))).toEqual([]);
  });
});

describe('counts rise', () => {
  const newer = reading(1_400, { revision: 4, counts: { pending: 1, succeeded: 2 } });
  const older = (over: Parameters<typeof reading>[1] = {}, at = 1_500) =>
    reading(at, { revision: 3, counts: { pending: 1, running: 1, succeeded: 1 }, ...over });

  it.each([
    ['a story', told()],
    [
      'an older answer that was asked for before the newer one was there',
      told({}, [newer, older({ beganAtMs: 1_390 })]),
    ],
    ['another process that shares an answer for a moment', told({}, [newer, older({ server: 'other' })])],
    [
      'another process that says it speaks from memory',
      told({ endedAgain: null }, [newer, older({ server: 'other', live: false }, 9_000)]),
    ],
    [
      'a process that was killed and remembers nothing',
      told({}, [newer, fault('api', 1_450, 1_450), older({ live: false })]),
    ],
  ])('takes %s', (_, lines) => {
    expect(saidBy(countsRise, lines)).toEqual([]);
  });

  it.each([
    ['counts do not add up', told({ running: reading(1_250, { counts: { pending: 1 } }) }), /do not add up/],
    ['a count is negative', told({ running: reading(1_250, { counts: { pending: 4, running: -1 } }) }), /no numbers/],
    ['a revision falls', told({}, [newer, older()]), /revision 3 of run 1 is shown by api .* after 4/],
    ['a count falls', told({}, [newer, older({ revision: 4 })]), /succeeded falls from 2 to 1/],
    ['a run falls', told({}, [older({}, 5_000)]), /run 1 is shown .* after run 2/],
    [
      'another process is behind for longer than an answer is shared',
      told({ ended: null, retry: null, retrying: null, endedAgain: null }, [newer, older({ server: 'other' }, 4_500)]),
      /revision 3 .* by other .* after 4/,
    ],
    [
      'a killed process that speaks for the workflow is behind',
      told({ ended: null, retry: null, retrying: null, endedAgain: null }, [
        ...[newer, fault('api', 1_450, 1_450), older({}, 4_500)],
      ]),
      /revision 3/,
    ],
    [
      'a stream of events falls',
      told({}, [
        reading(1_400, { via: 'events', stream: 9, beganAtMs: 1_010, revision: 4, counts: { pending: 3 } }),
        reading(1_401, { via: 'events', stream: 9, beganAtMs: 1_010, revision: 3, counts: { pending: 3 } }),
      ]),
      /a stream of events falls from 1.4 to 1.3/,
    ],
    [
      'another surface falls',
      told({ retry: null, retrying: null, endedAgain: null }, [
        ...[1, 0].map((succeeded, n) => ({
          ...reading(1_400 + 50 * n, { run: null, revision: null }),
          counts: { total: 3, undecided: 3 - succeeded, succeeded, failed: 0 },
        })),
      ]),
      /succeeded falls from 1 to 0/,
    ],
  ])('finds that %s', (_, lines, text) => {
    expect(saidBy(countsRise, lines)).toContainEqual(expect.stringMatching(text));
  });
});
