/** One slot in one transaction: what its items' answers, or the error that came instead, mean for all of them. */
import { reach } from '../../model/crash-point.ts';
import { isDataFault, type Sql } from '../../model/database.ts';
import type { Log } from '../../model/log.ts';
import type { Applied } from '../../model/outcome.ts';
import type { Plan } from '../../model/plan.ts';
import type { Effects, Placed } from '../../storage/effects.ts';
import type { ChunkLogRef } from '../../storage/segments.ts';
import type { TargetItem } from '../../targets/target.ts';
import type { NotCalled } from '../../vendors/vendor.ts';
import type { Decision } from '../rows.ts';
import { judge, type Verdict } from '../verdict.ts';
import type { BatchCall } from './batch-call.ts';
import { batchFaultOf, REFUSED_TOGETHER } from './batch-fault.ts';
import { narrowDown } from './narrow-down.ts';

export interface SlotBatch {
  readonly slot: number;
  /** Attempts that counted before this one. */
  readonly attempts: number;
  readonly items: readonly { readonly position: number; readonly item: TargetItem<unknown> }[];
}

export type SlotEnd =
  | { readonly kind: 'decided'; readonly placed: readonly Placed<Decision>[] }
  /** Rolled back as a whole; `codes`: of each item that asked for it, by its place in the batch. */
  | {
      readonly kind: 'again';
      readonly attempts: number;
      readonly dueMs: number;
      readonly codes: readonly (string | undefined)[];
    }
  /** The slice is stopping, or was replaced. */
  | { readonly kind: 'not_now' }
  /** The database cannot be used; whether the slot stands, the ledger will tell. */
  | { readonly kind: 'away'; readonly cause: unknown };

export interface SlotDeps {
  readonly plan: Plan;
  readonly at: ChunkLogRef;
  readonly effects: Effects<Decision>;
  readonly batch: BatchCall;
  /** False: nothing more is to be begun or committed. */
  readonly mayGoOn: () => boolean;
  readonly log: Log;
}

type Answers = readonly (Applied | NotCalled)[];

/** Never rejects. */
export function createSlotTransaction(deps: SlotDeps): (slot: SlotBatch) => Promise<SlotEnd> {
  const { plan, at, effects, batch, mayGoOn, log } = deps;

  async function transact(slot: SlotBatch, apply: (sql: Sql) => Promise<Answers | null>): Promise<SlotEnd> {
    let end: SlotEnd = NOT_NOW;
    const placed = await effects.once(
      { ...at, slot: slot.slot },
      {
        mayCommit: mayGoOn,
        async work(sql) {
          reach('batch.before_effect');
          const answers = mayGoOn() ? await apply(sql) : null;
          if (answers === null) return null;
          end = judgeSlot(plan, slot, answers);
          return end.kind === 'decided' ? end.placed : null;
        },
      },
    );
    if (placed !== null) return { kind: 'decided', placed };
    return end.kind === 'decided' ? NOT_NOW : end;
  }

  /** The same for all: recorded like any other, so that a forgotten attempt cannot say otherwise later. */
  function conclude(slot: SlotBatch, applied: Applied): Promise<SlotEnd> {
    return transact(slot, async () => slot.items.map(() => applied));
  }

  async function narrow(slot: SlotBatch): Promise<SlotEnd> {
    const items = slot.items.map(({ item }) => item);
    try {
      return await transact(slot, (sql) => narrowDown({ items, sql, batch, mayGoOn }));
    } catch (error) {
      if (!isDataFault(error)) throw error;
      // Not any one row's alone: refused as late as at the commit.
      log('error', 'the database refused a batch and none of its rows', { ...at, slot: slot.slot, cause: error });
      return await conclude(slot, REFUSED_TOGETHER);
    }
  }

  async function afterFault(slot: SlotBatch, error: unknown): Promise<SlotEnd> {
    const fault = batchFaultOf(error, batch);
    if (fault.kind === 'away') throw error;
    if (fault.kind === 'rows') return await narrow(slot);
    if (fault.isBug) log('error', 'a target threw', { ...at, slot: slot.slot, cause: error });
    return await conclude(slot, fault.applied);
  }

  return async (slot) => {
    try {
      return await transact(slot, (sql) =>
        batch.apply(
          slot.items.map(({ item }) => item),
          sql,
        ),
      ).catch((error: unknown) => afterFault(slot, error));
    } catch (cause) {
      return { kind: 'away', cause };
    }
  };
}

/** One item that has to be tried again takes the whole slot back. */
function judgeSlot(plan: Plan, { attempts, items }: SlotBatch, answers: Answers): SlotEnd {
  const trial = { counted: attempts, attempts: attempts + 1, doubt: false };
  const nowMs = Date.now();
  const placed: Placed<Decision>[] = [];
  const again: Extract<Verdict, { kind: 'again' }>[] = [];
  // Targets may answer with one object for all that went alike.
  const verdicts = new Map<Applied, Verdict>();
  for (const [i, { position }] of items.entries()) {
    const answer = answers[i];
    if (answer === undefined || answer.kind === 'not_called') return NOT_NOW;
    // The transaction tells what took effect: nothing is ever in doubt.
    const applied = answer.kind === 'transient' ? { ...answer, doubt: false } : answer;
    const verdict = verdicts.get(answer) ?? judge(plan, trial, applied, nowMs, false);
    verdicts.set(answer, verdict);
    if (verdict.kind === 'again') again.push(verdict);
    else placed.push({ position, decision: verdict.decision });
  }
  if (again.length === 0) return { kind: 'decided', placed };
  return {
    kind: 'again',
    attempts: Math.max(...again.map(({ counted }) => counted)),
    dueMs: Math.max(...again.map(({ dueMs }) => dueMs)),
    codes: answers.map((answer) => (answer.kind === 'transient' ? answer.code : undefined)),
  };
}

const NOT_NOW: SlotEnd = { kind: 'not_now' };
