/** An account's submissions and what it has in flight, as rows: exact over any number of processes, by the database's clock. */
import type { Migration, Sql } from '../model/database.ts';

export interface WindowLimit {
  readonly max: number;
  readonly windowMs: number;
}

/** What is to be checked, and what takes a place where every check passes. null = no such limit. */
export interface Entry {
  readonly account: string;
  readonly uid: string;
  readonly operationId: string;
  readonly surface: string;
  readonly items: number;
  readonly bytes: number;
  /** Counts this surface's submissions only. */
  readonly surfaceWindow: WindowLimit | null;
  readonly window: WindowLimit | null;
  readonly itemsMax: number | null;
  readonly bytesMax: number | null;
  readonly operationsMax: number | null;
}

/** A window's submissions (counted up to its limit), and ms until the oldest of those leaves it; null where there is none. */
export interface WindowUse {
  readonly used: number;
  readonly leavesInMs: number | null;
}

export interface Standing {
  /** True: a place was taken. Nothing is written else. */
  readonly admitted: boolean;
  /** Another submission of the same operation id holds a place: it may be this very request, sent twice. */
  readonly sameOperation: boolean;
  readonly surface: WindowUse | null;
  readonly submissions: WindowUse | null;
  readonly operations: number;
  readonly items: number;
  readonly bytes: number;
}

/** A place whose operation may have ended without telling. */
export interface Place {
  readonly uid: string;
  readonly account: string;
  readonly operationId: string;
  readonly ageMs: number;
}

export type QuotaRows = ReturnType<typeof createQuotaRows>;

export function createQuotaRows(sql: Sql) {
  return {
    /** One round trip: waits for the account's other submissions, checks, takes a place in all limits or in none. */
    enter: (entry: Entry) => call(sql, entry, true),
    /** How the account stands now, without a lock and without taking a place. */
    look: (entry: Entry) => call(sql, entry, false),
    /** What was not accepted never counted. Repeating it changes nothing. */
    async giveBack(account: string, uid: string): Promise<void> {
      await sql.query('SELECT tranche_quota_give_back($1, $2)', [account, uid]);
    },
    /** The operation has ended: its items are no longer in flight; its submission still counts in the window. */
    async free(uid: string): Promise<void> {
      await sql.query('DELETE FROM tranche_in_flight WHERE uid = $1', [uid]);
    },
    /** Places that nobody has looked at for so long; each is handed to one caller at a time. */
    async overdue(notSeenForMs: number, limit: number): Promise<readonly Place[]> {
      const { rows } = await sql.query<{ uid: string; account: string; operation_id: string; age_ms: number }>(
        OVERDUE,
        [notSeenForMs, limit],
      );
      return rows.map(({ uid, account, operation_id, age_ms }) => {
        return { uid, account, operationId: operation_id, ageMs: Number(age_ms) };
      });
    },
    /** Submissions of accounts that have gone quiet. */
    async forget(olderThanMs: number): Promise<void> {
      await sql.query("DELETE FROM tranche_submissions WHERE at < clock_timestamp() - $1 * interval '1 millisecond'", [
        olderThanMs,
      ]);
    },
  };
}

async function call(sql: Sql, entry: Entry, enter: boolean): Promise<Standing> {
  const { rows } = await sql.query<{ standing: Standing | string }>('SELECT tranche_quota($1::jsonb, $2) AS standing', [
    JSON.stringify(entry),
    enter,
  ]);
  const standing = rows[0]?.standing;
  if (standing === undefined) throw new Error('tranche_quota answered no row');
  // Drivers differ in whether they parse jsonb.
  return typeof standing === 'string' ? (JSON.parse(standing) as Standing) : standing;
}

const OVERDUE = `
UPDATE tranche_in_flight SET looked_at = clock_timestamp()
WHERE uid IN (
  SELECT uid FROM tranche_in_flight
  WHERE looked_at < clock_timestamp() - $1 * interval '1 millisecond'
  ORDER BY looked_at LIMIT $2 FOR UPDATE SKIP LOCKED)
RETURNING uid, account, operation_id,
  (extract(epoch FROM clock_timestamp() - entered_at) * 1000)::float8 AS age_ms`;

/**
 * The lock comes first and the time is taken under it: READ COMMITTED gives each statement of the function a new
 * snapshot, so whoever waited sees what the one before committed, and times rise in the order of acceptance.
 * A submission counts for as long as it is less than one window old: never more than `max` in any half-open window.
 */
export const QUOTA_MIGRATION: Migration = {
  id: 'quotas-1',
  sql: `
CREATE TABLE tranche_submissions (
  uid text PRIMARY KEY,
  account text NOT NULL,
  operation_id text NOT NULL,
  surface text NOT NULL,
  at timestamptz NOT NULL
);
CREATE INDEX tranche_submissions_account_at ON tranche_submissions (account, at DESC);
CREATE INDEX tranche_submissions_at ON tranche_submissions (at);

CREATE TABLE tranche_in_flight (
  uid text PRIMARY KEY,
  account text NOT NULL,
  operation_id text NOT NULL,
  items bigint NOT NULL,
  bytes bigint NOT NULL,
  entered_at timestamptz NOT NULL,
  looked_at timestamptz NOT NULL
);
CREATE INDEX tranche_in_flight_account ON tranche_in_flight (account);
CREATE INDEX tranche_in_flight_looked_at ON tranche_in_flight (looked_at);

CREATE FUNCTION tranche_quota_window(p_account text, p_surface text, p_limit jsonb, p_now timestamptz)
RETURNS jsonb LANGUAGE sql STABLE AS $body$
  SELECT CASE WHEN jsonb_typeof(p_limit) IS DISTINCT FROM 'object' THEN NULL ELSE (
    SELECT jsonb_build_object(
      'used', count(*),
      'leavesInMs', extract(epoch FROM min(at) + (p_limit->>'windowMs')::bigint * interval '1 millisecond' - p_now) * 1000)
    FROM (
      SELECT at FROM tranche_submissions
      WHERE account = p_account AND (p_surface IS NULL OR surface = p_surface)
        AND at > p_now - (p_limit->>'windowMs')::bigint * interval '1 millisecond'
      ORDER BY at DESC LIMIT (p_limit->>'max')::bigint) AS newest
  ) END
$body$;

CREATE FUNCTION tranche_quota(p jsonb, p_enter boolean) RETURNS jsonb LANGUAGE plpgsql AS $body$
DECLARE
  v_account text := p->>'account';
  v_now timestamptz;
  v_surface jsonb;
  v_window jsonb;
  v_operations bigint := 0;
  v_items bigint := 0;
  v_bytes bigint := 0;
  v_counts_flight boolean := p->>'operationsMax' IS NOT NULL OR p->>'itemsMax' IS NOT NULL OR p->>'bytesMax' IS NOT NULL;
  v_counts_window boolean := jsonb_typeof(p->'surfaceWindow') = 'object' OR jsonb_typeof(p->'window') = 'object';
  v_admitted boolean := false;
BEGIN
  IF p_enter THEN
    PERFORM pg_advisory_xact_lock(hashtextextended('tranche-quota:' || v_account, 0));
  END IF;
  v_now := clock_timestamp();
  v_surface := tranche_quota_window(v_account, p->>'surface', p->'surfaceWindow', v_now);
  v_window := tranche_quota_window(v_account, NULL, p->'window', v_now);
  IF v_counts_flight THEN
    SELECT count(*), coalesce(sum(items), 0), coalesce(sum(bytes), 0) INTO v_operations, v_items, v_bytes
    FROM tranche_in_flight WHERE account = v_account;
  END IF;
  IF p_enter
    AND (v_surface IS NULL OR (v_surface->>'used')::bigint < (p->'surfaceWindow'->>'max')::bigint)
    AND (v_window IS NULL OR (v_window->>'used')::bigint < (p->'window'->>'max')::bigint)
    AND (p->>'operationsMax' IS NULL OR v_operations < (p->>'operationsMax')::bigint)
    AND (p->>'itemsMax' IS NULL OR v_items + (p->>'items')::bigint <= (p->>'itemsMax')::bigint)
    AND (p->>'bytesMax' IS NULL OR v_bytes + (p->>'bytes')::bigint <= (p->>'bytesMax')::bigint)
  THEN
    v_admitted := true;
    IF v_counts_window THEN
      INSERT INTO tranche_submissions VALUES (p->>'uid', v_account, p->>'operationId', p->>'surface', v_now);
    END IF;
    IF v_counts_flight THEN
      INSERT INTO tranche_in_flight VALUES
        (p->>'uid', v_account, p->>'operationId', (p->>'items')::bigint, (p->>'bytes')::bigint, v_now, v_now);
    END IF;
  END IF;
  RETURN jsonb_build_object(
    'admitted', v_admitted,
    'sameOperation', NOT v_admitted AND (
      EXISTS (SELECT 1 FROM tranche_submissions
        WHERE account = v_account AND operation_id = p->>'operationId' AND at > v_now - interval '1 minute')
      OR EXISTS (SELECT 1 FROM tranche_in_flight WHERE account = v_account AND operation_id = p->>'operationId')),
    'surface', v_surface, 'submissions', v_window,
    'operations', v_operations, 'items', v_items, 'bytes', v_bytes);
END
$body$;

CREATE FUNCTION tranche_quota_give_back(p_account text, p_uid text) RETURNS void LANGUAGE plpgsql AS $body$
BEGIN
  PERFORM pg_advisory_xact_lock(hashtextextended('tranche-quota:' || p_account, 0));
  DELETE FROM tranche_submissions WHERE uid = p_uid;
  DELETE FROM tranche_in_flight WHERE uid = p_uid;
END
$body$;
`,
};
