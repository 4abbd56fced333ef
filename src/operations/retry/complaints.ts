/** What is wrong with a choice of items: the first faults are listed, all are counted. */
import { TrancheError } from '../../model/errors.ts';

const LISTED_MAX = 20;

export interface Complaints {
  add(detail: string): void;
  none(): boolean;
  /** Throws `invalid_selection` where there is any. */
  check(what: string): void;
}

export function createComplaints(): Complaints {
  const listed: string[] = [];
  let count = 0;
  return {
    add(detail) {
      count++;
      if (listed.length < LISTED_MAX) listed.push(detail);
    },
    none: () => count === 0,
    check(what) {
      if (count === 0) return;
      const more = count > listed.length ? ` (the first ${listed.length} of ${count} are listed)` : '';
      const errors = listed.map((detail) => ({ code: 'invalid_selection', detail }));
      throw new TrancheError('invalid_selection', `${what}: ${listed[0]}${more}`, { errors });
    },
  };
}
