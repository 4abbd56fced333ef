/** Scenario `fairness`: a small operation of one account beside a huge one of another, on the same workers and vendor. */
import { setTimeout as sleep } from 'node:timers/promises';
import { type Client, createClient } from './client.ts';
import { productItems } from './items.ts';
import { configureVendor } from './mock-vendor.ts';
import { type Bench, defineScenario } from './scenario.ts';
import { median, percentile } from './statistics.ts';

const POLL_MS = 20;
const SMALL_MAX_MS = 120_000;
const WARMUP_ROUNDS = 2;
/** The promise: beside the huge one it takes at most this many times its time alone, and a second. */
const TIMES_MAX = 2.5;
const EXTRA_MS = 1_000;

export const fairness = defineScenario({
  name: 'fairness',
  specs: {
    items: { fallback: 1_000_000, min: 1, max: 10_000_000, doc: 'items of the huge operation' },
    small: { fallback: 100, min: 1, max: 10_000, doc: 'items of the small one' },
    rounds: { fallback: 5, min: 1, max: 100, doc: 'small operations alone, and as many beside the huge one' },
    latency: { fallback: 20, min: 0, max: 60_000, doc: "the vendor's milliseconds" },
    delay: { fallback: 10, min: 0, max: 600, doc: 'seconds from the huge one to the first small one' },
  },
  async run(bench, { items, small, rounds, latency, delay }) {
    const { stack, signal, tell } = bench;
    await configureVendor(stack.vendorUrl, { latencyMs: latency });
    const client = createClient(stack.url, signal);
    try {
      await smallOnes(bench, client, small, WARMUP_ROUNDS);
      const alone = await smallOnes(bench, client, small, rounds);
      tell(`alone: ${alone.map(Math.round).join(', ')} ms`);
      const huge = await client.submit({ target: 'products', source: productItems, items, account: 'huge' });
      await sleep(delay * 1_000, undefined, { signal });
      const beside = await smallOnes(bench, client, small, rounds);
      tell(`beside: ${beside.map(Math.round).join(', ')} ms`);
      const after = await client.get(huge.operation.id, 'huge');
      const floor = TIMES_MAX * median(alone) + EXTRA_MS;
      const value = percentile(beside, 100);
      return {
        value,
        unit: 'ms of the slowest small operation beside the huge one, submit to seen ended',
        floor,
        floorMeaning: `the promise: ${TIMES_MAX} times the median alone and ${EXTRA_MS} ms`,
        ratio: value / floor,
        kept: value <= floor,
        items,
        small,
        vendorLatencyMs: latency,
        aloneMs: alone,
        besideMs: beside,
        hugeStillRan: after.state === 'running',
        hugeDecided: after.counts.succeeded,
      };
    } finally {
      client.close();
    }
  },
});

async function smallOnes(bench: Bench, client: Client, items: number, rounds: number): Promise<number[]> {
  const times: number[] = [];
  for (let round = 0; round < rounds; round++) {
    bench.signal.throwIfAborted();
    const startedAt = performance.now();
    const { operation } = await client.submit({ target: 'products', source: productItems, items, account: 'small' });
    await client.untilEnded(operation.id, POLL_MS, SMALL_MAX_MS, 'small');
    times.push(performance.now() - startedAt);
  }
  return times;
}
