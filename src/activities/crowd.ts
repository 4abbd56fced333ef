/** Keeps slices that wait for one slow vendor from filling a worker: work for others would find no place. */

export interface Crowd {
  /** A slice that begins. */
  enter(vendor: string, account: string): Visit;
}

export interface Visit {
  /**
   * True: the vendor has more than its part of the places, and this account more than its part of those. Who is sent
   * away is gone at once: of slices that came together, as many stay as there is room for.
   */
  sendAway(): boolean;
  /** To be called when it ends. */
  leave(): void;
}

/** Of a process's places, at most this share is for slices of one vendor that makes them wait. */
const SHARE_MAX = 0.5;

export function createCrowd(slicesMax: number): Crowd {
  const placesMax = Math.max(1, Math.floor(slicesMax * SHARE_MAX));
  const vendors = new Map<string, Map<string, number>>();

  function isTooMany(accounts: ReadonlyMap<string, number>, account: string): boolean {
    let slices = 0;
    for (const count of accounts.values()) slices += count;
    return slices > placesMax && (accounts.get(account) ?? 0) > placesMax / accounts.size;
  }

  return {
    enter(vendor, account) {
      const accounts = vendors.get(vendor) ?? new Map<string, number>();
      vendors.set(vendor, accounts);
      accounts.set(account, (accounts.get(account) ?? 0) + 1);
      let isHere = true;
      function leave(): void {
        if (!isHere) return;
        isHere = false;
        const left = (accounts.get(account) ?? 1) - 1;
        if (left > 0) accounts.set(account, left);
        else accounts.delete(account);
        if (accounts.size === 0) vendors.delete(vendor);
      }
      return {
        sendAway() {
          if (!isTooMany(accounts, account)) return false;
          leave();
          return true;
        },
        leave,
      };
    },
  };
}

/** Of a slice that calls nobody. */
export const ALONE: Visit = { sendAway: () => false, leave: () => undefined };
