/** The limits of accounts as one part: what submit asks, and the sweep behind it. */
import type { Sql } from '../../model/database.ts';
import type { Log } from '../../model/log.ts';
import { createQuotaRows } from '../../storage/quotas.ts';
import type { Records } from '../../storage/records.ts';
import { createPlaceSweep, type PlaceSweep } from './places.ts';
import { createQuotas, type QuotaLimits, type Quotas } from './quotas.ts';

export interface AccountLimitsDeps {
  readonly sql: Sql;
  readonly records: Records;
  readonly limits: QuotaLimits;
  readonly storeDeadlineMs: number;
  readonly log: Log;
}

export interface AccountLimits {
  readonly quotas: Quotas;
  readonly sweep: PlaceSweep;
}

/** On the path of a submit: a crowd of one account waits for its turn at the account's lock. */
const DATABASE_DEADLINE_MS = 5_000;
const SWEEP_INTERVAL_MS = 15_000;

export function createAccountLimits({ sql, records, limits, storeDeadlineMs, log }: AccountLimitsDeps): AccountLimits {
  const rows = createQuotaRows(sql);
  const quotas = createQuotas({ rows, limits, deadlineMs: DATABASE_DEADLINE_MS, log });
  const windows = [limits.submissions, ...Object.values(limits.surfaces)].map((limit) => limit?.windowMs ?? 0);
  const sweep = createPlaceSweep({
    ...{ rows, quotas, records, storeDeadlineMs, log },
    longestWindowMs: Math.max(...windows),
    intervalMs: SWEEP_INTERVAL_MS,
  });
  return { quotas, sweep };
}
