/**
 * Chunks that only wait for callbacks: they hold no place of the window, and are looked at as seldom as will do.
 *
 * A look (one slice) costs 6 history events, a timer, shared by all that are looked at with it, 5. A chunk is looked at
 * when three quarters of what it waits for should have come, at most an eighth of the callback timeout away, nor longer
 * than it has waited: ≤ log4(items) + 8 looks at a steady pace, and 7 while it is young. 10,000 items are 4 chunks of
 * 2,500: (6 + 8 + 7) rounds of 4 · 6 + 5 events ≈ 600; the API's signals add ≤ 360, their submission some 140.
 */
import type { Plan } from '../model/plan.ts';
import type { ChunkState, Looks } from '../model/workflow-contract.ts';

/** Two looks at one chunk are at least this far apart. */
const GAP_MIN_MS = 1_000;
/** Without news: a nudge may have been lost. Doubles with each look. */
const PATIENCE_MIN_MS = 15_000;
const PATIENCE_MAX_MS = 5 * 60_000;
/** The last callbacks are not far behind the first: each look finds most of what is missing. */
const SHARE_OF_REST = 0.75;
/** Looks within the longest time that a vendor has for its answer, where they are as far apart as they may be. */
const LOOKS_PER_TIMEOUT = 8;

interface Guest {
  readonly chunk: ChunkState;
  /** Callbacks have come since it was looked at. */
  news: boolean;
  /** With news it is looked at then, without it later; with news and others that are due, a little earlier. */
  readonly newsAtMs: number;
  readonly soonAtMs: number;
  readonly lookAtMs: number;
}

export type Waiting = ReturnType<typeof createWaiting>;

export function createWaiting({ callbackTimeoutMs }: Pick<Plan, 'callbackTimeoutMs'>) {
  const gapMaxMs = Math.max(GAP_MIN_MS, (callbackTimeoutMs ?? 0) / LOOKS_PER_TIMEOUT);
  const guests = new Map<number, Guest>();
  const seen = new Map<number, Looks>();
  /** News of chunks that are being worked on. */
  const early = new Set<number>();
  /** When the last one was due: those that soon will be go with it, and share timer and workflow tasks. */
  let roundAtMs = Number.NaN;

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

    /** It has just been looked at. Answers it with what is to be remembered of that. */
    enter(given: ChunkState, { items, until }: NonNullable<ChunkState['awaits']>, nowMs: number): ChunkState {
      const before = seen.get(given.ordinal);
      const firstAtMs = before?.firstAtMs ?? nowMs;
      const mostMs = Math.min(gapMaxMs, nowMs - firstAtMs);
      const gapMs = before === undefined ? GAP_MIN_MS : gapAfter(before, items, nowMs, mostMs);
      const patienceMs =
        before === undefined ? PATIENCE_MIN_MS : Math.min(2 * before.patienceMs, Math.max(PATIENCE_MAX_MS, gapMaxMs));
      const looks = { firstAtMs, items, atMs: nowMs, gapMs, patienceMs };
      const chunk = { ...given, awaits: { items, until, looks } };
      seen.set(chunk.ordinal, looks);
      const soonMs = Math.max(GAP_MIN_MS, gapMs / 2);
      const news = early.delete(chunk.ordinal);
      // Deadlines are as far apart as submissions were: the first is met, and many of the others by one look.
      const restMs = before === undefined ? GAP_MIN_MS : Math.min(gapMaxMs, patienceMs);
      const deadlineMs = Math.max(until, nowMs + restMs);
      const lookAtMs = Math.min(nowMs + patienceMs, deadlineMs);
      guests.set(chunk.ordinal, { chunk, news, newsAtMs: nowMs + gapMs, soonAtMs: nowMs + soonMs, lookAtMs });
      return chunk;
    },

    /**
     * It waited when its workflow, or all work, was interrupted: what has come since is not known. It is looked at when
     * news would have had it looked at, and no sooner: where many wait, their looks alone make a history long.
     */
    comeBack(chunk: ChunkState, nowMs: number): void {
      const looks = chunk.awaits?.looks;
      if (looks !== undefined) seen.set(chunk.ordinal, looks);
      const atMs = looks === undefined ? nowMs : Math.max(nowMs, looks.atMs + looks.gapMs);
      guests.set(chunk.ordinal, { chunk, news: true, newsAtMs: atMs, soonAtMs: atMs, lookAtMs: atMs });
    },

    tell(ordinal: number): void {
      const guest = guests.get(ordinal);
      if (guest === undefined) early.add(ordinal);
      else guest.news = true;
    },

    /** The next chunk to be looked at, which waits no longer; null where none is due. */
    takeDue(nowMs: number): ChunkState | null {
      if ((nextAtMs() ?? Number.POSITIVE_INFINITY) <= nowMs) roundAtMs = nowMs;
      for (const [ordinal, guest] of guests) {
        const isSoon = roundAtMs === nowMs && guest.news && guest.soonAtMs <= nowMs;
        if (!isSoon && dueMs(guest) > nowMs) continue;
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

/** Most of the time that the rest should take, by what came since the last look; twice the last gap where nothing came. */
export function gapAfter(before: Looks, items: number, nowMs: number, mostMs: number): number {
  const came = before.items - items;
  const gapMs = came > 0 ? ((nowMs - before.atMs) * items * SHARE_OF_REST) / came : 2 * before.gapMs;
  return Math.max(GAP_MIN_MS, Math.min(mostMs, gapMs));
}
