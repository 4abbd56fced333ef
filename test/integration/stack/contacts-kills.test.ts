/** kill -9 of worker and PostgreSQL at random moments of a contacts run: each row's effect exactly once, results as the table has it. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { OperationView } from '../../../src/operations/operations.ts';
import { NO_POSTGRES, type Postgres, postgresIsWithinReach, startPostgres } from '../../fixtures/postgres.ts';
import { type ContactsTable, contactRows, watchContacts } from '../../fixtures/stack/contacts.ts';
import { eventually } from '../../fixtures/stack/eventually.ts';
import { createMoments, ROUNDS, resultsThatMatch, tell, waitMs } from '../../fixtures/stack/faults.ts';
import { type Stack, startStack } from '../../fixtures/stack/stack.ts';
import { watchOperation } from '../../fixtures/stack/watch.ts';

const ROWS = 50_000;
const HEARTBEAT_TIMEOUT_MS = 4_000;
/** Longer than the heartbeat timeout: by then the slice has been given to somebody else, or waits to be. */
const FREEZE_MS = HEARTBEAT_TIMEOUT_MS + 2_000;
const DATABASE_AWAY_MS = 1_500;
const ENDS_WITHIN_MS = 170_000;

let postgres: Postgres;
let stack: Stack;
let table: ContactsTable;
let moment: (fromMs: number, toMs: number) => number;

interface Run {
  readonly tag: string;
  readonly id: string;
}

/** Submits, waits for rows to be committed, and goes on to a random moment of the run. */
async function startRun(tag: string): Promise<Run> {
  const { id } = await stack.client.accept({ body: contactRows(tag, ROWS), target: 'contacts', type: 'text/csv' });
  await eventually('the first rows', async () => (await table.count(tag)) > 0, { everyMs: 20 });
  await waitMs(moment(0, 1_000));
  return { tag, id };
}

async function killDatabase(): Promise<void> {
  await postgres.kill();
  await waitMs(DATABASE_AWAY_MS);
  await postgres.start();
}

/** The rows that succeeded are those in the table, each touched by one transaction. */
async function eachEffectOnce({ tag, id }: Run, ended: OperationView): Promise<number> {
  const results = await resultsThatMatch(stack.client, ended);
  const succeeded = results.outcomes.flatMap((outcome, index) => (outcome === 'succeeded' ? [index] : []));
  const seen = await eventually('the database', () => table.seen(tag));
  expect(seen.repeated).toEqual([]);
  expect(seen.rows).toEqual(succeeded);
  expect(ended.counts.unknown).toBe(0);
  expect(ended.counts.failed).toBe(0);
  expect(id).toBe(ended.id);
  return seen.rows.length;
}

async function allOnce(run: Run, fault: string, startedAt: number): Promise<void> {
  const ended = await stack.client.ended(run.id, ENDS_WITHIN_MS);
  expect(await eachEffectOnce(run, ended)).toBe(ROWS);
  tell(`${fault}: ${ROWS} rows once each, ended ${Date.now() - startedAt} ms after it`);
}

if (!(await postgresIsWithinReach())) describe('contacts', () => it.skip(NO_POSTGRES, () => undefined));
else
  describe('contacts', () => {
    beforeAll(async () => {
      moment = createMoments('contacts-kills');
      postgres = await startPostgres();
      stack = await startStack({ DATABASE_URL: postgres.url, HEARTBEAT_TIMEOUT_MS: `${HEARTBEAT_TIMEOUT_MS}` });
      table = await watchContacts(postgres.url);
    });
    afterAll(async () => {
      await table?.close();
      await stack?.stop();
      await postgres?.close();
    });

    describe.each(Array.from({ length: ROUNDS }, (_, round) => round + 1))('round %i', (round) => {
      it('has each effect once after kill -9 of the worker', async () => {
        const run = await startRun(`worker-${round}`);
        const watch = watchOperation(stack.client, run.id);
        const before = await table.count(run.tag);
        const at = Date.now();
        process.kill(stack.pidOf('worker'), 'SIGKILL');
        await allOnce(run, `worker killed (${round}) after ${before} rows`, at);
        await watch.stop();
        expect(watch.faults).toEqual([]);
      });

      it('has each effect once after kill -9 of PostgreSQL, and says meanwhile what it waits for', async () => {
        const run = await startRun(`postgres-${round}`);
        const watch = watchOperation(stack.client, run.id);
        const before = await table.count(run.tag);
        const at = Date.now();
        const waits = eventually('the throttle', async () => (await stack.client.get(run.id)).throttle, {
          everyMs: 20,
        });
        const [throttle] = await Promise.all([waits.catch(() => null), killDatabase()]);
        await allOnce(run, `PostgreSQL killed (${round}) after ${before} rows`, at);
        await watch.stop();
        expect(watch.faults).toEqual([]);
        if (before < ROWS) expect(throttle).toMatchObject({ cause: 'vendor_unavailable', vendor: 'database' });
      });

      it('has each effect once after kill -9 of both at once', async () => {
        const run = await startRun(`both-${round}`);
        const at = Date.now();
        process.kill(stack.pidOf('worker'), 'SIGKILL');
        await killDatabase();
        await allOnce(run, `worker and PostgreSQL killed (${round})`, at);
      });

      it('has each effect once where the worker is frozen with its transactions open, and thaws beside another', async () => {
        const other = await stack.addWorker({ DATABASE_URL: postgres.url });
        const run = await startRun(`frozen-${round}`);
        const worker = stack.pidOf('worker');
        const at = Date.now();
        process.kill(worker, 'SIGSTOP');
        await waitMs(FREEZE_MS);
        process.kill(worker, 'SIGCONT');
        await allOnce(run, `one of two workers frozen (${round})`, at);
        await other.stop();
      });

      it('cancels exactly what is not in the table, right after kill -9 of the worker', async () => {
        const run = await startRun(`cancel-${round}`);
        process.kill(stack.pidOf('worker'), 'SIGKILL');
        const answer = await stack.client.send('POST', `/v1/operations/${run.id}/cancel`);
        expect(answer.status).toBeLessThan(300);
        const ended = await stack.client.ended(run.id, ENDS_WITHIN_MS);
        const applied = await eachEffectOnce(run, ended);
        expect(applied + ended.counts.cancelled).toBe(ROWS);
        tell(`cancelled (${round}): ${applied} rows in the table, ${ended.counts.cancelled} cancelled`);
      });
    });
  });
