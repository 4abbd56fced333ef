/** The PostgreSQL driver behind `Database`: a pool whose lost connections cost a statement, never the process. */
import { once } from 'node:events';
import { Pool, type PoolClient, type QueryResult, types } from 'pg';
import { type Database, type Sql, type SqlAnswer, sqlStateOf } from '../model/database.ts';
import { type Log, noLog } from '../model/log.ts';

export interface DatabaseOptions {
  /** `postgres://user:password@host:port/database`; `sslmode` and the like as libpq has them. */
  readonly url: string;
  /** Connections of this process, at most. */
  readonly connectionsMax: number;
  /** Shown by `pg_stat_activity`. */
  readonly applicationName: string;
  /** The server gives up a statement after this long (57014); we do a little later, where the server is frozen or gone. */
  readonly statementTimeoutMs: number;
  readonly log?: Log;
}

/** A process that freezes in a transaction loses it, and its locks, after this long. */
const IDLE_IN_TRANSACTION_MS = 30_000;
/** For a free connection of the pool, or a new one. */
const CONNECT_MAX_MS = 10_000;
/** On top of the server's own time-out. */
const ANSWER_MARGIN_MS = 2_000;
const IDLE_CLOSE_MS = 60_000;
const CLOSE_MAX_MS = 5_000;

/** Opens no connection yet: the first statement does. */
export function openDatabase(options: DatabaseOptions): Database {
  const { log = noLog } = options;
  const pool = openPool(options);
  const open = new Set<PoolClient>();
  pool.on('connect', (client) => {
    open.add(client);
    client.once('end', () => open.delete(client));
  });
  // Without a listener an idle connection that the server ends would end the process.
  pool.on('error', (error) => log('debug', 'an idle database connection was lost', { error }));
  let closing: Promise<void> | null = null;

  async function close(): Promise<void> {
    await pool.end();
    const signal = AbortSignal.timeout(CLOSE_MAX_MS);
    await Promise.allSettled([...open].map((client) => once(client, 'end', { signal })));
  }

  return {
    query: (text, values) => withLease(pool, (lease) => lease.run(text, values)),
    transaction: (work) => withLease(pool, (lease) => runTransaction(lease, work)),
    close() {
      closing ??= close();
      return closing;
    },
  };
}

function openPool({ url, connectionsMax, applicationName, statementTimeoutMs }: DatabaseOptions): Pool {
  return new Pool({
    connectionString: url,
    max: connectionsMax,
    application_name: applicationName,
    // Who waited for a lock must then see what its holder did, whatever the database or the role has for a default.
    options: '-c default_transaction_isolation=read\\ committed',
    statement_timeout: statementTimeoutMs,
    query_timeout: statementTimeoutMs + ANSWER_MARGIN_MS,
    idle_in_transaction_session_timeout: IDLE_IN_TRANSACTION_MS,
    connectionTimeoutMillis: CONNECT_MAX_MS,
    idleTimeoutMillis: IDLE_CLOSE_MS,
    keepAlive: true,
    types: { getTypeParser: (oid, format) => PARSERS.get(oid) ?? types.getTypeParser(oid, format) },
  });
}

/** One connection, lent out for one piece of work. */
interface Lease {
  run<Row>(text: string, values?: readonly unknown[]): Promise<SqlAnswer<Row> & { readonly command: string }>;
  /** The connection cannot be trusted any more: it is closed instead of given back. */
  spoil(): void;
  isSpoilt(): boolean;
}

async function withLease<T>(pool: Pool, work: (lease: Lease) => Promise<T>): Promise<T> {
  const client = await pool.connect();
  let spoilt = false;
  const spoil = (): void => {
    spoilt = true;
  };
  // While it is lent out the pool does not listen.
  client.on('error', spoil);
  try {
    return await work({ run: (text, values) => run(client, spoil, text, values), spoil, isSpoilt: () => spoilt });
  } finally {
    client.off('error', spoil);
    client.release(spoilt);
  }
}

async function run<Row>(client: PoolClient, spoil: () => void, text: string, values: readonly unknown[] = []) {
  try {
    const answer: QueryResult | readonly QueryResult[] = await client.query(text, [...values]);
    // Several statements in one text have an answer each.
    const { rows, rowCount, command } = lastOf(answer);
    return { rows: rows as readonly Row[], rowCount: rowCount ?? 0, command };
  } catch (error) {
    if (endsConnection(error)) spoil();
    throw error;
  }
}

/** No answer of the server's: the statement may still be running on it. Or its last words: it is about to hang up. */
function endsConnection(error: unknown): boolean {
  const state = sqlStateOf(error);
  return state === null || /^(08|25P0[34]|57P|58|XX)/.test(state);
}

function lastOf(answer: QueryResult | readonly QueryResult[]): Pick<QueryResult, 'rows' | 'rowCount' | 'command'> {
  if ('command' in answer) return answer;
  return answer.at(-1) ?? { rows: [], rowCount: 0, command: '' };
}

/**
 * BEGIN waits for its answer: were it sent along with the first statement and then refused, that statement would stand
 * alone. A COMMIT without an answer rejects; whether it took place only the ledger of the caller can tell.
 */
async function runTransaction<T>(lease: Lease, work: (sql: Sql) => Promise<T>): Promise<T> {
  let over = false;
  const sql: Sql = {
    query: (text, values) => (over ? Promise.reject(new Error('the transaction is over')) : lease.run(text, values)),
  };
  await lease.run('BEGIN');
  try {
    const result = await work(sql);
    over = true;
    await commit(lease);
    return result;
  } catch (error) {
    over = true;
    if (!lease.isSpoilt()) await lease.run('ROLLBACK').catch(() => lease.spoil());
    throw error;
  }
}

/** What a swallowed error has aborted answers COMMIT with ROLLBACK, and no error. */
async function commit(lease: Lease): Promise<void> {
  const { command } = await lease.run('COMMIT');
  if (command === 'COMMIT') return;
  const message = 'the transaction was rolled back: one of its statements had failed, and its error was swallowed';
  throw Object.assign(new Error(message), { code: '25P02' });
}

const { INT8, DATE, TIMESTAMP } = types.builtins;
const INT8_ARRAY: number = 1016;

/** Only what the driver's own parsers lose or guess: int8 came as text, times without zone as times of this machine's. */
const PARSERS: ReadonlyMap<number, (text: string) => unknown> = new Map<number, (text: string) => unknown>([
  [INT8, parseInt8],
  [INT8_ARRAY, parseInt8Array],
  [DATE, String],
  [TIMESTAMP, String],
]);

/** A number where it is exact, else a bigint. */
function parseInt8(text: string): number | bigint {
  const value = Number(text);
  return Number.isSafeInteger(value) ? value : BigInt(text);
}

/** One dimension or more, e.g. `{1,NULL}`: the driver's parser splits it. */
function parseInt8Array(text: string): unknown {
  const parse = (value: unknown): unknown => {
    if (Array.isArray(value)) return value.map(parse);
    return typeof value === 'string' ? parseInt8(value) : value;
  };
  return parse(types.getTypeParser(INT8_ARRAY)(text));
}
