/**
 * What a running slice writes ahead of its commit, so that its replacement repeats only the calls in flight: outcomes
 * as they come, and `reach`, the position below which items may have been begun.
 */
import type { Plan } from '../model/plan.ts';
import type { BlobStore } from '../storage/blob-store.ts';
import { createGroupLog, readGroupLog } from '../storage/group-log.ts';
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

export interface Journal {
  /** Positions below this may be begun. */
  reach(): number;
  outcome(line: string): void;
  /** `position` is to be begun and out of reach: reaches beyond it, and calls `onReach` once that is durable. */
  extend(position: number): void;
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
  let log: ReturnType<typeof createGroupLog> | null = null;
  let { reach } = request;
  let asked = reach;
  let step = Math.max(STEP_MIN, request.reach);
  const early: string[] = [];

  function ready(force: boolean): ReturnType<typeof createGroupLog> | null {
    if (log !== null) return log;
    if (!force && performance.now() - request.startedAtMs < JOURNAL_AFTER_MS) return null;
    log = createGroupLog(store.openLog(key), store.logIntervalMs);
    log.add(Buffer.from(`{"reach":${reach}}`));
    for (const line of early) log.add(Buffer.from(line));
    early.length = 0;
    return log;
  }

  return {
    reach: () => reach,
    outcome(line) {
      const open = ready(false);
      if (open === null) early.push(line);
      else open.add(Buffer.from(line));
    },
    extend(position) {
      if (position < asked) return;
      // Each time the work has to wait here, the next step is longer.
      asked = position + step;
      step *= 2;
      const next = asked;
      const open = ready(true);
      open?.add(Buffer.from(`{"reach":${next}}`));
      open?.flushed().then(
        () => {
          reach = next;
          request.onReach();
        },
        () => request.onReach(),
      );
    },
    written: () => log !== null,
    failure: () => log?.failed ?? null,
    close: async () => await log?.close(),
  };
}

/** What slices of segment `seq` left behind that never came to their commit. */
export interface Leavings {
  /** Result lines by position. */
  readonly lines: ReadonlyMap<number, Buffer>;
  /** Positions below this may have been begun. */
  readonly reach: number;
  readonly journals: readonly string[];
}

export async function readLeavings(
  store: BlobStore,
  segments: Segments,
  ref: ChunkLogRef & { readonly seq: number; readonly firstIndex: number; readonly reachUnwritten: number },
): Promise<Leavings> {
  const lines = new Map<number, Buffer>();
  let reach = ref.reachUnwritten;
  const journals = await segments.journals(ref);
  const mine = journalKey(ref.uid, ref.run, ref.ordinal, ref.seq, '');
  for (const key of journals.filter((journal) => journal.startsWith(mine))) {
    for await (const entry of readGroupLog(store, key)) {
      if (entry[2] === 0x72) reach = Math.max(reach, (JSON.parse(entry.toString()) as { reach: number }).reach);
      else lines.set(indexOfLine(entry) - ref.firstIndex, entry);
    }
  }
  return { lines, reach, journals };
}
