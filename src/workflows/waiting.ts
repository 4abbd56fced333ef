/**
 * Chunks that only wait for callbacks: they hold no place of the window, and are looked at as seldom as will do.
 *
 * A look (one slice) costs about 7 history events, its timer, shared with others, 5. Arrivals set a chunk's next look to
 * when half of what it waits for should have come, at most a twelfth of the callback timeout away: whatever the vendor's
 * pace, that makes ≤ log2(items) + 12 looks. So 10,000 items (4 chunks of 2,500) cost ≤ 4 · (11 + 12) · 7 + 23 · 5 ≈ 760.
 */
import type { Plan } from '../model/plan.ts';
import type { ChunkState } from '../model/workflow-contract.ts';

/** Two looks at one chunk are at least this far apart. */
const GAP_MIN_MS = 1_000;
/** Without news: a nudge may have been lost. Doubles with each look. */
const PATIENCE_MIN_MS = 15_000;
const PATIENCE_MAX_MS = 5 * 60_000;
/** Looks within the longest time that a vendor has for its answer, where they are as far apart as they may be. */
const LOOKS_PER_TIMEOUT = 12;

interface Guest {
  readonly chunk: ChunkState;
  /** Callbacks have come since it was looked at. */
  news: boolean;
  /** With news it is looked at then, without it later. */
  readonly newsAtMs: number;
  readonly lookAtMs: number;
}

/** What is remembered of a chunk from one look to the next. */
interface Seen {
  readonly items: number;
  readonly atMs: number;
  readonly gapMs: number;
  readonly patienceMs: number;
}

export type Waiting = ReturnType<typeof createWaiting>;

export function createWaiting({ callbackTimeoutMs }: Pick<Plan, 'callbackTimeoutMs'>) {
  const gapMaxMs = Math.max(GAP_MIN_MS, (callbackTimeoutMs ?? 0) / LOOKS_PER_TIMEOUT);
  const guests = new Map<number, Guest>();
  const seen = new Map<number, Seen>();
  /** News of chunks that are being worked on. */
  const early = new Set<number>();

  const dueMs = ({ news, newsAtMs, lookAtMs }: Guest): number => (news ? Math.min(newsAtMs, lookAtMs) : lookAtMs);

  /** When the next of them is to be looked at; null where nobody waits. */
  function nextAtMs(): number | null {
    let nextMs = Number.POSITIVE_INFINITY;
    for (const guest of guests.values()) nextMs = Math.min(nextMs, dueMs(guest));
    return nextMs === Number.POSITIVE_INFINITY ? null : nextMs;
  }

  return {
    nextAtMs,
    chunks: () => guests.size,

    /** It has just been looked at. */
    enter(chunk: ChunkState, { items, until }: NonNullable<ChunkState['awaits']>, nowMs: number): void {
      const before = seen.get(chunk.ordinal);
      const gapMs = before === undefined ? GAP_MIN_MS : gapAfter(before, items, nowMs, gapMaxMs);
      const patienceMs =
        before === undefined ? PATIENCE_MIN_MS : Math.min(2 * before.patienceMs, Math.max(PATIENCE_MAX_MS, gapMaxMs));
      seen.set(chunk.ordinal, { items, atMs: nowMs, gapMs, patienceMs });
      const news = early.delete(chunk.ordinal);
      // Deadlines are as far apart as submissions were: many are met by one look.
      const deadlineMs = Math.max(until, nowMs + Math.min(gapMaxMs, patienceMs));
      const lookAtMs = Math.min(nowMs + patienceMs, deadlineMs);
      guests.set(chunk.ordinal, { chunk, news, newsAtMs: together(nowMs, gapMs), lookAtMs });
    },

    /** It waited when its workflow, or all work, was interrupted: what has come since is not known. */
    comeBack(chunk: ChunkState, nowMs: number): void {
      guests.set(chunk.ordinal, { chunk, news: true, newsAtMs: nowMs, lookAtMs: nowMs });
    },

    tell(ordinal: number): void {
      const guest = guests.get(ordinal);
      if (guest === undefined) early.add(ordinal);
      else guest.news = true;
    },

    /** The next chunk to be looked at, which waits no longer; null where none is due. */
    takeDue(nowMs: number): ChunkState | null {
      for (const [ordinal, guest] of guests) {
        if (dueMs(guest) > nowMs) continue;
        guests.delete(ordinal);
        // What comes from now on may be missed by the look.
        early.delete(ordinal);
        return guest.chunk;
      }
      return null;
    },

    forget(ordinal: number): void {
      seen.delete(ordinal);
      early.delete(ordinal);
    },
  };
}

/** Half the time that the rest should take, by what came since the last look; twice the last gap where nothing came. */
export function gapAfter(before: Seen, items: number, nowMs: number, gapMaxMs: number): number {
  const came = before.items - items;
  const gapMs = came > 0 ? ((nowMs - before.atMs) * items) / came / 2 : 2 * before.gapMs;
  return Math.min(gapMaxMs, Math.max(GAP_MIN_MS, gapMs));
}

/** Times that are almost the same become one, so that chunks share a timer and workflow tasks. */
function together(nowMs: number, gapMs: number): number {
  if (gapMs < 2 * GAP_MIN_MS) return nowMs + gapMs;
  const stepMs = 2 ** Math.floor(Math.log2(gapMs / 2));
  return Math.ceil((nowMs + gapMs / 2) / stepMs) * stepMs;
}
