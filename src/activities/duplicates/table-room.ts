/** How many keys this process holds in tables at once: large operations wait for one another, small ones never do. */

export interface TableRoom {
  /** Resolves, first come first served, to what gives the room back; rejects with the signal's reason. */
  enter(keys: number, signal: AbortSignal): Promise<() => void>;
}

/** Tables of up to so many keys (a third of a megabyte) need no room. */
const SMALL_KEYS = 20_000;

/** `keysMax` must not be below what one operation asks for. */
export function createTableRoom(keysMax: number): TableRoom {
  const waiting = new Set<() => boolean>();
  let taken = 0;

  /** Nobody is passed over, or a large one would wait for ever. */
  function look(): void {
    for (const entered of waiting) if (!entered()) return;
  }

  return {
    enter(keys, signal) {
      signal.throwIfAborted();
      if (keys <= SMALL_KEYS) return Promise.resolve(() => undefined);
      return new Promise((resolve, reject) => {
        const leave = () => {
          taken -= keys;
          look();
        };
        const giveUp = () => {
          waiting.delete(enters);
          reject(signal.reason);
          look();
        };
        const enters = (): boolean => {
          if (taken + keys > keysMax) return false;
          waiting.delete(enters);
          signal.removeEventListener('abort', giveUp);
          taken += keys;
          resolve(leave);
          return true;
        };
        signal.addEventListener('abort', giveUp, { once: true });
        waiting.add(enters);
        look();
      });
    },
  };
}
