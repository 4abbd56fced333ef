/** SQL as the rooms see it: one PostgreSQL, or the embedded one, behind the same few methods. `storage/postgres.ts` keeps the contract. */

export interface SqlAnswer<Row> {
  readonly rows: readonly Row[];
  /** Rows touched, also where none is returned. */
  readonly rowCount: number;
}

/** One statement at a time. Rejects with the driver's error, which carries a SQLSTATE in `code`. */
export interface Sql {
  /** `values` are bound to `$1`, `$2`, …; arrays are PostgreSQL arrays, objects are JSON text. */
  query<Row = Record<string, unknown>>(text: string, values?: readonly unknown[]): Promise<SqlAnswer<Row>>;
}

export interface Database extends Sql {
  /** READ COMMITTED. Commits what `work` did where it resolves, rolls back where it rejects. Never retries by itself. */
  transaction<T>(work: (sql: Sql) => Promise<T>): Promise<T>;
  /** Resolves once every connection is closed. */
  close(): Promise<void>;
}

/** A step of the schema: applied once, in order, by whichever process comes first. Never changed once released. */
export interface Migration {
  /** Unique, e.g. `contacts-1`. */
  readonly id: string;
  /** Statements separated by `;`, run in one transaction. */
  readonly sql: string;
}

/** SQLSTATE of what a driver threw; null where it was no answer of the server's. No class begins with E: EPIPE is none. */
export function sqlStateOf(error: unknown): string | null {
  const code = error instanceof Error && 'code' in error ? error.code : null;
  return typeof code === 'string' && /^(?!E)[0-9A-Z]{5}$/.test(code) ? code : null;
}

/** Data exceptions (22), broken constraints (23) and checks that a function raises (P0): the rows are at fault. */
export function isDataFault(error: unknown): boolean {
  return /^(22|23|P0)/.test(sqlStateOf(error) ?? '');
}

/**
 * The same statement may succeed later: no answer at all, a lost connection, a transaction that was idle or lasted for
 * too long, a standby that is to become the primary, a deadlock, a server that starts or is full.
 */
export function isPassingFault(error: unknown): boolean {
  const state = sqlStateOf(error);
  return state === null || /^(08|25006|25P0[34]|40|53|55P03|57|58)/.test(state);
}
