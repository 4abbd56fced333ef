/** Scenario `cost`: what an item costs in history events, database bytes and CPU, fast and slow. */
import { HISTORY_EVENTS_MAX } from '../src/model/limits.ts';
import type { Plan } from '../src/model/plan.ts';
import { type Client, createClient } from './client.ts';
import { type HistoryFacts, openHistories } from './histories.ts';
import { productItems } from './items.ts';
import { configureVendor } from './mock-vendor.ts';
import { type ByPart, byPart, startCpuMeter } from './processes.ts';
import { type Bench, defineScenario } from './scenario.ts';

const BOUND_EVENTS_PER_ITEM = 0.03;
/** The part's own bound: Temporal warns at 10,240 and ends a workflow at 51,200. */
const BOUND_HISTORY = 10_000;
const WARMUP_ITEMS = 20_000;
const SETTLE_MS = 3_000;
const ROUND_MAX_MS = 60 * 60_000;
const TAIL_MS = 60_000;
const SLOW_LATENCY_MS = 1_000;

export const cost = defineScenario({
  name: 'cost',
  specs: {
    items: { fallback: 100_000, min: 1, max: 10_000_000, doc: 'products at full speed, zero latency' },
    itemsAt50: { fallback: 3_000, min: 1, max: 1_000_000, doc: 'products at 50 calls/s; 0.02 s each' },
    itemsSlow: { fallback: 15_000, min: 1, max: 1_000_000, doc: 'products at 1,000 ms vendor latency, no cap' },
    itemsAt5: { fallback: 600, min: 1, max: 100_000, doc: 'products at 5 calls/s; 0.2 s each' },
  },
  async run(bench, { items, itemsAt50, itemsAt5, itemsSlow }) {
    const client = createClient(bench.stack.url, bench.signal);
    try {
      await oneRun(bench, client, WARMUP_ITEMS, null);
      const full = await oneRun(bench, client, items, null);
      const at50 = await oneRun(bench, client, itemsAt50, 50);
      const at5 = await oneRun(bench, client, itemsAt5, 5);
      await configureVendor(bench.stack.vendorUrl, { latencyMs: SLOW_LATENCY_MS });
      const slow = await oneRun(bench, client, itemsSlow, null);
      const value = full.facts.events / items;
      return {
        value,
        unit: 'history events/item',
        floor: BOUND_EVENTS_PER_ITEM,
        floorMeaning: 'the bound: no more than so many',
        ratio: value / BOUND_EVENTS_PER_ITEM,
        databaseBytesPerItem: full.databaseBytes / items,
        cpuSecondsPerItem: perItem(full, items),
        fullSpeed: shown(full, items),
        at50: shown(at50, itemsAt50),
        at5: shown(at5, itemsAt5),
        atLatency: { latencyMs: SLOW_LATENCY_MS, ...shown(slow, itemsSlow) },
        projection: project(at5),
        projectionAtLatency: project(slow),
        warmupItems: WARMUP_ITEMS,
      };
    } finally {
      client.close();
    }
  },
});

interface Run {
  readonly facts: HistoryFacts;
  readonly plan: Plan;
  readonly seconds: number;
  /** Growth of SQLite file and write-ahead log until a little after the end. */
  readonly databaseBytes: number;
  /** User and system time by process, from submit to the end; polls for the status included. */
  readonly cpuSeconds: ByPart;
}

async function oneRun(
  { stack, signal, tell }: Bench,
  client: Client,
  items: number,
  rate: number | null,
): Promise<Run> {
  signal.throwIfAborted();
  const bytesBefore = await stack.databaseBytes();
  const readCpu = await startCpuMeter(await stack.pids());
  const { operation, sentAt } = await client.submit({
    target: 'products',
    source: productItems,
    items,
    ...(rate === null ? {} : { callsPerSecond: rate }),
  });
  const ended = await client.untilEnded(operation.id, 1_000, ROUND_MAX_MS);
  if (ended.counts.succeeded !== items) throw new Error(`not all succeeded: ${JSON.stringify(ended)}`);
  const cpu = await readCpu();
  await new Promise((wake) => setTimeout(wake, SETTLE_MS));
  const databaseBytes = (await stack.databaseBytes()) - bytesBefore;
  const histories = openHistories(stack.temporalAddress);
  try {
    const facts = await histories.count(ended.account, ended.id);
    const { plan } = await histories.input(ended.account, ended.id);
    const seconds = (Date.parse(ended.endedAt ?? '') - sentAt) / 1_000;
    tell(`${items} items at ${rate ?? 'full'} speed: ${facts.events} events in ${seconds} s`);
    return { facts, plan, seconds, databaseBytes, cpuSeconds: cpu };
  } finally {
    await histories.close();
  }
}

function perItem(run: Run, items: number) {
  return byPart((name) => run.cpuSeconds[name] / items);
}

function shown({ facts, seconds, databaseBytes, cpuSeconds: cpu }: Run, items: number) {
  const { events, executions, largest, continuedAsNew, byType } = facts;
  return {
    items,
    seconds,
    itemsPerSecond: items / seconds,
    eventsPerItem: events / items,
    events,
    executions,
    largestHistory: largest,
    continuedAsNew,
    byType,
    databaseBytes,
    cpuSeconds: cpu,
  };
}

/**
 * A workflow continues as new at HISTORY_EVENTS_MAX events, once its slices have come home. What a history may hold
 * beyond that: one more slice for each chunk in work, and what operators and children signal meanwhile.
 */
function project({ facts, plan, seconds }: Run) {
  const { longestLived: times } = facts;
  const end = times.at(-1) ?? 0;
  const tail = times.filter((at) => at > end - TAIL_MS).length;
  const slices = Math.max(1, facts.byType['activity_task_scheduled'] ?? 1);
  const eventsPerSlice = facts.events / slices;
  const largestPossible = Math.ceil(HISTORY_EVENTS_MAX + plan.windowMax * eventsPerSlice * 2);
  const eventsPerMinute = (times.length / Math.max(1, seconds)) * 60;
  return {
    eventsPerMinute,
    eventsInLastMinute: tail,
    eventsPerSlice,
    historyEventsMax: HISTORY_EVENTS_MAX,
    minutesToContinueAsNew: HISTORY_EVENTS_MAX / Math.max(1, tail),
    largestPossible,
    bound: BOUND_HISTORY,
    within: largestPossible < BOUND_HISTORY,
    why: `a history grows by ${tail} events a minute and is left at ${HISTORY_EVENTS_MAX}; then each of at most ${plan.windowMax} chunks in work adds what one slice and its way home take`,
  };
}
