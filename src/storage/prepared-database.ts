/** A database whose schema is brought up to this release in the background: who asks too early is told to come again. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Database, Migration } from '../model/database.ts';
import { noLog } from '../model/log.ts';
import { migrate } from './migrations.ts';
import { type DatabaseOptions, openDatabase } from './postgres.ts';

export interface PreparedDatabaseOptions extends DatabaseOptions {
  readonly migrations: readonly Migration[];
}

/** A migration may rewrite a large table. */
const MIGRATION_MAX_MS = 3_600_000;
const RETRY_MIN_MS = 100;
const RETRY_MAX_MS = 5_000;
/** All parts start at once: a database that takes this long to come is no news. */
const START_MAX_MS = 10_000;
/** What a statement waits for the schema, e.g. right after a start; below the second that a health check has. */
const WAIT_MAX_MS = 750;
const CLOSE_WAIT_MS = 1_000;

/**
 * Never rejects and never waits itself: tries again until the database is there and its schema is right. Until then
 * statements reject with SQLSTATE 57P03 (a passing fault) whose message says what is missing.
 */
export function openPreparedDatabase(options: PreparedDatabaseOptions): Database {
  const database = openDatabase(options);
  const closing = new AbortController();
  let missing: string | null = 'its schema is being prepared';
  const preparing = prepare(options, closing.signal, (reason) => {
    missing = reason;
  });

  async function whenPrepared(): Promise<void> {
    if (missing === null) return;
    const over = new AbortController();
    await Promise.race([preparing, sleep(WAIT_MAX_MS, null, { signal: over.signal }).catch(() => null)]);
    over.abort();
    if (missing === null) return;
    throw Object.assign(new Error(`the database cannot be used yet: ${missing}`), { code: '57P03' });
  }

  return {
    async query(text, values) {
      await whenPrepared();
      return database.query(text, values);
    },
    async transaction(work) {
      await whenPrepared();
      return database.transaction(work);
    },
    async close() {
      closing.abort();
      // An attempt that is under way ends by itself.
      await Promise.race([preparing, sleep(CLOSE_WAIT_MS)]);
      await database.close();
    },
  };
}

/** Resolves when the schema stands, or at the signal. `tell`: what is missing; null = nothing any more. */
async function prepare(
  { migrations, log = noLog, ...options }: PreparedDatabaseOptions,
  signal: AbortSignal,
  tell: (missing: string | null) => void,
): Promise<void> {
  const startedAt = Date.now();
  let told = '';
  for (let delayMs = RETRY_MIN_MS; !signal.aborted; delayMs = Math.min(RETRY_MAX_MS, delayMs * 2)) {
    const reason = await tryMigrate({ ...options, migrations, log });
    tell(reason);
    if (reason === null) return;
    const level = Date.now() - startedAt < START_MAX_MS ? 'info' : 'warn';
    if (told !== level + reason) log(level, 'the database is not ready yet', { reason });
    told = level + reason;
    await sleep(delayMs, null, { signal }).catch(() => {});
  }
}

/** On a connection of its own, whose statements may take long. Null where the schema is right now. */
async function tryMigrate({ migrations, log = noLog, ...options }: PreparedDatabaseOptions): Promise<string | null> {
  const database = openDatabase({ ...options, connectionsMax: 1, statementTimeoutMs: MIGRATION_MAX_MS, log });
  try {
    const ids = await migrate(database, migrations, log);
    if (ids.length > 0) log('info', 'migrated the database', { ids });
    return null;
  } catch (error) {
    return reasonOf(error);
  } finally {
    await database.close();
  }
}

/** A refused connection to a name with several addresses has an empty message. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.message || ('code' in error ? String(error.code) : error.name);
}
