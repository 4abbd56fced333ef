/** Places that are held for as long as a request stays open: so many in this process, so many of one account. */

export interface Places {
  /** False where none is free. */
  take(account: string): boolean;
  /** Once for each place taken. */
  leave(account: string): void;
}

export function createPlaces(max: number, perAccountMax: number): Places {
  const held = new Map<string, number>();
  let total = 0;
  return {
    take(account) {
      const own = held.get(account) ?? 0;
      if (total >= max || own >= perAccountMax) return false;
      held.set(account, own + 1);
      total++;
      return true;
    },
    leave(account) {
      const own = held.get(account) ?? 0;
      if (own > 1) held.set(account, own - 1);
      else held.delete(account);
      total--;
    },
  };
}
