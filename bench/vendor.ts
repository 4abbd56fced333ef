/** Scenario `vendor`: product updates against the mock vendor at zero latency, beside a bare undici loop. */
import { readConfig } from '../src/config.ts';
import type { Plan } from '../src/model/plan.ts';
import { type Client, createClient } from './client.ts';
import { runFloor } from './floors/run-floor.ts';
import { openHistories } from './histories.ts';
import { productItems } from './items.ts';
import { clearLedger, judgeLedger, type Verdict } from './mock-vendor.ts';
import { type ByPart, startCpuMeter } from './processes.ts';
import { type Bench, defineScenario } from './scenario.ts';
import { mean, median } from './statistics.ts';

const WARMUP_ITEMS = 20_000;
const ROUND_MAX_MS = 20 * 60_000;
const POLL_MS = 250;
const UID_CHARS = 26;

export const vendor = defineScenario({
  name: 'vendor',
  specs: {
    items: { fallback: 100_000, min: 1, max: 4_000_000, doc: 'product updates' },
    rounds: { fallback: 2, min: 1, max: 50, doc: 'rounds of floor and engine' },
  },
  async run(bench, { items, rounds }) {
    const client = createClient(bench.stack.url, bench.signal);
    try {
      const warm = await oneRound(bench, client, WARMUP_ITEMS);
      // A longer operation fills the whole window; that it did is checked below.
      const inFlight = inFlightMax(bench, warm.plan, warm.plan.windowMax);
      const floors = [await oneFloor(bench, items, inFlight, 'request')];
      const measured: Round[] = [];
      for (let round = 0; round < rounds; round += 1) {
        measured.push(await oneRound(bench, client, items));
        floors.push(await oneFloor(bench, items, inFlight, 'request'));
        bench.tell(`round ${round + 1}/${rounds}: ${measured.at(-1)?.itemsPerSecond} items/s, floor ${floors.at(-1)}`);
      }
      const floorDispatch = await oneFloor(bench, items, inFlight, 'dispatch');
      const value = median(measured.map((round) => round.itemsPerSecond));
      const floor = mean(floors);
      return {
        value,
        unit: 'items/s',
        floor,
        floorMeaning:
          'bare undici Pool.request loop in its own process, same vendor process, calls, keys and calls in flight',
        ratio: value / floor,
        items,
        callsInFlight: { floor: inFlight, engine: measured.map((round) => round.inFlightMax) },
        floorDispatch,
        ratioDispatch: value / floorDispatch,
        of: 'median over the rounds by mean of the floors taken before, between and after them; submit to endedAt',
        warmupItems: WARMUP_ITEMS,
        rounds: measured.map(({ plan: _plan, ...round }) => round),
        floors,
      };
    } finally {
      client.close();
    }
  },
});

interface Round {
  /** From the first byte sent to the operation's `endedAt`. */
  readonly itemsPerSecond: number;
  readonly submitMs: number;
  readonly totalMs: number;
  readonly inFlightMax: number;
  readonly ledger: Verdict;
  readonly plan: Plan;
  readonly cpuSeconds: ByPart;
}

async function oneRound(bench: Bench, client: Client, items: number): Promise<Round> {
  const { stack } = bench;
  await clearLedger(stack.vendorUrl);
  const readCpu = await startCpuMeter(await stack.pids());
  const { operation, sentAt, submitMs } = await client.submit({ target: 'products', source: productItems, items });
  const ended = await client.untilEnded(operation.id, POLL_MS, ROUND_MAX_MS);
  const cpu = await readCpu();
  const totalMs = Date.parse(ended.endedAt ?? '') - sentAt;
  const ledger = await judgeLedger(stack.vendorUrl);
  if (ended.counts.succeeded !== items || ledger.keys !== items || ledger.notOnce > 0) {
    throw new Error(`effects are not as they should be: ${JSON.stringify({ ended, ledger })}`);
  }
  await client.readResults(operation.id, items);
  const histories = openHistories(stack.temporalAddress);
  const { plan, chunkItems } = await histories.input(ended.account, ended.id).finally(() => histories.close());
  const inFlight = inFlightMax(bench, plan, chunkItems.length);
  const itemsPerSecond = (items / totalMs) * 1_000;
  return { itemsPerSecond, submitMs, totalMs, inFlightMax: inFlight, ledger, plan, cpuSeconds: cpu };
}

/** What the engine has in flight at most: slices of the window, each with its own calls, limited by the connections. */
function inFlightMax({ stack }: Bench, plan: Plan, chunks: number): number {
  const { connections } = readConfig(stack.env).vendors;
  return Math.min(connections, Math.min(plan.windowMax, chunks) * plan.sliceConcurrency);
}

async function oneFloor(bench: Bench, calls: number, inFlight: number, way: 'request' | 'dispatch'): Promise<number> {
  const { stack, signal } = bench;
  await clearLedger(stack.vendorUrl);
  const keyPrefix = `floor${Date.now()}`.padEnd(UID_CHARS, '0');
  const input = { vendorUrl: stack.vendorUrl, calls, warmupCalls: WARMUP_ITEMS, inFlight, keyPrefix, way };
  return (await runFloor('undici-loop', input, signal))['callsPerSecond'] ?? Number.NaN;
}
