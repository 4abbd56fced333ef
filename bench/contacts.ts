/** Scenario `contacts`: a CSV of contacts, a tenth of it dirty, through /bulk-actions into a real PostgreSQL, beside a plain loop. */
import { Readable } from 'node:stream';
import { request } from 'undici';
import { startPostgres } from '../test/fixtures/postgres.ts';
import { type Client, createClient } from './client.ts';
import { contactsCsv, expectedOf } from './contact-rows.ts';
import { runFloor } from './floors/run-floor.ts';
import { readEach, residentMiB, startCpuMeter } from './processes.ts';
import { type Bench, defineScenario } from './scenario.ts';
import { mean, median } from './statistics.ts';

const POLL_MS = 100;
const ROUND_MAX_MS = 30 * 60_000;
const BATCH = 500;
const WARMUP_ROWS = 20_000;
const BOUNDARY = 'tranche-bench';

export const contacts = defineScenario({
  name: 'contacts',
  specs: {
    rows: { fallback: 1_000_000, min: 10, max: 10_000_000, doc: 'rows of the file' },
    rounds: { fallback: 1, min: 1, max: 20, doc: 'rounds of floor and engine' },
  },
  async services() {
    const postgres = await startPostgres();
    return { env: { DATABASE_URL: postgres.url }, close: postgres.close };
  },
  async run(bench, { rows, rounds }) {
    const client = createClient(bench.stack.url, bench.signal);
    try {
      await oneRound(bench, client, WARMUP_ROWS, 'warm-up');
      const floors = [await oneFloor(bench, rows, 1)];
      const measured: Round[] = [];
      for (let round = 0; round < rounds; round++) {
        measured.push(await oneRound(bench, client, rows, `round ${round}`));
        floors.push(await oneFloor(bench, rows, 1));
        bench.tell(`round ${round + 1}/${rounds}: ${JSON.stringify(measured.at(-1))}, floor ${floors.at(-1)}`);
      }
      const value = median(measured.map((round) => round.upsertsPerSecond));
      const floor = mean(floors);
      return {
        value,
        unit: 'upserts/s, first byte sent to endedAt',
        floor,
        floorMeaning: `a plain loop over one connection, ${BATCH} rows a transaction, rows valid and in memory, same server`,
        ratio: value / floor,
        rows,
        rounds: measured,
        floors,
        floorFourConnections: await oneFloor(bench, rows, 4),
      };
    } finally {
      client.close();
    }
  },
});

interface Round {
  readonly upsertsPerSecond: number;
  readonly rowsPerSecond: number;
  readonly submitMs: number;
  readonly totalMs: number;
  /** VmRSS of the worker and the API, sampled while it ran. */
  readonly peakMiB: { readonly worker: number; readonly api: number };
  /** CPU time of the worker and the API for one row, in µs. */
  readonly cpuMicrosPerRow: { readonly worker: number; readonly api: number };
}

/** Throws where the stats are not exactly what the file holds. */
async function oneRound(bench: Bench, client: Client, rows: number, name: string): Promise<Round> {
  const account = `bench-${name.replaceAll(/[^a-z0-9]/g, '-')}`;
  const readCpu = await startCpuMeter(await bench.stack.pids());
  const sentAt = Date.now();
  const id = await submitCsv(bench, account, rows);
  const submitMs = Date.now() - sentAt;
  const peak = startPeak(bench);
  const operation = await client.untilEnded(id, POLL_MS, ROUND_MAX_MS, account);
  const peakMiB = await peak();
  const cpu = await readCpu();
  const totalMs = Date.parse(operation.endedAt ?? '') - sentAt;
  const expected = expectedOf(rows);
  const { succeeded, failed, skipped } = operation.counts;
  if (JSON.stringify({ succeeded, failed, skipped }) !== JSON.stringify(expected)) {
    throw new Error(`counts ${JSON.stringify(operation.counts)}, the file holds ${JSON.stringify(expected)}`);
  }
  const perSecond = (count: number) => (count / totalMs) * 1_000;
  const micros = (seconds: number) => (seconds * 1_000_000) / rows;
  const cpuMicrosPerRow = { worker: micros(cpu.worker), api: micros(cpu.api) };
  return {
    upsertsPerSecond: perSecond(succeeded),
    rowsPerSecond: perSecond(rows),
    submitMs,
    totalMs,
    peakMiB,
    cpuMicrosPerRow,
  };
}

async function submitCsv({ stack, signal }: Bench, account: string, rows: number): Promise<string> {
  const { statusCode, body } = await request(`${stack.url}/bulk-actions`, {
    method: 'POST',
    headers: { 'content-type': `multipart/form-data; boundary=${BOUNDARY}` },
    body: Readable.from(form(account, rows)),
    headersTimeout: ROUND_MAX_MS,
    signal,
  });
  const text = await body.text();
  if (statusCode !== 202) throw new Error(`status ${statusCode}: ${text}`);
  const { actionId }: { readonly actionId: string } = JSON.parse(text);
  // Where nobody signs in the account that the form names goes with the id.
  return actionId.slice(actionId.indexOf('~') + 1);
}

/** The file first: nothing is known of it before it has been read. */
async function* form(account: string, rows: number): AsyncGenerator<Buffer> {
  const disposition = 'Content-Disposition: form-data; name=';
  yield Buffer.from(`--${BOUNDARY}\r\n${disposition}"file"; filename="contacts.csv"\r\nContent-Type: text/csv\r\n\r\n`);
  yield* contactsCsv(rows);
  for (const [name, value] of Object.entries({
    actionType: 'BULK_UPDATE',
    entityType: 'Contact',
    accountId: account,
  })) {
    yield Buffer.from(`\r\n--${BOUNDARY}\r\n${disposition}"${name}"\r\n\r\n${value}`);
  }
  yield Buffer.from(`\r\n--${BOUNDARY}--\r\n`);
}

function startPeak({ stack }: Bench): () => Promise<{ worker: number; api: number }> {
  const peak = { worker: 0, api: 0 };
  const look = async () => {
    const now = await readEach(await stack.pids(), residentMiB);
    peak.worker = Math.max(peak.worker, now.worker);
    peak.api = Math.max(peak.api, now.api);
  };
  const timer = setInterval(() => void look().catch(() => {}), 500);
  return async () => {
    clearInterval(timer);
    await look();
    return peak;
  };
}

async function oneFloor({ stack, signal }: Bench, rows: number, lanes: number): Promise<number> {
  const account = `floor-${Date.now()}`;
  const url = stack.env['DATABASE_URL'];
  const { rowsPerSecond } = await runFloor('contacts-loop', { url, rows, batch: BATCH, account, lanes }, signal);
  return rowsPerSecond ?? Number.NaN;
}
