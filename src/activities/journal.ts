/**
 * What a running slice writes ahead of its commit, so that its replacement repeats only the calls in flight: outcomes
 * as they come, and `reach`, the position below which items may have been begun.
 */
import { type Chunk, positionOf } from '../model/chunk.ts';
import type { Deferred } from '../model/outcome.ts';
import type { Plan } from '../model/plan.ts';
import type { BlobStore } from '../storage/blob-store.ts';
import { createGroupLog, type GroupLog, readGroupLog } from '../storage/group-log.ts';
import { journalKey } from '../storage/keys.ts';
import { type ChunkLogRef, indexOfLine, type Segments } from '../storage/segments.ts';

/**
 * Items that a slice may begin before its journal says so: a lost slice without a journal reached no further.
 * Where a lost call cannot be repeated, none.
 */
export function reachUnjournalled(plan: Plan): number {
  if (!plan.journal) return Number.POSITIVE_INFINITY;
  return plan.onDoubt === 'unknown' ? 0 : 4 * plan.sliceConcurrency;
}
/** Third byte of `{"reach"`, `{"begun"`, `{"taken"`; an outcome begins `{"index"`. */
const REACH_MARK = 0x72;
const BEGUN_MARK = 0x62;
const TAKEN_MARK = 0x74;
/** Smallest step by which the reach grows. Unit: items. */
const STEP_MIN = 16;
/** A slice younger than this writes no journal; older, its first write stands well before 100 ms are over. */
const JOURNAL_AFTER_MS = 50;
/** Outcomes that come together at a slice's end are committed together: no journal is begun for them. */
const FIRST_WRITE_AFTER_MS = 30;

export interface Journal {
  /** False: not before the reach is durable; `onReach` is called then. Positions are asked for in rising order. */
  mayBegin(position: number): boolean;
  outcome(line: string): void;
  /** A vendor has taken the item and owes a callback: it is not called again. */
  taken(row: Deferred): void;
  /** The last words of a slice that lost its lease: it began nothing but these, beside the outcomes written. */
  farewell(begun: readonly number[]): void;
  failure(): Error | null;
  /** True where anything stands under the key. */
  written(): boolean;
  close(): Promise<void>;
}

export interface JournalRequest {
  readonly store: BlobStore;
  /** Unique per execution of the slice. */
  readonly key: string;
  readonly startedAtMs: number;
  readonly reach: number;
  readonly onReach: () => void;
}

export function openJournal(request: JournalRequest): Journal {
  const { store, key } = request;
  let log: GroupLog | null = null;
  let timer: NodeJS.Timeout | undefined;
  let { reach } = request;
  let asked = reach;
  let step = Math.max(STEP_MIN, request.reach);
  let stalled = false;
  const early: string[] = [];

  function open(): GroupLog {
    clearTimeout(timer);
    if (log !== null) return log;
    log = createGroupLog(store.openLog(key), store.logIntervalMs);
    // Without a journal a slice has no reach to speak of, and JSON has no word for it; its last words are kept all the same.
    if (Number.isFinite(reach)) log.add(Buffer.from(`{"reach":${reach}}`));
    for (const line of early) log.add(Buffer.from(line));
    early.length = 0;
    return log;
  }

  function add(line: string): void {
    if (log !== null) {
      log.add(Buffer.from(line));
      return;
    }
    early.push(line);
    const ageMs = performance.now() - request.startedAtMs;
    timer ??= setTimeout(open, Math.max(FIRST_WRITE_AFTER_MS, JOURNAL_AFTER_MS - ageMs));
  }

  /** From `position` where that lies ahead: a slice may begin deep in its chunk. */
  function extend(position: number): void {
    const next = Math.max(asked, position) + step;
    asked = next;
    const written = open();
    written.add(Buffer.from(`{"reach":${next}}`));
    written.flushed().then(
      () => {
        reach = next;
        request.onReach();
      },
      () => request.onReach(),
    );
  }

  return {
    mayBegin(position) {
      // Asked for ahead of need; where the work has to wait all the same, the next step is longer.
      if (position >= asked - step / 2) extend(position);
      const begins = position < reach;
      if (!begins && !stalled) step *= 2;
      stalled = !begins;
      return begins;
    },
    outcome: add,
    taken: (row) => add(JSON.stringify({ taken: row })),
    farewell: (begun) => open().add(Buffer.from(JSON.stringify({ begun }))),
    written: () => log !== null,
    failure: () => log?.failed ?? null,
    async close() {
      clearTimeout(timer);
      await log?.close();
    },
  };
}

/** What slices of segment `seq` left behind that never came to their commit. */
export interface Leavings {
  /** Result lines by position. */
  readonly lines: ReadonlyMap<number, Buffer>;
  /** By position: what a vendor has taken and owes a callback for. */
  readonly taken: ReadonlyMap<number, Omit<Deferred, 'index'>>;
  /** Positions below this may have been begun. */
  readonly reach: number;
  /** Positions that slices without a lease said they had begun, as their last words. */
  readonly begun: ReadonlySet<number>;
  /** The latest of them spoke: what it had put off is among `begun` where it tried that again. */
  readonly lastWords: boolean;
  /** Some slice of this segment did not come to its commit: what had been put off may have been tried again. */
  readonly lost: boolean;
  readonly journals: readonly string[];
}

export interface LeavingsRef extends ChunkLogRef {
  readonly seq: number;
  readonly chunk: Chunk;
  /** A slice is known not to have come to its commit. */
  readonly lost: boolean;
  readonly plan: Plan;
}

/** A slice without a journal once wrote that its reach is `Infinity`: it has none. */
function reachIn(entry: Buffer): number {
  return Number(/^\{"reach":(\d+)\}$/.exec(entry.toString())?.[1] ?? 0);
}

export async function readLeavings(
  { store, segments }: { readonly store: BlobStore; readonly segments: Segments },
  at: LeavingsRef,
): Promise<Leavings> {
  const { lost, plan } = at;
  const lines = new Map<number, Buffer>();
  const taken = new Map<number, Omit<Deferred, 'index'>>();
  const begun = new Set<number>();
  let lastWords = false;
  let reach = lost && plan.journal ? reachUnjournalled(plan) : 0;
  const journals = await segments.journals(at);
  const mine = journalKey(at.uid, at.run, at.ordinal, at.seq, '');
  for (const key of journals.filter((journal) => journal.startsWith(mine))) {
    let reached = 0;
    for await (const entry of readGroupLog(store, key)) {
      if (entry[2] === REACH_MARK) reached = reachIn(entry);
      else if (entry[2] === TAKEN_MARK) {
        const { index, ...row } = (JSON.parse(entry.toString()) as { taken: Deferred }).taken;
        taken.set(positionOf(at.chunk, index), row);
      } else if (entry[2] === BEGUN_MARK) {
        for (const position of (JSON.parse(entry.toString()) as { begun: number[] }).begun) begun.add(position);
        reached = 0;
        reach = 0;
        lastWords = true;
      } else lines.set(positionOf(at.chunk, indexOfLine(entry)), entry);
    }
    reach = Math.max(reach, reached);
  }
  return { lines, taken, reach, begun, lastWords, lost: lost || reach > 0 || lastWords, journals };
}
