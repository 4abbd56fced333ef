/** Records the governor's histories for `test/unit/workflows/replay.test.ts`; part of `npm run histories`. */
import type { BookRequest, Budget } from '../src/model/governor.ts';
import type { Governors } from '../test/fixtures/governors.ts';
import { bookingOf, QUIET_REPORT } from '../test/fixtures/governors.ts';

export const GOVERNOR_PATH = 'governor';

/** More than a run takes: the last bookings are of the run that follows. */
const BOOKINGS = 220;
const AT_ONCE = 10;

/** Bookings with all that may come with them, a budget that is set and taken back, one that is refused, a continue-as-new. */
export async function driveGovernor(governors: Governors, vendor: string): Promise<void> {
  const both: Budget = {
    windows: [
      { calls: 200, seconds: 1 },
      { calls: 5_000, seconds: 60 },
    ],
    concurrencyMax: 20,
  };
  const told: Partial<BookRequest['report']>[] = [
    { answered: 20, latencyMs: 40 },
    { answered: 20, limited: 2 },
    { failed: 20, down: true },
    { answered: 1, unused: 3 },
  ];
  await governors.setBudget(vendor, both);
  await governors.book(vendor, { ...bookingOf('junk'), version: 2 as 1 }).catch(() => null);
  async function bookOn(worker: string): Promise<void> {
    for (let i = 0; i < BOOKINGS / AT_ONCE; i++) {
      const report = { ...QUIET_REPORT, ...told[Math.floor(i / 6) % told.length] };
      await governors.book(
        vendor,
        bookingOf(worker, { wanted: i % 8 === 0 ? 20 : 0, inFlight: i % 3, budget: both, report }),
      );
    }
  }
  await Promise.all(Array.from({ length: AT_ONCE }, (_, i) => bookOn(`w${i}`)));
  await governors.setBudget(vendor, null);
  await governors.book(vendor, bookingOf('last'));
}
