/** Limits over four API processes on one real PostgreSQL, and the burst where no limit is set. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { findFreePort } from '../../../src/embedded/ports.ts';
import { openDatabase } from '../../../src/storage/postgres.ts';
import { NO_POSTGRES, type Postgres, postgresIsWithinReach, startPostgres } from '../../fixtures/postgres.ts';
import { type Answer, type Client, createClient } from '../../fixtures/stack/client.ts';
import { eventually } from '../../fixtures/stack/eventually.ts';
import { tell } from '../../fixtures/stack/faults.ts';
import { type Parts, startParts } from '../../fixtures/stack/parts.ts';
import type { Settings } from '../../fixtures/stack/processes.ts';

const HOST = '127.0.0.1';
const reachable = await postgresIsWithinReach();

describe.skipIf(!reachable)(`four API processes on one database ${reachable ? '' : NO_POSTGRES}`, () => {
  let postgres: Postgres;
  let parts: Parts;

  beforeAll(async () => {
    postgres = await startPostgres();
    parts = await startParts({ DATABASE_URL: postgres.url });
    await parts.startTemporal();
  });
  afterAll(async () => {
    await parts?.stop();
    await postgres?.close();
  });

  /** Runs `work` with as many API processes of these settings, and ends them. */
  async function withApis<T>(
    count: number,
    settings: Settings,
    work: (clients: readonly Client[], urls: readonly string[]) => Promise<T>,
  ) {
    const ports = await Promise.all(Array.from({ length: count }, () => findFreePort(HOST)));
    const apis = await Promise.all(ports.map((port) => parts.startApi({ PORT: `${port}`, ...settings })));
    const urls = ports.map((port) => `http://${HOST}:${port}`);
    const clients = urls.map(createClient);
    try {
      return await work(clients, urls);
    } finally {
      await Promise.all(clients.map((client) => client.close()));
      await Promise.all(apis.map((api) => api.stop()));
    }
  }

  const noop = { body: '{}\n', target: 'noop' };
  function statuses(answers: readonly Answer[]): Readonly<Record<number, number>> {
    const counts: Record<number, number> = {};
    for (const { status } of answers) counts[status] = (counts[status] ?? 0) + 1;
    return counts;
  }

  it('accept exactly 5 of 100 submissions at once, and every other account as before', async () => {
    await withApis(4, { ACCOUNT_SUBMISSIONS_MAX: '5' }, async (clients) => {
      const submit = (n: number, account: string, key: string) =>
        (clients[n % 4] as Client).submit({ ...noop, account, key });
      const answers = await Promise.all(Array.from({ length: 100 }, (_, n) => submit(n, 'crowd', `key-${n}`)));
      expect(statuses(answers)).toEqual({ 202: 5, 429: 95 });

      const refused = answers.find(({ status }) => status === 429);
      expect(refused?.body).toMatchObject({ code: 'quota_exceeded', 'violated-policies': ['submissions'] });
      expect(refused?.headers['ratelimit-policy']).toBe('"submissions";q=5;w=60');
      expect(refused?.headers['ratelimit']).toMatch(/^"submissions";r=0;t=\d+$/);
      const seconds = Number(refused?.headers['retry-after']);
      expect(seconds).toBeGreaterThan(0);
      expect(seconds).toBeLessThanOrEqual(60);

      // Without a key, and without reading the body.
      expect((await clients[0]?.submit({ ...noop, account: 'crowd' }))?.status).toBe(429);
      const others = await Promise.all(Array.from({ length: 5 }, (_, n) => submit(n, 'quiet', `key-${n}`)));
      expect(statuses(others)).toEqual({ 202: 5 });
      // Whoever was accepted may ask again, by any process; who was refused may not.
      const again = await Promise.all(Array.from({ length: 100 }, (_, n) => submit(n + 1, 'crowd', `key-${n}`)));
      expect(statuses(again)).toEqual({ 202: 5, 429: 95 });
      expect(again.map(({ status }) => status)).toEqual(answers.map(({ status }) => status));
    });
  });

  it('accept exactly 5 of 100 files on /bulk-actions at once, whatever else the account sends', async () => {
    await withApis(4, { RATE_LIMIT_MAX: '5' }, async (clients, urls) => {
      const upload = async (n: number, accountId: string) => {
        const form = new FormData();
        for (const [name, value] of Object.entries({ accountId, actionType: 'BULK_UPDATE', entityType: 'Contact' })) {
          form.set(name, value);
        }
        form.set('file', new Blob([`email,name\np${n}@example.com,P${n}\n`], { type: 'text/csv' }), 'people.csv');
        const answer = await fetch(`${urls[n % 4]}/bulk-actions`, { method: 'POST', body: form });
        await answer.text();
        return answer;
      };
      const answers = await Promise.all(Array.from({ length: 100 }, (_, n) => upload(n, 'files')));
      expect(answers.filter(({ status }) => status === 202)).toHaveLength(5);
      const refused = answers.filter(({ status }) => status === 429);
      expect(refused).toHaveLength(95);
      expect(Number(refused[0]?.headers.get('retry-after'))).toBeGreaterThan(0);
      expect(refused[0]?.headers.get('ratelimit-policy')).toBe('"bulk-actions";q=5;w=60');
      expect((await upload(100, 'more-files')).status).toBe(202);
      expect((await clients[0]?.submit({ ...noop, account: 'files' }))?.status).toBe(202);
    });
  });

  it('never accept more in any window of 3 s, by the times that the database saw, and use every window', async () => {
    const [max, windowMs, seconds] = [5, 3_000, 16];
    const database = openDatabase({
      url: postgres.url,
      connectionsMax: 1,
      applicationName: 'judge',
      statementTimeoutMs: 5_000,
    });
    const settings = { ACCOUNT_SUBMISSIONS_MAX: `${max}`, ACCOUNT_SUBMISSIONS_WINDOW_MS: `${windowMs}` };
    try {
      await database.query(`CREATE TABLE seen AS SELECT * FROM tranche_submissions WHERE false;
        CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN INSERT INTO seen VALUES (NEW.*); RETURN NEW; END';
        CREATE TRIGGER note AFTER INSERT ON tranche_submissions FOR EACH ROW EXECUTE FUNCTION note()`);
      const accepted = await withApis(4, settings, async (clients) => {
        const endAt = Date.now() + seconds * 1_000;
        let count = 0;
        const lane = async (client: Client) => {
          while (Date.now() < endAt) {
            const { status } = await client.submit({ ...noop, account: 'sliding' });
            if (status === 202) count++;
            else expect(status).toBe(429);
          }
        };
        await Promise.all(clients.flatMap((client) => [lane(client), lane(client)]));
        return count;
      });
      const { rows } = await database.query<{ at: number }>(
        "SELECT (extract(epoch FROM at) * 1000)::float8 AS at FROM seen WHERE account = 'sliding' ORDER BY at",
      );
      const times = rows.map(({ at }) => at);
      const narrowest = Math.min(...times.slice(max).map((at, i) => at - (times[i] ?? 0)));
      tell(
        `sliding window: ${accepted} accepted in ${seconds} s, narrowest span of ${max + 1}: ${narrowest.toFixed(1)} ms`,
      );
      expect(times).toHaveLength(accepted);
      // Microseconds of the database's clock, read as floating point.
      expect(narrowest).toBeGreaterThanOrEqual(windowMs - 0.01);
      expect(accepted).toBeGreaterThanOrEqual(max * (Math.floor((seconds * 1_000) / windowMs) - 1));
    } finally {
      await database.close();
    }
  });

  it('bound the operations in flight, and have room again as soon as one ends', async () => {
    const settings = { ACCOUNT_OPERATIONS_MAX: '2', ACCOUNT_ITEMS_MAX: '10' };
    const worker = await parts.startWorker(settings);
    await withApis(2, settings, async (clients) => {
      const [client] = clients as [Client];
      await parts.vendor.configure({ latencyMs: 1_500 });
      const submit = (n: number) =>
        (clients[n % 2] as Client).submit({ body: `{"type":"delete","id":${n + 1}}\n`, account: 'flight' });
      const answers = await Promise.all(Array.from({ length: 10 }, (_, n) => submit(n)));
      expect(statuses(answers)).toEqual({ 202: 2, 429: 8 });
      const room = async () => {
        const { body } = await client.send('GET', '/v1/limits', 'flight');
        return body as { limits: { name: string; remaining: number }[] };
      };
      expect((await room()).limits).toMatchObject([
        { name: 'operations', limit: 2, unit: 'concurrent-requests' },
        { name: 'items', limit: 10 },
      ]);
      await eventually('the end of both', async () => (await room()).limits[0]?.remaining === 2);
      expect((await submit(0)).status).toBe(202);
    });
    await worker.stop();
  });

  it('take a burst of 1,000 on /product/bulk where no limit is set', async () => {
    await withApis(4, { DATABASE_URL: '' }, async (_, urls) => {
      const startedAt = performance.now();
      let next = 0;
      const answers: number[] = [];
      const lane = async (url: string) => {
        while (next < 1_000) {
          const body = JSON.stringify({ operations: [{ type: 'delete', id: ++next }] });
          const headers = { 'content-type': 'application/json', 'tranche-account': 'burst' };
          const answer = await fetch(`${url}/product/bulk`, { method: 'POST', headers, body });
          await answer.text();
          answers.push(answer.status);
        }
      };
      await Promise.all(urls.flatMap((url) => Array.from({ length: 8 }, () => lane(url))));
      tell(`burst: ${answers.length} accepted in ${Math.round(performance.now() - startedAt)} ms`);
      expect(answers).toHaveLength(1_000);
      expect(new Set(answers)).toEqual(new Set([202]));
    });
  });
});
