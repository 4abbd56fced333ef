/** The true story breaks no rule, and gives each rule but those of other tests something to look at. */
import { describe, expect, it } from 'vitest';
import { checkHistory, judgeHistory } from '../../check/check.ts';
import { parseHistory, renderHistory } from '../../check/history.ts';
import { packRows, rowsOf, stretchesOf } from '../../check/rows.ts';
import { RULES } from '../../check/rules/index.ts';
import { download, fault, row, told } from './story.ts';

describe('a true history', () => {
  it('breaks no rule', () => {
    expect(checkHistory({ lines: told() })).toEqual([]);
  });

  it('is judged the same whatever the order of its lines, and after a way through NDJSON', () => {
    const lines = told({}, [fault('worker', 1_100, 1_100, 'worker')]).toReversed();
    const judged = judgeHistory({ lines: told({}, [fault('worker', 1_100, 1_100, 'worker')]) });
    expect(judgeHistory(parseHistory(renderHistory({ lines })))).toEqual(judged);
  });

  it('of another version, without a frame or torn is refused', () => {
    expect(() => parseHistory('')).toThrow(/version/);
    expect(() => parseHistory('{"kind":"frame","version":2}\n')).toThrow(/version/);
    expect(() => parseHistory('{"kind":"frame","vers')).toThrow();
  });

  it('is judged by rules that all have names of their own', () => {
    expect(new Set(RULES.map(({ name }) => name)).size).toBe(RULES.length);
  });
});

describe('rows', () => {
  it.each([
    ['none', []],
    ['one', [row(7, 'failed', 'x')]],
    ['many, with gaps, disorder and repetition', [row(0), row(1), row(5, 'unknown', 'y'), row(4), row(4, 'cancelled')]],
  ])('come out as they went in: %s', (_, rows) => {
    expect(rowsOf(packRows(rows)).inOrder).toEqual(rows);
  });

  it('with fewer outcomes than indexes are no download', () => {
    expect(() => rowsOf({ ...download(1, [row(0), row(1)]), outcomes: 's' })).toThrow(/outcomes/);
  });

  it('are kept in stretches', () => {
    expect(stretchesOf([0, 1, 2, 4, 4, 3])).toEqual([
      [0, 2],
      [4, 4],
      [4, 4],
      [3, 3],
    ]);
  });
});
