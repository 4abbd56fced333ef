/** Every promise that a history is judged by. */
import type { Rule } from '../rule.ts';
import { accountsApart } from './accounts-apart.ts';
import { alwaysAnswers } from './always-answers.ts';
import { controlsObeyed } from './controls-obeyed.ts';
import { countsRise } from './counts-rise.ts';
import { effectsOnce } from './effects-once.ts';
import { everyItemOnce } from './every-item-once.ts';
import { lifeEnds } from './life-ends.ts';
import { outcomesStay } from './outcomes-stay.ts';
import { outcomesTrue } from './outcomes-true.ts';
import { quietWhenPaused } from './quiet-when-paused.ts';
import { repeatsExplained } from './repeats-explained.ts';
import { retryTouchesChosen } from './retry-touches-chosen.ts';
import { sameKeySameOperation } from './same-key-same-operation.ts';
import { windowsKept } from './windows-kept.ts';

export const RULES: readonly Rule[] = [
  everyItemOnce,
  outcomesStay,
  countsRise,
  effectsOnce,
  repeatsExplained,
  quietWhenPaused,
  controlsObeyed,
  windowsKept,
  sameKeySameOperation,
  retryTouchesChosen,
  accountsApart,
  outcomesTrue,
  lifeEnds,
  alwaysAnswers,
];
