/** A large dirty CSV of contacts through /bulk-actions into a real PostgreSQL, held against a count and a table of its own. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createReadStream } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { request } from 'undici';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Database } from '../../../src/model/database.ts';
import { openDatabase } from '../../../src/storage/postgres.ts';
import { NO_POSTGRES, type Postgres, postgresIsWithinReach, startPostgres } from '../../fixtures/postgres.ts';
import { contactsReference } from '../../fixtures/stack/contacts-reference.ts';
import { tell } from '../../fixtures/stack/faults.ts';
import { FORM_TYPE, streamedForm } from '../../fixtures/stack/form.ts';
import { type Stack, startStack } from '../../fixtures/stack/stack.ts';

const ROWS = Number(process.env['CONTACT_ROWS'] ?? 1_000_000);
const WITHIN_MS = 15 * 60_000;
const withinReach = await postgresIsWithinReach();

describe.skipIf(!withinReach)(
  `${ROWS} rows of contacts, a tenth of them dirty${withinReach ? '' : ` (${NO_POSTGRES})`}`,
  () => {
    let postgres: Postgres;
    let stack: Stack;
    let database: Database;
    let folder: string;

    beforeAll(async () => {
      postgres = await startPostgres();
      stack = await startStack({ DATABASE_URL: postgres.url });
      const options = { connectionsMax: 1, applicationName: 'reference', statementTimeoutMs: WITHIN_MS };
      database = openDatabase({ url: postgres.url, ...options });
      folder = await mkdtemp(join(tmpdir(), 'tranche-contacts-'));
    });
    afterAll(async () => {
      await database?.close();
      await stack?.stop();
      await postgres?.close();
      await rm(folder, { recursive: true, force: true });
    });

    it(
      'come to exactly the counts and the table that plain SQL makes of the file',
      async () => {
        const file = join(folder, 'contacts.csv');
        await generate(file);
        const startedAt = performance.now();
        const actionId = await send(file);
        const id = actionId.slice(actionId.indexOf('~') + 1);
        const ended = await stack.client.ended(id, WITHIN_MS, 'acme');
        const tookMs = performance.now() - startedAt;
        tell(`${ROWS} rows ended after ${tookMs.toFixed(0)} ms`);

        const reference = await contactsReference(file, database);
        const { total, succeeded, failed, skipped } = reference;
        expect(total).toBe(ROWS);
        const { body } = await stack.client.send('GET', `/bulk-actions/${actionId}/stats`);
        expect(body).toMatchObject({
          actionId,
          totalCount: total,
          processedCount: total,
          successCount: succeeded,
          failureCount: failed,
          skippedCount: skipped,
          skippedByReason: { DUPLICATE: skipped },
        });
        expect(ended).toMatchObject({ state: 'ended', outcome: 'partially_succeeded' });
        expect(await reference.differences('acme')).toBe(0);
        const results = await stack.client.results(id, 'acme');
        expect(results.complete).toBe(true);
        expect(results.indexes.every((index, line) => index === line)).toBe(true);
        expect(results.tally).toMatchObject({ succeeded, failed, skipped });
      },
      2 * WITHIN_MS,
    );

    async function send(file: string): Promise<string> {
      const { statusCode, body } = await request(`${stack.url}/bulk-actions`, {
        method: 'POST',
        headers: { 'content-type': FORM_TYPE },
        body: streamedForm(createReadStream(file), [
          ['actionType', 'bulk_update'],
          ['entityType', 'CONTACT'],
          ['accountId', 'acme'],
        ]),
        headersTimeout: WITHIN_MS,
      });
      const answer = (await body.json()) as { readonly actionId: string };
      expect(statusCode).toBe(202);
      return answer.actionId;
    }
  },
);

async function generate(file: string): Promise<void> {
  const script = fileURLToPath(new URL('../../../scripts/generate.ts', import.meta.url));
  const args = ['contacts', '--rows', String(ROWS), '--dirty', '10', '--seed', '7', '--out', file];
  const flags = ['--disable-warning=ExperimentalWarning', script];
  const [code] = await once(spawn(process.execPath, [...flags, ...args], { stdio: 'ignore' }), 'exit');
  expect(code).toBe(0);
}
