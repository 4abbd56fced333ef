/** `npm run api-key -- create --account A --role admin`: makes, lists and revokes API keys straight in the database. */
import { parseArgs } from 'node:util';
import { environment, readConfig } from '../src/config.ts';
import { isRole, ROLES } from '../src/model/access.ts';
import { toAccountId } from '../src/model/account.ts';
import { noLog } from '../src/model/log.ts';
import { type ApiKeys, createApiKeys } from '../src/operations/api-keys.ts';
import { createApiKeyRows } from '../src/storage/api-keys.ts';
import { migrate } from '../src/storage/migrations.ts';
import { openDatabase } from '../src/storage/postgres.ts';
import { CORE_MIGRATIONS } from '../src/storage/schema.ts';

const USAGE = `usage: npm run api-key -- create --account NAME --role ${ROLES.join('|')} [--role …] [--name TEXT] [--expires-at RFC3339]
       npm run api-key -- list   --account NAME
       npm run api-key -- revoke --account NAME --id ID
DATABASE_URL says where the keys are kept; one of the embedded stack is named in its log.`;
const DEADLINE_MS = 30_000;

const OPTIONS = {
  account: { type: 'string' },
  role: { type: 'string', multiple: true },
  name: { type: 'string' },
  id: { type: 'string' },
  'expires-at': { type: 'string' },
} as const;

type Given = ReturnType<typeof parseArgs<{ options: typeof OPTIONS; allowPositionals: true }>>['values'];

try {
  process.stdout.write(`${JSON.stringify(await main(process.argv.slice(2)), null, 2)}\n`);
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
}

async function main(args: string[]): Promise<unknown> {
  const { values, positionals } = read(args);
  const [verb, ...rest] = positionals;
  if (verb === undefined || rest.length > 0 || values.account === undefined) throw new Error(USAGE);
  const account = toAccountId(values.account);
  const { database: settings } = readConfig(environment());
  if (settings.url === '') throw new Error(`There is no database: set DATABASE_URL.\n\n${USAGE}`);
  const { url, statementTimeoutMs } = settings;
  const database = openDatabase({ url, connectionsMax: 1, applicationName: 'tranche-api-key', statementTimeoutMs });
  try {
    // Those of targets are the APIs' and workers' business.
    await migrate(database, CORE_MIGRATIONS);
    const keys = createApiKeys({ rows: createApiKeyRows(database), deadlineMs: DEADLINE_MS, log: noLog });
    return await run(keys, verb, account, values);
  } finally {
    await database.close();
  }
}

function read(args: string[]) {
  try {
    return parseArgs({ args, options: OPTIONS, allowPositionals: true });
  } catch (error) {
    throw new Error(`${error instanceof Error ? error.message : String(error)}\n\n${USAGE}`);
  }
}

async function run(keys: ApiKeys, verb: string, account: string, given: Given): Promise<unknown> {
  if (verb === 'list') return await keys.list(account);
  if (verb === 'revoke' && given.id !== undefined) return await keys.revoke(account, given.id);
  if (verb !== 'create') throw new Error(USAGE);
  const roles = given.role ?? [];
  if (roles.length === 0 || !roles.every(isRole)) throw new Error(`--role must be of ${ROLES.join(', ')}\n\n${USAGE}`);
  const expiresAt = given['expires-at'] === undefined ? null : new Date(given['expires-at']);
  if (expiresAt !== null && !(expiresAt.getTime() > Date.now())) throw new Error('--expires-at must lie in the future');
  const name = given.name ?? 'made by npm run api-key';
  const { key, secret } = await keys.create({ account, roles, name, expiresAt, createdBy: 'npm run api-key' });
  return { ...key, key: secret };
}
