/** Scenario `governor`: budgets over several worker processes, judged by the vendor's own ledger; also under kills, a halved limit and an outage. */
import { cpus } from 'node:os';
import { createClient } from './client.ts';
import { startCrew } from './crew.ts';
import { firstCallMs, judgeRate, limitedShare, useOf } from './governed-calls.ts';
import {
  type Cost,
  cpuOf,
  type Parts,
  perSecond,
  readCalls,
  readVendor,
  readyVendor,
  setBudget,
  sleep,
  startCostMeter,
  submitWork,
} from './governor-load.ts';
import { configureVendor } from './mock-vendor.ts';
import { defineScenario, type Report } from './scenario.ts';
import { startVendorProcess, type VendorProcess } from './vendor-process.ts';

/** From the first call: after a rest the governor holds its pace to nine tenths for so long, while connections are made and code is compiled. */
const SETTLE_MS = 5_000;
/** Before work is taken away: what is booked then is no longer asked for. */
const TAIL_MS = 1_000;
/** A vendor that halves its limit is answered with few 429 from here on. */
const HALVED_SETTLE_MS = 30_000;

let vendorProcess: VendorProcess | null = null;

export const governor = defineScenario({
  name: 'governor',
  specs: {
    rates: { fallback: [50], min: 1, max: 100_000, doc: 'calls per second, one run each' },
    workers: { fallback: 4, min: 1, max: 32, doc: 'worker processes' },
    minutes: { fallback: 5, min: 1, max: 60, doc: 'of each run' },
    seconds: { fallback: 0, min: 0, max: 3_600, doc: 'of each run instead, where above 0' },
    killEvery: { fallback: 0, min: 0, max: 600, doc: 'seconds between two kills of a worker, in turn; 0 = none' },
    latencyMs: { fallback: 20, min: 0, max: 10_000, doc: 'latency of the vendor in ms' },
    halve: { fallback: 0, min: 0, max: 1, isFlag: true, doc: "the vendor's limit halves half-way, untold" },
    outage: { fallback: 0, min: 0, max: 3_600, doc: 'seconds that the vendor is down; 0 = never' },
    cost: { fallback: 0, min: 0, max: 1, isFlag: true, doc: 'CPU beside the same rate without a governor' },
  },
  async services() {
    vendorProcess = await startVendorProcess();
    const { url } = vendorProcess;
    const urls = { PRODUCTS_VENDOR_URL: url, SYNC_VENDOR_URL: `${url}/sync`, ASYNC_VENDOR_URL: `${url}/async` };
    return { env: { ...urls, VENDOR_SEND_TIMES: 'on' }, close: vendorProcess.close };
  },
  async run(bench, options) {
    const { rates, workers, latencyMs, halve, outage, cost } = options;
    if (vendorProcess === null) throw new Error('the vendor was not started');
    const client = createClient(bench.stack.url, bench.signal);
    const crew = await startCrew(bench.stack, workers);
    const parts: Parts = { bench, client, crew, vendor: vendorProcess, workers, latencyMs };
    const ms = options.seconds > 0 ? options.seconds * 1_000 : options.minutes * 60_000;
    const runs: Run[] = [];
    try {
      for (const rate of rates) {
        const run =
          halve === 1
            ? await halvedRun(parts, rate, ms)
            : outage > 0
              ? await outageRun(parts, rate, outage * 1_000)
              : cost === 1
                ? await costRun(parts, rate, ms)
                : await steadyRun(parts, rate, ms, options.killEvery * 1_000);
        bench.tell(JSON.stringify(run));
        runs.push(run);
      }
    } finally {
      await crew.stop();
      client.close();
    }
    return reportOf(runs, options);
  },
});

interface Run {
  readonly rate: number;
  /** What the run is about, held against its bound: 1 and above is as promised. */
  readonly score: number;
  readonly [fact: string]: unknown;
}

function reportOf(runs: readonly Run[], options: object): Report {
  const value = Math.min(...runs.map(({ score }) => score));
  const floorMeaning = 'each run held against what is promised of it; the least of them';
  return { value, unit: 'of what is promised', floor: 1, floorMeaning, ratio: value, options, runs };
}

/** The promised use of a budget. */
function useBound(rate: number, isKilling: boolean): number {
  if (isKilling || rate <= 1) return 0.9;
  return rate < 100 ? 0.95 : 0.97;
}

/** A budget, more work than it can take, and a look at every window of every call. */
async function steadyRun(parts: Parts, rate: number, ms: number, killEveryMs: number): Promise<Run> {
  const { bench, crew, workers } = parts;
  await setBudget(parts, perSecond(rate));
  await readyVendor(parts, null);
  const work = await submitWork(parts, itemsFor(rate, ms));
  await sleep(SETTLE_MS, bench);
  const readCost = killEveryMs === 0 ? await startCostMeter(parts) : null;
  const startedAt = performance.now();
  let kills = 0;
  for (let killAt = killEveryMs; killEveryMs > 0 && killAt < ms; killAt += killEveryMs) {
    await sleep(startedAt + killAt - performance.now(), bench);
    await crew.killNext();
    kills += 1;
  }
  await sleep(startedAt + ms - performance.now(), bench);
  const cost = (await readCost?.()) ?? null;
  const toMs = Date.now() - TAIL_MS;
  const standing = await readVendor(bench);
  const items = await work.cancel();
  const calls = await readCalls(parts);
  const span = { fromMs: firstCallMs(calls) + SETTLE_MS, toMs };
  const verdict = judgeRate(calls, rate, span);
  const score = verdict.violations > 0 ? 0 : verdict.use / useBound(rate, kills > 0);
  const { lastMinute, workers: seen } = standing;
  const facts = { ...verdict, items, cost, workersSeen: seen.length, lastMinute };
  return { rate, score, workers, seconds: ms / 1_000, kills, ...facts };
}

/** The vendor takes what the budget says, then half of it, and tells nobody. */
async function halvedRun(parts: Parts, rate: number, ms: number): Promise<Run> {
  const { bench, vendor, workers } = parts;
  await setBudget(parts, perSecond(rate));
  await readyVendor(parts, rate);
  const work = await submitWork(parts, itemsFor(rate, ms));
  await sleep(ms / 2, bench);
  const halvedAt = Date.now();
  await configureVendor(vendor.url, { callsPerSecond: rate / 2 });
  await sleep(Math.max(ms / 2, HALVED_SETTLE_MS + 10_000), bench);
  const span = { fromMs: halvedAt + HALVED_SETTLE_MS, toMs: Date.now() - TAIL_MS };
  const { callsPerSecond, adapted, lastMinute } = await readVendor(bench);
  await work.cancel();
  const calls = await readCalls(parts);
  const limited = limitedShare(calls, span);
  const use = useOf(calls, rate / 2, span);
  const first = { fromMs: halvedAt, toMs: span.fromMs };
  const score = Math.min(use / 0.9, limited > 0 ? 0.01 / limited : 2);
  const facts = {
    limitedShareAfter30s: limited,
    useOfNewLimit: use,
    limitedShareInFirst30s: limitedShare(calls, first),
  };
  return {
    rate,
    score,
    workers,
    seconds: ms / 1_000,
    ...facts,
    callsPerSecondAtEnd: callsPerSecond,
    adapted,
    lastMinute,
  };
}

const OUTAGE_BEFORE_MS = 15_000;
const OUTAGE_AFTER_MS = 20_000;
const RESUME_BOUND_MS = 10_000;

/** The vendor's process is gone for a while. Every item must succeed all the same. */
async function outageRun(parts: Parts, rate: number, ms: number): Promise<Run> {
  const { bench, vendor, workers } = parts;
  await setBudget(parts, perSecond(rate));
  await readyVendor(parts, null);
  const items = rate * ((OUTAGE_BEFORE_MS + OUTAGE_AFTER_MS) / 1_000);
  const work = await submitWork(parts, items);
  await sleep(OUTAGE_BEFORE_MS, bench);
  const readTried = await vendor.takeDown();
  await sleep(ms, bench);
  const standing = await readVendor(bench);
  const tried = readTried();
  await vendor.bringBack();
  const backAt = Date.now();
  await readyVendor(parts, null);
  const { failed, unknown } = await work.untilDone(10 * 60_000);
  const calls = await readCalls(parts);
  const resumedMs = firstCallMs(calls) - backAt;
  const triedInAll = tried.reduce((sum, count) => sum + count, 0);
  const lastMinuteTried = tried.slice(-60).reduce((sum, count) => sum + count, 0);
  const { breaker } = standing;
  const facts = {
    failed,
    unknown,
    resumedMs,
    triedInAll,
    triedInLastMinute: lastMinuteTried,
    breakerWhileDown: breaker,
  };
  return { rate, score: RESUME_BOUND_MS / resumedMs, workers, outageSeconds: ms / 1_000, items, ...facts };
}

/** Of the machine's CPU. */
const COST_BOUND = 0.02;

/** The same rate twice: by a governor, and by what each slice keeps of its operation's rate without one. */
async function costRun(parts: Parts, rate: number, ms: number): Promise<Run> {
  await setBudget(parts, perSecond(rate));
  const governed = await measured(parts, rate, ms, null);
  await setBudget(parts, null);
  const free = await measured(parts, rate, ms, rate);
  const extra = cpuOf(governed.cost) - cpuOf(free.cost);
  const shareOfMachine = extra / cpus().length;
  const shareOfUsed = extra / cpuOf(governed.cost);
  const score = shareOfMachine <= 0 ? 2 : COST_BOUND / shareOfMachine;
  const facts = { extraCpuPerSecond: extra, shareOfMachine, shareOfUsed };
  return { rate, score, workers: parts.workers, seconds: ms / 1_000, ...facts, governed, free };
}

async function measured(parts: Parts, rate: number, ms: number, pace: number | null) {
  const { bench } = parts;
  await readyVendor(parts, null);
  const work = await submitWork(parts, itemsFor(rate, ms), pace ?? undefined);
  // Code is compiled and connections are made meanwhile.
  await sleep(2 * SETTLE_MS, bench);
  const fromMs = Date.now();
  const readCost = await startCostMeter(parts);
  await sleep(ms, bench);
  const cost: Cost = await readCost();
  const toMs = Date.now();
  await work.cancel();
  const use = useOf(await readCalls(parts), rate, { fromMs, toMs });
  return { cost, use };
}

function itemsFor(rate: number, ms: number): number {
  return Math.ceil(rate * (ms / 1_000) * 1.1) + 15 * rate + 50;
}
