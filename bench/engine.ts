/** Scenario `engine`: noop items over HTTP, from the first byte sent to the last result byte read. */
import { type Client, createClient } from './client.ts';
import { runFloor } from './floors/run-floor.ts';
import { noopItems } from './items.ts';
import { type ByPart, startCpuMeter } from './processes.ts';
import { type Bench, defineScenario } from './scenario.ts';
import { median } from './statistics.ts';

const WARMUP_ITEMS = 20_000;
const ROUND_MAX_MS = 20 * 60_000;
/** Above it the poll is made rarer: at 50 ms the client would be part of what is measured. */
const SMALL_ITEMS_MAX = 200_000;

export const engine = defineScenario({
  name: 'engine',
  specs: {
    items: { fallback: 1_000_000, min: 1, max: 50_000_000, doc: 'noop items of 76 bytes' },
    rounds: { fallback: 0, min: 0, max: 100, doc: 'rounds; 0 = 5 up to 200,000 items, 3 up to 2,000,000, else 1' },
  },
  async run(bench, options) {
    const { items } = options;
    const rounds = options.rounds > 0 ? options.rounds : items <= SMALL_ITEMS_MAX ? 5 : items <= 2_000_000 ? 3 : 1;
    const client = createClient(bench.stack.url, bench.signal);
    try {
      await oneRound(bench, client, WARMUP_ITEMS);
      const floors = [await oneFloor(bench, items)];
      const measured: Round[] = [];
      for (let round = 0; round < rounds; round += 1) {
        measured.push(await oneRound(bench, client, items));
        floors.push(await oneFloor(bench, items));
        bench.tell(`round ${round + 1}/${rounds}: ${JSON.stringify(measured.at(-1))}, floor ${floors.at(-1)}`);
      }
      const value = median(measured.map((round) => round.itemsPerSecond));
      const floor = median(floors);
      return {
        value,
        unit: 'items/s',
        floor,
        floorMeaning: 'plain loop in its own process: parse, check, serialise, write the same items; fsync at the end',
        ratio: value / floor,
        items,
        itemBytes: noopItems.lineBytes,
        warmupItems: WARMUP_ITEMS,
        of: 'median over the rounds; floors are taken before, between and after them',
        rounds: measured,
        floors,
      };
    } finally {
      client.close();
    }
  },
});

interface Round {
  readonly itemsPerSecond: number;
  /** First byte sent → 202 read. */
  readonly submitMs: number;
  /** 202 read → `ended` seen by the poll. */
  readonly runMs: number;
  readonly readMs: number;
  /** Of `runMs`: how long the operation had ended (server's clock) before the poll saw it. */
  readonly noticeMs: number;
  readonly resultBytes: number;
  readonly cpuSeconds: ByPart;
}

async function oneRound({ stack }: Bench, client: Client, items: number): Promise<Round> {
  const readCpu = await startCpuMeter(await stack.pids());
  const startedAt = performance.now();
  const { operation, submitMs } = await client.submit({ target: 'noop', source: noopItems, items });
  const everyMs = items <= SMALL_ITEMS_MAX ? 50 : 250;
  const ended = await client.untilEnded(operation.id, everyMs, ROUND_MAX_MS);
  const seenAt = Date.now();
  const runMs = performance.now() - startedAt - submitMs;
  if (ended.outcome !== 'succeeded' || ended.counts.succeeded !== items) {
    throw new Error(`the operation ended otherwise than it should: ${JSON.stringify(ended)}`);
  }
  const { readMs, bytes } = await client.readResults(operation.id, items);
  const itemsPerSecond = (items / (performance.now() - startedAt)) * 1_000;
  const noticeMs = seenAt - Date.parse(ended.endedAt ?? '');
  return { itemsPerSecond, submitMs, runMs, readMs, noticeMs, resultBytes: bytes, cpuSeconds: await readCpu() };
}

async function oneFloor({ stack, signal }: Bench, items: number): Promise<number> {
  const input = { folder: stack.dataDir, items, warmupItems: WARMUP_ITEMS };
  return (await runFloor('plain-loop', input, signal))['itemsPerSecond'] ?? Number.NaN;
}
