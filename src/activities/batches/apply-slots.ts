/**
 * Applies a chunk slot by slot where effect and record share a database: each slot once, all of it or nothing, whatever
 * becomes of this slice. What stands in the ledger already is adopted.
 */
import type { Plan } from '../../model/plan.ts';
import type { Effects, Placed } from '../../storage/effects.ts';
import type { ItemLabel, TargetItem } from '../../targets/target.ts';
import type { SliceEnd, SliceLost } from '../apply-items.ts';
import { workThroughBox } from '../box-loop.ts';
import type { Decision, Rows } from '../rows.ts';
import type { BatchRun } from './apply-batches.ts';
import { createBatchCall } from './batch-call.ts';
import { createSlotTransaction, type SlotBatch, type SlotEnd } from './slot-transaction.ts';
import { adoptSlots, slotAt } from './slots.ts';

/** Positions of a slot that are undecided, and how they stand: alike, since they are put off alike. */
interface Lot {
  readonly slot: number;
  readonly positions: readonly number[];
  readonly attempts: number;
  readonly dueMs: number;
}

/** How soon a slot is looked at again that came to nothing without anybody's fault. */
const NOT_NOW_RETRY_MS = 200;

export async function applySlots(run: BatchRun, effects: Effects<Decision>): Promise<SliceEnd | SliceLost> {
  const { control } = run;
  const work = createSlotWork(run, effects);
  try {
    await Promise.race([work.adopt(), aborted(control.signal)]);
    await work.loop();
  } finally {
    work.stop();
    control.end();
  }
  // Nothing of it is in doubt: what was committed stands in the ledger.
  return control.lost() ? { begun: [] } : work.end();
}

function createSlotWork(run: BatchRun, effects: Effects<Decision>) {
  const { rows, reader, lease, control, log } = run;
  const { plan, ref, ordinal, boxMs, probe } = run.input;
  const at = { uid: ref.uid, run: run.input.run, ordinal };
  const waiting = new AbortController();
  let lots: Lot[] = [];
  let probing = probe;
  let away = false;
  let over = false;
  const mayGoOn = () => !over && !control.signal.aborted && lease.held();
  const batch = createBatchCall(run, { waiting: waiting.signal, mayCall: mayGoOn });
  const transact = createSlotTransaction({ plan, at, effects, batch, mayGoOn, log });

  /** What an earlier slice committed there and not here. */
  async function adopt(): Promise<void> {
    try {
      const standing = await effects.standing(at);
      if (over) return;
      adoptSlots(run, standing);
      giveUpClaimed(await effects.claimed(at));
    } catch (cause) {
      giveWay(cause);
    }
    if (!over && !away) lots = lotsOf(rows, plan);
  }

  /** An end that was begun and then lost: nobody can apply them any more, so nobody waits for it. */
  function giveUpClaimed(slots: readonly number[]): void {
    if (over || slots.length === 0) return;
    for (const position of rows.open()) {
      if (!slots.includes(slotAt(plan, position))) continue;
      const { attempts } = rows.standing(position);
      rows.decide(position, reader.label(position), { outcome: 'cancelled', attempts });
    }
  }

  function giveWay(cause: unknown): void {
    if (!away && !over) log('warn', 'the database is away; its items wait', { uid: ref.uid, ordinal, cause });
    away = true;
  }

  function begin(): Promise<void> | null {
    const next = lots.findIndex(({ dueMs }) => dueMs <= Date.now());
    const [lot] = next === -1 ? [] : lots.splice(next, 1);
    return lot === undefined ? null : applyLot(lot);
  }

  async function applyLot(lot: Lot): Promise<void> {
    const { items, labels } = readLot(lot);
    if (items.length === 0) return;
    const ended = await transact({ slot: lot.slot, attempts: lot.attempts, items });
    if (over) return;
    const positions = items.map(({ position }) => position);
    if (ended.kind === 'decided') {
      probing = false;
      return decide(positions, labels, ended.placed, lot.attempts + 1);
    }
    if (ended.kind === 'away') giveWay(ended.cause);
    lots.push(putOff(lot, positions, ended));
  }

  /** Items that do not pass their schema are decided here, once for all. */
  function readLot({ positions, attempts }: Lot) {
    const items: SlotBatch['items'][number][] = [];
    const labels: ItemLabel[] = [];
    for (const position of positions) {
      const read = reader.read(position);
      if (read.ok) {
        items.push({ position, item: read.item satisfies TargetItem<unknown> });
        labels.push(read.label);
      } else rows.decide(position, read.label, { outcome: 'failed', attempts, error: read.error });
    }
    return { items, labels };
  }

  function decide(
    positions: readonly number[],
    labels: readonly ItemLabel[],
    placed: readonly Placed<Decision>[],
    attempts: number,
  ): void {
    const decisions = new Map(placed.map(({ position, decision }) => [position, decision]));
    for (const [i, position] of positions.entries()) {
      rows.decide(position, labels[i] ?? {}, decisions.get(position) ?? { ...LEFT_OUT, attempts });
    }
  }

  function putOff(lot: Lot, positions: readonly number[], ended: Exclude<SlotEnd, { kind: 'decided' }>): Lot {
    if (ended.kind !== 'again') return { ...lot, positions, dueMs: Date.now() + NOT_NOW_RETRY_MS };
    for (const [i, position] of positions.entries()) rows.tried(position, ended.codes[i] ?? ROLLED_BACK);
    return { ...lot, positions, attempts: ended.attempts, dueMs: ended.dueMs };
  }

  return {
    adopt,
    loop: () =>
      workThroughBox({
        control,
        lease,
        boxMs,
        limit: () => (probing ? 1 : plan.sliceConcurrency),
        mustEnd: () => away || run.isSpent(),
        begin,
        nextDueMs: () => (lots.length === 0 ? null : Math.min(...lots.map(({ dueMs }) => dueMs))),
      }),
    /** What is in flight comes to nothing. */
    stop(): void {
      over = true;
      waiting.abort();
    },
    end(): SliceEnd {
      for (const { positions, attempts, dueMs } of lots) {
        if (attempts === 0) continue;
        const row = { notBefore: Math.round(dueMs), attempts, doubt: false };
        for (const position of positions) rows.defer(position, row);
      }
      const soonestMs = lots.length === 0 ? 0 : Math.min(...lots.map(({ dueMs }) => Math.round(dueMs)));
      return { waitUntil: soonestMs > Date.now() ? soonestMs : null, vendorDown: away, awaiting: 0 };
    },
  };
}

function lotsOf(rows: Rows, plan: Plan): Lot[] {
  const bySlot = new Map<number, number[]>();
  for (const position of rows.open()) {
    const slot = slotAt(plan, position);
    const positions = bySlot.get(slot);
    if (positions === undefined) bySlot.set(slot, [position]);
    else positions.push(position);
  }
  return [...bySlot].map(([slot, positions]) => {
    const standings = positions.map(rows.standing);
    return {
      slot,
      positions,
      attempts: Math.max(...standings.map(({ attempts }) => attempts)),
      dueMs: Math.max(...standings.map(({ notBefore }) => notBefore)),
    };
  });
}

/** An earlier release found it invalid and applied the rest of its slot. */
const LEFT_OUT = {
  outcome: 'failed',
  error: {
    code: 'left_out',
    message: 'the batch of this item was applied without it, by a release that found it invalid; retry it',
    retryable: true,
  },
} as const satisfies Partial<Decision>;

/** What is kept of the attempt of an item that failed with a neighbour. */
const ROLLED_BACK = 'batch_rolled_back';

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}
