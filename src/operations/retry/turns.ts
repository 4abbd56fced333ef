/** Lets a few do heavy work at a time; who comes later waits for a turn, first come, first served. */
export interface Turns {
  take<T>(work: () => Promise<T>): Promise<T>;
}

export function createTurns(atOnce: number): Turns {
  const waiting: (() => void)[] = [];
  let working = 0;
  return {
    async take(work) {
      // Who is woken takes over the place of who wakes it.
      if (working >= atOnce) await new Promise<void>((wake) => waiting.push(wake));
      else working++;
      try {
        return await work();
      } finally {
        const next = waiting.shift();
        if (next === undefined) working--;
        else next();
      }
    },
  };
}
