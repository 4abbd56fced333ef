/** Decides what is left of a chunk after a cancel: `cancelled`, or `unknown` where a call may have gone out. */
import { heartbeat } from '@temporalio/activity';
import type { SettleAnswer, SettleInput } from '../model/workflow-contract.ts';
import { createItemReader } from '../targets/item-reader.ts';
import { readChunk } from './chunk-blob.ts';
import type { ActivityDeps } from './deps.ts';
import { reachUnjournalled, readLeavings } from './journal.ts';
import { createRows, type Decision } from './rows.ts';
import { targetOf } from './target-of.ts';

export function createSettle(deps: ActivityDeps) {
  return async function settle(input: SettleInput): Promise<SettleAnswer> {
    const { ref, plan, run, ordinal } = input;
    const target = targetOf(deps, plan.target);
    const at = { uid: ref.uid, run, ordinal };
    const chunk = await readChunk(deps, input);
    const { firstIndex, items } = chunk.header;
    const log = await deps.segments.readLog(at, firstIndex);
    heartbeat();
    const reachUnwritten = input.lost ? reachUnjournalled(plan) : 0;
    const leavings = await readLeavings(deps.store, deps.segments, {
      ...at,
      seq: log.nextSeq,
      firstIndex,
      reachUnwritten,
    });
    const reader = createItemReader(chunk, target, ref.uid);
    const rows = createRows({ items, firstIndex, log, leavings, reader, plan });
    for (const position of rows.open()) {
      const { doubt, attempts } = rows.standing(position);
      rows.decide(
        position,
        reader.label(position),
        doubt ? { ...IN_DOUBT, attempts } : { outcome: 'cancelled', attempts },
      );
    }
    // Idempotent: a second settle finds the same log and writes, or adopts, the same rows.
    await deps.segments.compact(at, rows.segment(true));
    return { tally: rows.tally() };
  };
}

const IN_DOUBT: Omit<Decision, 'attempts'> = {
  outcome: 'unknown',
  error: {
    code: 'cancelled_in_doubt',
    message: 'the operation was cancelled after a call for this item that nobody answered; it may have taken effect',
    retryable: true,
  },
};
