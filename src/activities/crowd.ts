/** Keeps slices that wait for one slow vendor from filling a worker: work for others would find no place. */

export interface Crowd {
  /** A slice that begins; the answer is called when it ends. */
  enter(vendor: string, account: string): () => void;
  /** True: the vendor has more than its part of the places, and this account more than its part of those. */
  isTooMany(vendor: string, account: string): boolean;
}

/** Of a process's places, at most this share is for slices of one vendor that makes them wait. */
const SHARE_MAX = 0.5;

export function createCrowd(slicesMax: number): Crowd {
  const placesMax = Math.max(1, Math.floor(slicesMax * SHARE_MAX));
  const vendors = new Map<string, Map<string, number>>();

  return {
    enter(vendor, account) {
      const accounts = vendors.get(vendor) ?? new Map<string, number>();
      vendors.set(vendor, accounts);
      accounts.set(account, (accounts.get(account) ?? 0) + 1);
      return () => {
        const left = (accounts.get(account) ?? 1) - 1;
        if (left > 0) accounts.set(account, left);
        else accounts.delete(account);
        if (accounts.size === 0) vendors.delete(vendor);
      };
    },
    isTooMany(vendor, account) {
      const accounts = vendors.get(vendor);
      if (accounts === undefined) return false;
      let slices = 0;
      for (const count of accounts.values()) slices += count;
      return slices > placesMax && (accounts.get(account) ?? 0) > placesMax / accounts.size;
    },
  };
}
