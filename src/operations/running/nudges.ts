/** Operations that the reconciler should look at now: a start that failed, a workflow found closed without a summary. */

/** Beyond it the next full pass finds them by their markers. */
const NUDGES_MAX = 10_000;

export interface Nudges {
  add(uid: string): void;
  /** All so far; they are forgotten. */
  take(): string[];
  readonly size: number;
}

export function createNudges(): Nudges {
  const uids = new Set<string>();
  return {
    add(uid) {
      if (uids.size < NUDGES_MAX) uids.add(uid);
    },
    take() {
      const taken = [...uids];
      uids.clear();
      return taken;
    },
    get size() {
      return uids.size;
    },
  };
}
