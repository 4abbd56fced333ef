/** Who waits for a vendor: the accounts take turns, so that one with a million calls does not keep out one with a hundred. */

export interface FairQueue<Entry> {
  add(account: string, entry: Entry): void;
  /** The longest waiting of the account whose turn it is; null where nobody waits. Entries that are over are dropped. */
  next(): Entry | null;
  /** Those that are not over, account by account. */
  waiting(): readonly Entry[];
}

interface Line<Entry> {
  entries: Entry[];
  head: number;
}

/** Left behind in front of a line before it is cut. */
const PASSED_MAX = 1_024;

export function createFairQueue<Entry>(isOver: (entry: Entry) => boolean): FairQueue<Entry> {
  /** In the order of their turns; an account without an entry has no line. */
  const lines = new Map<string, Line<Entry>>();

  function take(line: Line<Entry>): Entry | null {
    while (line.head < line.entries.length) {
      const entry = line.entries[line.head++];
      if (entry !== undefined && !isOver(entry)) return entry;
    }
    return null;
  }

  return {
    add(account, entry) {
      const line = lines.get(account);
      if (line === undefined) {
        lines.set(account, { entries: [entry], head: 0 });
        return;
      }
      if (line.head > PASSED_MAX) {
        line.entries = line.entries.slice(line.head);
        line.head = 0;
      }
      line.entries.push(entry);
    },
    next() {
      for (const [account, line] of lines) {
        const entry = take(line);
        lines.delete(account);
        if (line.head < line.entries.length) lines.set(account, line);
        if (entry !== null) return entry;
      }
      return null;
    },
    waiting: () =>
      [...lines.values()].flatMap(({ entries, head }) => entries.slice(head).filter((entry) => !isOver(entry))),
  };
}
