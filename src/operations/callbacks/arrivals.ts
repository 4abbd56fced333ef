/** Tells operations that callbacks have come: at once for the first, then ever more seldom while they keep coming. */

export interface Arrivals {
  add(account: string, id: string, ordinal: number): void;
  /** No more signals; what was not told is found by looking. */
  stop(): void;
}

/** Never rejects. */
export type Tell = (account: string, id: string, ordinals: readonly number[]) => Promise<void>;

const EVERY_MIN_MS = 1_000;
const EVERY_MAX_MS = 60_000;
/**
 * A wait of 5 % of the time that callbacks have been coming: an hour of them costs about 150 signals, at some four
 * history events each.
 */
const SHARE = 20;
/** Callbacks that come later than this after the last begin anew. */
const FORGET_AFTER_MS = 30_000;
/** Operations told of at once; the slices of others look by themselves. */
const OPERATIONS_MAX = 10_000;

interface Streak {
  readonly account: string;
  readonly id: string;
  readonly begunAtMs: number;
  /** Not told of yet. */
  readonly ordinals: Set<number>;
  /** The next signal may go out at once. */
  isResting: boolean;
  timer: NodeJS.Timeout | undefined;
}

export function createArrivals(tell: Tell): Arrivals {
  const streaks = new Map<string, Streak>();

  function send(name: string, streak: Streak): void {
    const ordinals = [...streak.ordinals];
    streak.ordinals.clear();
    streak.isResting = false;
    void tell(streak.account, streak.id, ordinals);
    const everyMs = Math.min(EVERY_MAX_MS, Math.max(EVERY_MIN_MS, (Date.now() - streak.begunAtMs) / SHARE));
    wait(streak, everyMs, () => (streak.ordinals.size > 0 ? send(name, streak) : rest(name, streak)));
  }

  function rest(name: string, streak: Streak): void {
    streak.isResting = true;
    wait(streak, FORGET_AFTER_MS, () => streaks.delete(name));
  }

  function wait(streak: Streak, ms: number, act: () => void): void {
    clearTimeout(streak.timer);
    streak.timer = setTimeout(act, ms).unref();
  }

  return {
    add(account, id, ordinal) {
      const name = `${account}/${id}`;
      const known = streaks.get(name);
      if (known === undefined && streaks.size >= OPERATIONS_MAX) return;
      const streak = known ?? {
        account,
        id,
        begunAtMs: Date.now(),
        ordinals: new Set(),
        isResting: true,
        timer: undefined,
      };
      streak.ordinals.add(ordinal);
      streaks.set(name, streak);
      if (streak.isResting) send(name, streak);
    },
    stop() {
      for (const { timer } of streaks.values()) clearTimeout(timer);
      streaks.clear();
    },
  };
}
