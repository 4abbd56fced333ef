/** Five faults are planted in the running service, one at a time: the checker must find each, and nothing where there is none. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { judgeHistory } from '../../check/check.ts';
import { recordPlanted } from '../../check/planted/planted-stack.ts';
import { RULES } from '../../check/rules/index.ts';
import { type Parts, startParts } from '../../fixtures/stack/parts.ts';

let parts: Parts;

beforeAll(async () => {
  parts = await startParts();
  await parts.startTemporal();
});
afterAll(() => parts?.stop());

describe('the checker', () => {
  it('finds nothing in a run of the service as it is, and every rule had something to look at', async () => {
    const { violations, facts } = judgeHistory(await recordPlanted(parts, null));
    expect(violations).toEqual([]);
    const silent = RULES.map(({ name }) => name).filter((name) => facts[name] === 0);
    expect(silent).toEqual([]);
  });

  it.each([
    ['lost-segment', 'every item once', /its results/],
    ['doubled-effect', 'effects once', /which no item of this history has/],
    ['slot-used-twice', 'windows kept', /80 are allowed/],
    ['swallowed-cancel', 'controls obeyed', /a cancel of run 1 was answered 202/],
    ['leaked-account', 'accounts apart', /which is not its own/],
  ] as const)('finds a %s by the rule "%s"', async (fault, rule, text) => {
    const { violations } = judgeHistory(await recordPlanted(parts, fault));
    const found = violations.filter((violation) => violation.rule === rule).map((violation) => violation.text);
    expect(found).toContainEqual(expect.stringMatching(text));
  });
});
