/** The standing of every item of a chunk while one slice works on it, and the rows that the slice will commit. */

import { type Chunk, indexAt, isInDoubtAt } from '../model/chunk.ts';
import { addTallies, decidedItems, EMPTY_TALLY, type Tally } from '../model/operation.ts';
import { type Deferred, type ItemError, type ItemOutcome, TRIALS_KEPT } from '../model/outcome.ts';
import type { Plan } from '../model/plan.ts';
import { renderResultLine } from '../model/result-line.ts';
import type { Marks } from '../storage/marks.ts';
import { type ChunkLog, outcomeOfLine, type SegmentRows } from '../storage/segments.ts';
import type { ItemReader } from '../targets/item-reader.ts';
import type { ItemLabel } from '../targets/target.ts';
import type { Leavings } from './journal.ts';
import { createLineStore } from './line-store.ts';

/** Decided: what the result line says beside index, line and label. */
export interface Decision {
  readonly outcome: ItemOutcome;
  readonly attempts: number;
  readonly error?: ItemError;
  readonly result?: unknown;
  readonly reason?: string;
  readonly duplicateOf?: number;
}

export type Rows = ReturnType<typeof createRows>;

export interface RowsRequest {
  readonly chunk: Chunk;
  readonly log: ChunkLog;
  readonly leavings: Leavings;
  readonly reader: ItemReader;
  readonly plan: Plan;
  /** Duplicates: decided at once, so that nothing is tried for them. */
  readonly marks: Marks;
}

export function createRows({ chunk, log, leavings, reader, plan, marks }: RowsRequest) {
  const { items } = chunk.header;
  const lines = createLineStore(items);
  /** 1 where this slice has decided. */
  const mine = new Uint8Array(items);
  const deferred = new Map(log.deferred);
  const deferredNow = new Set<number>();
  const trials = new Map(log.trials);
  const triedNow = new Set<number>();
  let decidedHere = false;
  let awaiting = [...deferred.values()].filter(isAwaited).length;
  const counts = { ...EMPTY_TALLY } as { -readonly [K in keyof Tally]: number };

  function keep(position: number, outcome: ItemOutcome, line: string | Buffer): void {
    lines.set(position, line);
    mine[position] = 1;
    decidedHere = true;
    counts[outcome]++;
    if (deferred.size === 0) return;
    if (isAwaited(deferred.get(position))) awaiting--;
    deferred.delete(position);
  }

  /** Returns the line, for the journal. */
  function decide(position: number, label: ItemLabel, decision: Decision): string {
    const line = renderResultLine({ index: indexAt(chunk, position), line: reader.line(position), label, ...decision });
    keep(position, decision.outcome, line);
    return line;
  }

  function defer(position: number, row: Omit<Deferred, 'index'>): void {
    const before = deferred.get(position);
    // What the log says already is not said again: an outage must not rewrite every row with every probe.
    if (before !== undefined && isSame(before, row)) return;
    awaiting += Number(isAwaited(row)) - Number(isAwaited(before));
    deferred.set(position, { index: indexAt(chunk, position), ...row });
    deferredNow.add(position);
  }

  /** Only of items that needed several attempts: the others cost nothing. */
  function tried(position: number, code: string): void {
    const before = trials.get(position) ?? [];
    trials.set(position, [...before, { at: Date.now(), code }].slice(-TRIALS_KEPT));
    triedNow.add(position);
  }

  for (const [position, line] of log.lines) lines.set(position, line);
  for (const [position, line] of leavings.lines) {
    if (!lines.has(position)) keep(position, outcomeOfLine(line), line);
  }
  for (const [i, position] of marks.positions.entries()) {
    if (lines.has(position)) continue;
    decide(position, reader.label(position), { ...DUPLICATE, duplicateOf: marks.duplicateOf[i] ?? 0 });
  }
  for (const [position, row] of leavings.taken) if (!lines.has(position)) defer(position, row);
  const putOffInDoubt = !leavings.lastWords;
  // What a lost slice may have begun is in doubt: where that cannot be resolved by asking again, say so.
  for (let position = 0; leavings.lost && position < items; position++) {
    const begun =
      position < leavings.reach || leavings.begun.has(position) || (putOffInDoubt && deferred.has(position));
    // What the vendor is known to have taken is not called again, only asked for.
    if (!begun || lines.has(position) || isAwaited(deferred.get(position))) continue;
    if (plan.onDoubt === 'unknown') decide(position, reader.label(position), LOST);
    else defer(position, { notBefore: 0, attempts: 0, ...deferred.get(position), doubt: true });
  }

  const tally = () => addTallies(log.tally, counts);
  return {
    decide,
    defer,
    tried,
    wasTried: (position: number): boolean => trials.size > 0 && trials.has(position),
    tally,
    undecided: () => items - decidedItems(tally()),
    changed: () => decidedHere || deferredNow.size > 0,
    indexAt: (position: number): number => indexAt(chunk, position),
    isOpen: (position: number): boolean => !lines.has(position),
    /** Items that a vendor has taken and owes a callback for. */
    awaiting: () => awaiting,
    standing: (position: number): Omit<Deferred, 'index'> =>
      deferred.get(position) ?? (isInDoubtAt(chunk, position) ? TRIED_BEFORE : NEVER_TRIED),
    /** No slice of this run has put it off. */
    isFresh: (position: number): boolean => !deferred.has(position),
    /** Positions to work on, ascending. */
    open(): number[] {
      const open: number[] = [];
      for (let position = 0; position < items; position++) if (!lines.has(position)) open.push(position);
      return open;
    },
    /** Gives the lines' memory back: nothing is decided or read after it. */
    end: lines.end,
    /** This slice's rows, or, `whole`, all rows of the chunk so far. */
    segment(whole: boolean): SegmentRows {
      const joined = lines.join((position) => whole || mine[position] === 1);
      const waiting = [...deferred].filter(([position]) => whole || deferredNow.has(position));
      const attempted = [...trials].filter(([position]) => whole || triedNow.has(position));
      return {
        outcomeLines: joined.lines,
        outcomes: joined.count,
        tally: whole ? tally() : counts,
        deferred: waiting.map(([, row]) => row),
        trials: attempted.map(([position, of]) => ({ index: indexAt(chunk, position), trials: of })),
      };
    },
  };
}

function isAwaited(row: Omit<Deferred, 'index'> | undefined): boolean {
  return row?.submitted !== undefined;
}

function isSame(a: Omit<Deferred, 'index'>, b: Omit<Deferred, 'index'>): boolean {
  if (a.notBefore !== b.notBefore || a.attempts !== b.attempts || a.doubt !== b.doubt) return false;
  return isAwaited(a) === isAwaited(b) && a.submitted?.vendorRef === b.submitted?.vendorRef;
}

const NEVER_TRIED = { notBefore: 0, attempts: 0, doubt: false } as const;
/** By an earlier run, and whether it took effect is not known. */
const TRIED_BEFORE = { ...NEVER_TRIED, doubt: true } as const;

const DUPLICATE = { outcome: 'skipped', attempts: 0, reason: 'duplicate' } as const satisfies Decision;

const LOST: Decision = {
  outcome: 'unknown',
  attempts: 1,
  error: {
    code: 'worker_lost',
    message: 'the worker was lost while this item may have been in flight; whether it took effect is not known',
    retryable: true,
  },
};
