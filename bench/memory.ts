/** Scenario `memory`: how much the stack's processes grow from a small operation to a large one. */
import { type Client, createClient } from './client.ts';
import { noopItems } from './items.ts';
import { type ByPart, byPart, PART_NAMES, type PartName, readEach, residentMiB } from './processes.ts';
import { type Bench, defineScenario } from './scenario.ts';

const SAMPLE_MS = 200;
const SETTLE_MS = 2_000;
const ROUND_MAX_MS = 30 * 60_000;
const BOUND_MIB = 64;
/** Warm-up ends once this many runs in a row changed no peak by more than this. */
const STABLE_RUNS = 3;
const STABLE_MIB = 3;
const WARMUP_RUNS_MAX = 20;
/** What the promise is about; the others are reported beside. */
const BOUND_PARTS: readonly PartName[] = ['api', 'worker'];

export const memory = defineScenario({
  name: 'memory',
  specs: {
    small: { fallback: 10_000, min: 1, max: 1_000_000, doc: 'items of the operation that growth counts from' },
    middle: { fallback: 1_000_000, min: 1, max: 50_000_000, doc: 'items of the operation in between' },
    large: { fallback: 5_000_000, min: 1, max: 50_000_000, doc: 'items of the operation that growth counts to' },
  },
  async run(bench, { small, middle, large }) {
    const client = createClient(bench.stack.url, bench.signal);
    try {
      const warmupRuns = await warmUp(bench, client, small);
      const sizes: Size[] = [];
      for (const items of [small, middle, large]) {
        const peak = await peakDuring(bench, client, items);
        await settle();
        const after = await readEach(await bench.stack.pids(), residentMiB);
        sizes.push({ items, peakMiB: peak, settledMiB: after });
        bench.tell(`${items} items: ${JSON.stringify(sizes.at(-1))}`);
      }
      const growth = byPart((name) => (sizes.at(-1)?.peakMiB[name] ?? 0) - (sizes[0]?.peakMiB[name] ?? 0));
      const value = Math.max(...BOUND_PARTS.map((name) => growth[name]));
      return {
        value,
        unit: 'MiB',
        floor: BOUND_MIB,
        floorMeaning: 'the bound: no process of ours may grow by more',
        ratio: value / BOUND_MIB,
        of: `largest growth of api or worker, peak of VmRSS sampled every ${SAMPLE_MS} ms, submit and results download included`,
        growthMiB: growth,
        sizes,
        warmupRuns,
      };
    } finally {
      client.close();
    }
  },
});

interface Size {
  readonly items: number;
  readonly peakMiB: ByPart;
  readonly settledMiB: ByPart;
}

/** Code is compiled, pools are filled and heaps have found their size before anything is measured. */
async function warmUp(bench: Bench, client: Client, items: number): Promise<number> {
  let stable = 0;
  let last: ByPart | null = null;
  let runs = 0;
  for (; runs < WARMUP_RUNS_MAX && stable < STABLE_RUNS; runs += 1) {
    const peak = await peakDuring(bench, client, items);
    const before = last;
    const moved =
      before === null ? Number.POSITIVE_INFINITY : Math.max(...BOUND_PARTS.map((name) => peak[name] - before[name]));
    stable = moved <= STABLE_MIB ? stable + 1 : 0;
    last = peak;
  }
  await settle();
  return runs;
}

async function peakDuring(bench: Bench, client: Client, items: number): Promise<ByPart> {
  const pids = await bench.stack.pids();
  const peaks = new Map<PartName, number>(PART_NAMES.map((name) => [name, 0]));
  const sample = async () => {
    const now = await readEach(pids, residentMiB);
    for (const name of PART_NAMES) peaks.set(name, Math.max(peaks.get(name) ?? 0, now[name]));
  };
  await sample();
  // A process that died is found by the last sample, which throws.
  const timer = setInterval(() => sample().catch(() => undefined), SAMPLE_MS);
  try {
    const { operation } = await client.submit({ target: 'noop', source: noopItems, items });
    await client.untilEnded(operation.id, items > 100_000 ? 500 : 100, ROUND_MAX_MS);
    await client.readResults(operation.id, items);
  } finally {
    clearInterval(timer);
  }
  await sample();
  return byPart((name) => peaks.get(name) ?? 0);
}

/** Time for garbage to go and for compaction behind the end. */
function settle(): Promise<void> {
  return new Promise((wake) => setTimeout(wake, SETTLE_MS));
}
