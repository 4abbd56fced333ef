/** One process of many sweeps: the others stand by. Two that think so for a moment do each other no harm. */
import { ulid } from 'ulid';
import type { Records } from '../../storage/records.ts';

interface Holding {
  readonly version: 1;
  readonly holder: string;
  /** Epoch ms. */
  readonly untilMs: number;
}

export interface SweepLease {
  /** True: this process sweeps now. */
  take(): Promise<boolean>;
  /** The next one need not wait. */
  release(): Promise<void>;
}

/** Renewed at half of it: so long a killed process keeps the others from sweeping. */
const LEASE_MS = 20_000;

export function createSweepLease(records: Pick<Records, 'readSweep' | 'putSweep'>): SweepLease {
  const holder = ulid();
  let untilMs = 0;

  async function write(until: number): Promise<void> {
    await records.putSweep('lease', { version: 1, holder, untilMs: until } satisfies Holding);
    untilMs = until;
  }

  return {
    async take() {
      const now = Date.now();
      if (untilMs - now > LEASE_MS / 2) return true;
      const standing = await records.readSweep<Holding>('lease');
      if (standing !== null && standing.holder !== holder && standing.untilMs > now) {
        untilMs = 0;
        return false;
      }
      await write(now + LEASE_MS);
      // Of several that found it free, the last to write has it.
      const written = await records.readSweep<Holding>('lease');
      if (written?.holder !== holder) untilMs = 0;
      return written?.holder === holder;
    },
    async release() {
      if (untilMs > Date.now()) await write(0);
    },
  };
}
