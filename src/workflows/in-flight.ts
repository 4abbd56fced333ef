/** How many calls an operation's slices have with the vendor at one time: what its window is fed by. Pure. */

export interface InFlight {
  /** What the chunk's last slice said; undefined: nothing. */
  report(ordinal: number, calls: number | undefined): void;
  forget(ordinal: number): void;
  /** Of `chunks` at work, by those that have said it; null where none has. */
  sum(chunks: number): number | null;
}

export function createInFlight(): InFlight {
  const byChunk = new Map<number, number>();
  return {
    report(ordinal, calls) {
      if (calls === undefined) byChunk.delete(ordinal);
      else byChunk.set(ordinal, calls);
    },
    forget: (ordinal) => void byChunk.delete(ordinal),
    sum(chunks) {
      if (byChunk.size === 0) return null;
      const known = [...byChunk.values()].reduce((sum, calls) => sum + calls, 0);
      return (known / byChunk.size) * chunks;
    },
  };
}
