/** A run that was recorded from the service and is without fault, changed in one place: the checker must notice each change. */
import { describe, expect, it } from 'vitest';
import { checkHistory, judgeHistory } from '../../check/check.ts';
import { RULES } from '../../check/rules/index.ts';
import { MUTATIONS_OF_ANSWERS } from './mutations-of-answers.ts';
import { MUTATIONS_OF_CALLS } from './mutations-of-calls.ts';
import { lines } from './sample.ts';

const MUTATIONS = [...MUTATIONS_OF_ANSWERS, ...MUTATIONS_OF_CALLS];

describe('a recorded run', () => {
  it('is without fault, and every rule had something to look at', () => {
    expect(checkHistory({ lines })).toEqual([]);
    const { facts } = judgeHistory({ lines });
    expect(RULES.map(({ name }) => name).filter((name) => facts[name] === 0)).toEqual([]);
  });

  it.each(MUTATIONS)('is found out where %s (%s)', (_, rule, mutated) => {
    const broken = new Set(checkHistory({ lines: mutated() }).map((violation) => violation.rule));
    expect([...broken]).toContain(rule);
  });

  it('is changed once for every rule at least', () => {
    const untried = RULES.map(({ name }) => name).filter((name) => !MUTATIONS.some(([, rule]) => rule === name));
    expect(untried).toEqual([]);
  });
});
