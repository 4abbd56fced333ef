/**
 * What a running slice writes ahead of its commit, so that its replacement repeats only the calls in flight: outcomes
 * as they come, and `reach`, the position below which items may have been begun.
 */
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
/** Smallest step by which the reach grows. Unit: items. */
const STEP_MIN = 16;
/** A slice younger than this writes no journal: most are done by then. */
const JOURNAL_AFTER_MS = 100;
/** Outcomes that come together at a slice's end are committed together: no journal is begun for them. */
const FIRST_WRITE_AFTER_MS = 30;

export interface Journal {
  /** False: not before the reach is durable; `onReach` is called then. Positions are asked for in rising order. */
  mayBegin(position: number): boolean;
  outcome(line: string): void;
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
    log.add(Buffer.from(`{"reach":${reach}}`));
    for (const line of early) log.add(Buffer.from(line));
    early.length = 0;
    return log;
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
    outcome(line) {
      if (log !== null) {
        log.add(Buffer.from(line));
        return;
      }
      early.push(line);
      const ageMs = performance.now() - request.startedAtMs;
      timer ??= setTimeout(open, Math.max(FIRST_WRITE_AFTER_MS, JOURNAL_AFTER_MS - ageMs));
    },
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
  /** Positions below this may have been begun. */
  readonly reach: number;
  /** Some slice of this segment did not come to its commit: what had been put off may have been tried again. */
  readonly lost: boolean;
  readonly journals: readonly string[];
}

export interface LeavingsRef extends ChunkLogRef {
  readonly seq: number;
  readonly firstIndex: number;
  /** A slice is known not to have come to its commit. */
  readonly lost: boolean;
  readonly plan: Plan;
}

export async function readLeavings(
  { store, segments }: { readonly store: BlobStore; readonly segments: Segments },
  at: LeavingsRef,
): Promise<Leavings> {
  const { lost, plan } = at;
  const lines = new Map<number, Buffer>();
  let reach = lost && plan.journal ? reachUnjournalled(plan) : 0;
  const journals = await segments.journals(at);
  const mine = journalKey(at.uid, at.run, at.ordinal, at.seq, '');
  for (const key of journals.filter((journal) => journal.startsWith(mine))) {
    for await (const entry of readGroupLog(store, key)) {
      if (entry[2] === 0x72) reach = Math.max(reach, (JSON.parse(entry.toString()) as { reach: number }).reach);
      else lines.set(indexOfLine(entry) - at.firstIndex, entry);
    }
  }
  return { lines, reach, lost: lost || reach > 0, journals };
}
