/** Floor of `contacts`: the same upserts in the same batches from a plain loop, every row valid and at hand. */

import { migrate } from '../../src/storage/migrations.ts';
import { openDatabase } from '../../src/storage/postgres.ts';
import { contacts } from '../../src/targets/contacts.ts';
import { upsertContacts } from '../../src/targets/contacts-table.ts';
import { contactOf, isDirty } from '../contact-rows.ts';

const { url, rows, batch, account, lanes } = JSON.parse(process.argv[2] ?? '{}') as {
  readonly url: string;
  /** Of the file, dirty ones included: those are left out. */
  readonly rows: number;
  readonly batch: number;
  /** Fresh, so that every row is an insert. */
  readonly account: string;
  /** Connections, each with its own loop. */
  readonly lanes: number;
};

const options = { connectionsMax: lanes, applicationName: 'floor', statementTimeoutMs: 60_000 };
const database = openDatabase({ url, ...options });
await migrate(database, contacts.migrations ?? []);
const operation = { account, id: 'floor' };
let next = 0;
let upserted = 0;

const startedAt = performance.now();
await Promise.all(Array.from({ length: lanes }, lane));
const ms = performance.now() - startedAt;
await database.close();
process.stdout.write(JSON.stringify({ upserted, ms, rowsPerSecond: (upserted / ms) * 1_000 }));

async function lane(): Promise<void> {
  for (let valid = take(); valid.length > 0; valid = take()) {
    await database.transaction((sql) => upsertContacts(sql, operation, valid));
    upserted += valid.length;
  }
}

function take() {
  const valid = [];
  for (; next < rows && valid.length < batch; next++) if (!isDirty(next)) valid.push(contactOf(next));
  return valid;
}
