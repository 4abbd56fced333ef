/** What the runs of `governor` share: a budget set while it runs, work for all workers, what it cost, and its calls. */
import { request } from 'undici';
import type { Budget } from '../src/model/governor.ts';
import type { VendorView } from '../src/operations/vendors/vendor-view.ts';
import type { Client } from './client.ts';
import type { Crew } from './crew.ts';
import type { Call } from './governed-calls.ts';
import { openHistories } from './histories.ts';
import { productItems } from './items.ts';
import { clearLedger, configureVendor, readLedger } from './mock-vendor.ts';
import { byPart, startCpuMeter } from './processes.ts';
import type { Bench } from './scenario.ts';
import type { VendorProcess } from './vendor-process.ts';

export interface Parts {
  readonly bench: Bench;
  readonly client: Client;
  readonly crew: Crew;
  readonly vendor: VendorProcess;
  readonly workers: number;
  readonly latencyMs: number;
}

export const VENDOR = 'products';
const CALL_MAX_MS = 15_000;
const END_MAX_MS = 120_000;

/** Returns once it is in force; null = no budget at all. */
export async function setBudget({ bench }: Parts, budget: Budget | null): Promise<void> {
  const { statusCode, body } = await send(bench, 'PATCH', `/v1/vendors/${VENDOR}`, { budget });
  if (statusCode !== 200) throw new Error(`PATCH was answered ${statusCode}: ${JSON.stringify(body)}`);
  const { effectiveAt } = body as { readonly effectiveAt: string };
  await sleep(Math.max(0, Date.parse(effectiveAt) - Date.now()) + 50, bench);
}

export async function readVendor(bench: Bench): Promise<VendorView> {
  return (await send(bench, 'GET', `/v1/vendors/${VENDOR}`)).body as VendorView;
}

export const perSecond = (rate: number): Budget => ({ windows: [{ calls: rate, seconds: 1 }], concurrencyMax: null });

/** Begins with an empty ledger and a vendor as said. */
export async function readyVendor({ vendor, latencyMs }: Parts, callsPerSecond: number | null): Promise<void> {
  await clearLedger(vendor.url);
  await configureVendor(vendor.url, { latencyMs, callsPerSecond });
}

export interface Work {
  /** What is left is cancelled; throws where an item failed. */
  cancel(): Promise<Ended>;
  /** Throws where not every item succeeded. */
  untilDone(maxMs: number): Promise<Ended>;
}

export interface Ended {
  readonly succeeded: number;
  readonly failed: number;
  /** Of a cancelled operation: what a worker that was killed may have begun. */
  readonly unknown: number;
}

/** Several operations, so that no worker lacks slices however few the items are. */
export async function submitWork(
  { client, workers, bench }: Parts,
  items: number,
  callsPerSecond?: number,
): Promise<Work> {
  const operations = 2 * workers;
  const each = Math.ceil(items / operations);
  const pace = callsPerSecond === undefined ? {} : { callsPerSecond: Math.max(1, callsPerSecond / operations) };
  const ids: string[] = [];
  for (let n = 0; n < operations; n++) {
    const { operation } = await client.submit({ target: VENDOR, source: productItems, items: each, ...pace });
    ids.push(operation.id);
  }
  const end = async (maxMs: number, isFine: (counts: Ended) => boolean): Promise<Ended> => {
    const sum = { succeeded: 0, failed: 0, unknown: 0 };
    for (const id of ids) {
      const { counts } = await client.untilEnded(id, 500, maxMs);
      if (!isFine(counts)) throw new Error(`operation ${id} ended otherwise than it should: ${JSON.stringify(counts)}`);
      for (const name of ['succeeded', 'failed', 'unknown'] as const) sum[name] += counts[name];
    }
    return sum;
  };
  return {
    async cancel() {
      for (const id of ids) await send(bench, 'POST', `/v1/operations/${id}/cancel`);
      return await end(END_MAX_MS, ({ failed }) => failed === 0);
    },
    untilDone: (maxMs) => end(maxMs, ({ succeeded }) => succeeded === each),
  };
}

export async function readCalls({ vendor }: Parts): Promise<readonly Call[]> {
  const calls: Call[] = [];
  for await (const { at, sentAtMs, lagMs, status, path } of readLedger(vendor.url)) {
    if (path.startsWith('/products/')) calls.push({ at, sentAtMs, lagMs, status });
  }
  return calls;
}

export interface Cost {
  /** CPU seconds a second, by part; `workers` are all of them. */
  readonly cpu: { readonly temporal: number; readonly api: number; readonly workers: number };
  /** Bookings (updates) a second that the governor took; null where none ran. */
  readonly updatesPerSecond: number | null;
}

/** Measures from now until the returned function is called. */
export async function startCostMeter({ bench, crew }: Parts): Promise<() => Promise<Cost>> {
  const { stack } = bench;
  const readCpu = await startCpuMeter(await stack.pids());
  const [besideBefore, updatesBefore, startedAt] = [await crew.cpuSeconds(), await updates(bench), performance.now()];
  return async () => {
    const seconds = (performance.now() - startedAt) / 1_000;
    const [used, beside, taken] = [await readCpu(), await crew.cpuSeconds(), await updates(bench)];
    const each = byPart((name) => used[name] / seconds);
    const workers = each.worker + (beside - besideBefore) / seconds;
    const updatesPerSecond = taken === null ? null : (taken - (updatesBefore ?? 0)) / seconds;
    return { cpu: { temporal: each.temporal, api: each.api, workers }, updatesPerSecond };
  };
}

export function cpuOf({ cpu }: Cost): number {
  return cpu.temporal + cpu.api + cpu.workers;
}

async function updates({ stack }: Bench): Promise<number | null> {
  const histories = openHistories(stack.temporalAddress);
  try {
    const { byType } = await histories.countOf(`governor:${VENDOR}`);
    return byType['workflow_execution_update_accepted'] ?? 0;
  } catch {
    return null;
  } finally {
    await histories.close();
  }
}

export async function sleep(ms: number, { signal }: Bench): Promise<void> {
  const until = performance.now() + ms;
  for (let left = ms; left > 0; left = until - performance.now()) {
    signal.throwIfAborted();
    await new Promise((wake) => setTimeout(wake, Math.min(left, 500)));
  }
}

async function send({ stack, signal }: Bench, method: 'GET' | 'POST' | 'PATCH', path: string, json?: unknown) {
  const { statusCode, body } = await request(`${stack.url}${path}`, {
    method,
    signal: AbortSignal.any([signal, AbortSignal.timeout(CALL_MAX_MS)]),
    ...(json === undefined ? {} : { body: JSON.stringify(json), headers: { 'content-type': 'application/json' } }),
  });
  const answer: unknown = await body.json();
  return { statusCode, body: answer };
}
