/** Brings the schema up to this release: every process tries at start-up, one at a time gets to. */
import { createHash } from 'node:crypto';
import type { Database, Migration, Sql } from '../model/database.ts';
import { type Log, noLog } from '../model/log.ts';

/** Any fixed number that nobody else in the database uses. */
const LOCK = 7_274_116_263_551;

const TABLE = `CREATE TABLE IF NOT EXISTS tranche_migrations (
  id text PRIMARY KEY,
  sha256 text NOT NULL,
  applied_at timestamptz NOT NULL DEFAULT now()
)`;

/**
 * Applies, in order, what the database does not have yet, each step in a transaction of its own; resolves with their
 * ids. Safe to call from any number of processes at once. Steps may take long: so must statements on `database`.
 * Rejects with a `MigrationError` where a step that was applied reads otherwise in this release, else with what the
 * database said (see `isPassingFault`); the steps before it stay applied.
 */
export async function migrate(
  database: Database,
  migrations: readonly Migration[],
  log: Log = noLog,
): Promise<readonly string[]> {
  refuseTwins(migrations);
  const applied = await database.transaction(readApplied);
  const known = new Set(migrations.map(({ id }) => id));
  const unknown = [...applied.keys()].filter((id) => !known.has(id));
  // A later release was here; its tables are none of ours.
  if (unknown.length > 0) log('warn', 'the database has migrations that this release does not know', { unknown });
  const missing = migrations.filter((migration) => !isApplied(applied, migration));
  const ids: string[] = [];
  for (const migration of missing) {
    if (await database.transaction((sql) => applyOnce(sql, migration))) ids.push(migration.id);
  }
  return ids;
}

/** Nobody but a developer or an operator can mend it: trying again is of no use. */
export class MigrationError extends Error {
  override readonly name = 'MigrationError';
}

function refuseTwins(migrations: readonly Migration[]): void {
  const ids = migrations.map(({ id }) => id);
  const twin = ids.find((id, i) => ids.indexOf(id) !== i);
  if (twin !== undefined) throw new MigrationError(`two migrations are called ${twin}`);
}

/** True where it was applied just now, false where another process was quicker. */
async function applyOnce(sql: Sql, migration: Migration): Promise<boolean> {
  if (isApplied(await readApplied(sql), migration)) return false;
  await sql.query(migration.sql);
  await sql.query('INSERT INTO tranche_migrations (id, sha256) VALUES ($1, $2)', [migration.id, hashOf(migration)]);
  return true;
}

/** Ids and hashes. Nobody else reads or applies until the transaction ends, also by the death of the process. */
async function readApplied(sql: Sql): Promise<ReadonlyMap<string, string>> {
  await sql.query('SELECT pg_advisory_xact_lock($1)', [LOCK]);
  await sql.query(TABLE);
  const { rows } = await sql.query<{ id: string; sha256: string }>('SELECT id, sha256 FROM tranche_migrations');
  return new Map(rows.map(({ id, sha256 }) => [id, sha256]));
}

function isApplied(applied: ReadonlyMap<string, string>, migration: Migration): boolean {
  const sha256 = applied.get(migration.id);
  if (sha256 === undefined) return false;
  if (sha256 === hashOf(migration)) return true;
  const remedy = 'run the release that the database was made by, or one that comes after it';
  throw new MigrationError(`migration ${migration.id} was applied with another text: ${remedy}`);
}

/** White space at the ends says nothing. */
function hashOf({ sql }: Migration): string {
  return createHash('sha256').update(sql.trim()).digest('hex');
}
