/** Decides what is left of a chunk after a cancel: `cancelled`, or `unknown` where a call may have gone out. */
import { heartbeat } from '@temporalio/activity';
import type { SettleAnswer, SettleInput } from '../model/activity-contract.ts';
import { reach } from '../model/crash-point.ts';
import type { Deferred } from '../model/outcome.ts';
import { NO_MARKS, readMarks } from '../storage/marks.ts';
import { createItemReader } from '../targets/item-reader.ts';
import { giveUpSlots } from './batches/slots.ts';
import { openCallbacks } from './callbacks/callbacks.ts';
import { readChunk } from './chunk-blob.ts';
import type { ActivityDeps } from './deps.ts';
import { readLeavings } from './journal.ts';
import { createRows, type Decision } from './rows.ts';
import { targetOf } from './target-of.ts';

export function createSettle(deps: ActivityDeps) {
  return async function settle(input: SettleInput): Promise<SettleAnswer> {
    const { ref, plan, run, ordinal } = input;
    const target = targetOf(deps, plan.target);
    const at = { uid: ref.uid, run, ordinal };
    const chunk = await readChunk(deps, input);
    const log = await deps.segments.readLog(at, chunk);
    heartbeat();
    const { lost } = input;
    const leavings = await readLeavings(deps, { ...at, seq: log.nextSeq, chunk, lost, plan });
    const reader = createItemReader(chunk, target, ref.uid);
    const marks = plan.dedupe ? await readMarks(deps.store, at) : NO_MARKS;
    const rows = createRows({ chunk, log, leavings, reader, plan, marks });
    const { store } = deps;
    const { readCallback } = target;
    // What the vendor has answered is no longer in doubt.
    const callbacks = readCallback && openCallbacks({ store, uid: ref.uid, chunk, rows, reader, readCallback });
    await callbacks?.fold(() => false);
    if (plan.guarantee === 'exactly_once') {
      await giveUpSlots({ database: deps.database, plan, at, lost, rows, reader });
    }
    for (const position of rows.open()) {
      const standing = rows.standing(position);
      rows.decide(position, reader.label(position), givenUp(standing));
    }
    // A second settle may find a journal a line longer: the rows that stand are those that count.
    reach('settle.before_commit');
    const ours = await deps.segments.compact(at, rows.segment(true));
    reach('settle.committed');
    return { tally: ours ? rows.tally() : await deps.segments.tallyOf(at) };
  };
}

/** Only what was never begun is `cancelled`. */
function givenUp({ doubt, attempts, submitted }: Omit<Deferred, 'index'>): Decision {
  if (submitted !== undefined) return { ...NOT_ANSWERED, attempts: attempts + 1 };
  if (doubt) return { ...IN_DOUBT, attempts };
  return attempts > 0 ? { ...NOT_RETRIED, attempts } : { outcome: 'cancelled', attempts };
}

const NOT_RETRIED: Omit<Decision, 'attempts'> = {
  outcome: 'failed',
  error: {
    code: 'cancelled_before_retry',
    message: 'the operation was cancelled before this item, which the vendor had refused for now, was tried again',
    retryable: true,
  },
};

const IN_DOUBT: Omit<Decision, 'attempts'> = {
  outcome: 'unknown',
  error: {
    code: 'cancelled_in_doubt',
    message: 'the operation was cancelled after a call for this item that nobody answered; it may have taken effect',
    retryable: true,
  },
};

const NOT_ANSWERED: Omit<Decision, 'attempts'> = {
  outcome: 'unknown',
  error: {
    code: 'cancelled_in_doubt',
    message: 'the operation was cancelled after the vendor had taken this item and before it said what became of it',
    retryable: true,
  },
};
