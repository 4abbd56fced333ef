/** Scenario `accept`: 1,000 bulk requests of 20 items a minute at 1,000 ms of vendor latency, in an open loop. */
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { Pool } from 'undici';
import { type Client, createClient } from './client.ts';
import { configureVendor } from './mock-vendor.ts';
import { byPart, startCpuMeter } from './processes.ts';
import { type Bench, defineScenario } from './scenario.ts';
import { percentile } from './statistics.ts';

const ITEMS_PER_REQUEST = 20;
const VENDOR_LATENCY_MS = 1_000;
const CONNECTIONS = 64;
const ACCEPT_MAX_MS = 30_000;
const END_MAX_MS = 120_000;
/** One request in so many is followed by its status as a user would, so that `endedAt` is not taken on trust. */
const WATCH_EVERY = 20;
const WATCH_POLL_MS = 200;

export const accept = defineScenario({
  name: 'accept',
  specs: {
    minutes: { fallback: 2, min: 1, max: 600, doc: 'minutes of load' },
    requests: { fallback: 1_000, min: 1, max: 60_000, doc: 'requests a minute' },
    warmup: { fallback: 5, min: 0, max: 600, doc: 'seconds of the same load before, not counted' },
  },
  async run(bench, options) {
    const { stack, tell } = bench;
    await configureVendor(stack.vendorUrl, { latencyMs: VENDOR_LATENCY_MS });
    const client = createClient(stack.url, bench.signal);
    const pool = new Pool(stack.url, { connections: CONNECTIONS, headersTimeout: ACCEPT_MAX_MS });
    const load: Load = { bench, pool, intervalMs: 60_000 / options.requests };
    try {
      await openLoop(load, 'warmup', Math.round((options.warmup * 1_000) / load.intervalMs));
      const lag = monitorEventLoopDelay({ resolution: 5 });
      lag.enable();
      const readCpu = await startCpuMeter(await stack.pids());
      const sent = await openLoop(load, 'load', options.requests * options.minutes);
      lag.disable();
      tell('all are sent; waiting for their ends');
      const results = sent.filter((one) => one.id !== null);
      const ends = await endsOf(client, bench, results);
      const cpu = await readCpu();
      const accepted = sent.flatMap(({ acceptMs }) => (acceptMs === null ? [] : [acceptMs]));
      const observed = sent.flatMap(({ observedMs }) => (observedMs === null ? [] : [observedMs]));
      const minutes = (sent.length * load.intervalMs) / 60_000;
      const value = accepted.length / minutes;
      return {
        value,
        unit: 'accepted requests/min',
        floor: options.requests,
        floorMeaning: 'the offered load: open loop, evenly spaced, a request starts whatever became of the others',
        ratio: value / options.requests,
        itemsPerRequest: ITEMS_PER_REQUEST,
        vendorLatencyMs: VENDOR_LATENCY_MS,
        requests: sent.length,
        errors: sent.length - accepted.length,
        errorSamples: [...new Set(sent.flatMap(({ error }) => (error === null ? [] : [error])))].slice(0, 5),
        ended: ends.length,
        succeeded: ends.filter((end) => end.succeeded).length,
        acceptP50Ms: percentile(accepted, 50),
        acceptP99Ms: percentile(accepted, 99),
        acceptMaxMs: percentile(accepted, 100),
        endToEndP50Ms: percentile(
          ends.map((end) => end.ms),
          50,
        ),
        endToEndP99Ms: percentile(
          ends.map((end) => end.ms),
          99,
        ),
        endToEndMaxMs: percentile(
          ends.map((end) => end.ms),
          100,
        ),
        endToEnd: 'due time of the request to the endedAt of its operation',
        observed: observed.length,
        observedEndToEndP50Ms: percentile(observed, 50),
        observedEndToEndP99Ms: percentile(observed, 99),
        observedEndToEnd: `in_progress 0 on the status of every ${WATCH_EVERY}th request, asked every ${WATCH_POLL_MS} ms`,
        cpuSecondsPerRequest: byPart((name) => cpu[name] / sent.length),
        clientLagP99Ms: lag.percentile(99) / 1e6,
      };
    } finally {
      client.close();
      await pool.destroy();
    }
  },
});

interface Load {
  readonly bench: Bench;
  readonly pool: Pool;
  readonly intervalMs: number;
}

interface Sent {
  /** Epoch ms at which the request was due: latencies count from there, late or not. */
  readonly dueAt: number;
  readonly id: string | null;
  readonly acceptMs: number | null;
  readonly observedMs: number | null;
  readonly error: string | null;
}

async function openLoop(load: Load, label: string, requests: number): Promise<readonly Sent[]> {
  const { signal } = load.bench;
  const startAt = performance.now();
  const sent: Promise<Sent>[] = [];
  for (let number = 0; number < requests; number += 1) {
    const dueMs = startAt + number * load.intervalMs;
    const wait = dueMs - performance.now();
    if (wait > 0) await new Promise((wake) => setTimeout(wake, wait));
    signal.throwIfAborted();
    sent.push(sendOne(load, { label, number, dueMs }));
  }
  return Promise.all(sent);
}

interface Due {
  readonly label: string;
  readonly number: number;
  readonly dueMs: number;
}

async function sendOne({ bench, pool }: Load, { label, number, dueMs }: Due): Promise<Sent> {
  const dueAt = performance.timeOrigin + dueMs;
  try {
    const { statusCode, body } = await pool.request({
      method: 'POST',
      path: '/product/bulk',
      headers: { 'content-type': 'application/json' },
      body: bodyOf(label, number),
      signal: bench.signal,
    });
    const text = await body.text();
    const acceptMs = performance.now() - dueMs;
    if (statusCode !== 202)
      return { dueAt, id: null, acceptMs: null, observedMs: null, error: `${statusCode} ${text}` };
    const id = String(asMembers(JSON.parse(text))['bulkRequestId']);
    const watched = number % WATCH_EVERY === 0;
    return { dueAt, id, acceptMs, observedMs: watched ? await watch(pool, id, dueMs) : null, error: null };
  } catch (cause) {
    const error = cause instanceof Error ? cause.message : String(cause);
    return { dueAt, id: null, acceptMs: null, observedMs: null, error };
  }
}

/** Distinct bodies: an identical one within the replay window would be the same request. */
function bodyOf(label: string, number: number): string {
  const operations = Array.from({ length: ITEMS_PER_REQUEST }, (_none, position) => ({
    type: 'update',
    id: 1_000_000 + number * ITEMS_PER_REQUEST + position,
    product: { name: `${label} ${number}.${position}`, price: 10.5 },
  }));
  return JSON.stringify({ operations });
}

/** Ms from `dueMs` until the status shows nothing in progress; null where that never came. */
async function watch(pool: Pool, id: string, dueMs: number): Promise<number | null> {
  while (performance.now() - dueMs < END_MAX_MS) {
    await new Promise((wake) => setTimeout(wake, WATCH_POLL_MS));
    const { statusCode, body } = await pool.request({ method: 'GET', path: `/product/bulk/status/${id}` });
    const text = await body.text();
    if (statusCode === 200 && asMembers(JSON.parse(text))['in_progress'] === 0) return performance.now() - dueMs;
  }
  return null;
}

interface End {
  readonly ms: number;
  readonly succeeded: boolean;
}

/** Asked only once the load is over; one after the other, so that the asking costs the stack little. */
async function endsOf(client: Client, { tell }: Bench, sent: readonly Sent[]): Promise<readonly End[]> {
  const ends: End[] = [];
  const deadline = performance.now() + END_MAX_MS;
  for (const { id, dueAt } of sent) {
    const maxMs = Math.max(1, deadline - performance.now());
    const ended = await client.untilEnded(id ?? '', 500, maxMs).catch((error: Error) => {
      tell(error.message);
      return null;
    });
    if (ended === null) continue;
    const succeeded = ended.counts.succeeded === ITEMS_PER_REQUEST && ended.counts.total === ITEMS_PER_REQUEST;
    ends.push({ ms: Date.parse(ended.endedAt ?? '') - dueAt, succeeded });
  }
  return ends;
}

/** Holds for every JSON answer of `/product/bulk`: an object. */
function asMembers(value: unknown): Readonly<Record<string, unknown>> {
  return value as Readonly<Record<string, unknown>>;
}
