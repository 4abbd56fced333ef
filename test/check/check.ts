/** Judges a history by every promise of DESIGN §3: which rule broke, where, and how many facts each rule looked at. */
import { arrange } from './arrange.ts';
import type { History } from './history.ts';
import type { Rule, Violation } from './rule.ts';
import { RULES } from './rules/index.ts';

export type { Violation } from './rule.ts';

export interface Judgement {
  readonly violations: readonly Violation[];
  /** By rule: how many single facts it looked at. A rule with none has said nothing. */
  readonly facts: Readonly<Record<string, number>>;
}

/** Of each rule; there may be thousands. */
const TOLD_MAX = 20;

/** Every broken promise; empty = none. Of each rule the first 20 are told. */
export function checkHistory(history: History): readonly Violation[] {
  return judgeHistory(history).violations;
}

export function judgeHistory(history: History, rules: readonly Rule[] = RULES): Judgement {
  const arranged = arrange(history);
  const violations: Violation[] = [];
  const facts: Record<string, number> = {};
  for (const { name, check } of rules) {
    let seen = 0;
    let broken = 0;
    check(arranged, {
      fact(times = 1) {
        seen += times;
      },
      violation(text, operation) {
        broken += 1;
        if (broken <= TOLD_MAX) violations.push({ rule: name, operation: operation?.name ?? null, text });
      },
    });
    facts[name] = seen;
    if (broken > TOLD_MAX) violations.push({ rule: name, operation: null, text: `and ${broken - TOLD_MAX} more` });
  }
  return { violations, facts };
}
