/** Submit, pause, resume, cancel, retry, reschedule, purge and crash, in any order: the running service does as a small model says. */
import { setTimeout as sleep } from 'node:timers/promises';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createCustomer } from '../../chaos/crashes/customer.ts';
import { type Ground, startGround } from '../../chaos/crashes/ground.ts';
import { type Lane, startLane } from '../../chaos/crashes/lane.ts';
import { watchPressure } from '../../chaos/stack/pressure.ts';
import { checkHistory } from '../../check/check.ts';
import type { Answered } from '../../check/recorded-client.ts';
import { createRecorder, nowMs } from '../../check/recorder.ts';
import { NO_POSTGRES, postgresIsWithinReach } from '../../fixtures/postgres.ts';
import { COMMANDS, end, look, type Real, SUBMIT } from './commands.ts';
import type { Model } from './model.ts';

const RUNS = Number(process.env['MODEL_RUNS'] ?? 15);
const SEED = Number(process.env['FAULT_SEED'] ?? Date.now() % 1_000_000);
/** Shrinking takes its time: a shorter one that fails is worth it. */
const TEST_MAX_MS = 900_000;
const COMMANDS_MAX = 10;
const AGAIN_MS = 50;
const isReady = await postgresIsWithinReach();

let ground: Ground;
let lanes: readonly Lane[] = [];
let runs = 0;

beforeAll(async () => {
  if (!isReady) return;
  ground = await startGround();
  lanes = await Promise.all(['model-1', 'model-2'].map((name) => startLane(name, ground)));
}, 300_000);
afterAll(async () => {
  await Promise.all(lanes.map((lane) => lane.stop()));
  await ground?.stop();
}, 60_000);

async function insist(ask: () => Promise<Answered>): Promise<Answered> {
  for (;;) {
    const answered = await ask();
    if (answered.status !== null && answered.status < 500) return answered;
    await sleep(AGAIN_MS);
  }
}

/** An account of its own for every run, so that none meets what another has left. */
async function runAgainstModel(lane: Lane, commands: Iterable<fc.AsyncCommand<Model, Real>>): Promise<void> {
  const tag = `m${SEED}-${runs++}`;
  const deathsBefore = lane.deaths.length;
  await Promise.all(Object.values(lane.vendors).map((vendor) => vendor.reset()));
  await lane.vendors.products.configure({ latencyMs: 20, rejectNames: ['bad'] });
  const recorder = createRecorder();
  const client = recorder.client({
    name: 'customer',
    account: tag,
    server: 'api',
    baseUrl: lane.url,
    timeoutMs: 5_000,
  });
  // As in the campaign: what is late for want of a processor is nobody's fault.
  const pressure = watchPressure({
    pids: () => [...lane.pids(), ground.temporalPid],
    onStall: (fromMs, toMs) => recorder.faultBetween('stall', 'machine', fromMs, toMs),
    nowMs: recorder.nowMs,
  });
  const real: Real = { lane, client, customer: createCustomer(client), insist, tag };
  const model: Model = { operations: [] };
  try {
    await fc.asyncModelRun(() => ({ model, real }), commands);
    for (const operation of model.operations) {
      if (operation.standing === 'paused') await real.customer.control('resume', operation.key);
      if (operation.standing === 'scheduled' || operation.standing === 'held') {
        await real.customer.control('cancel', operation.key);
        operation.wasCancelled = true;
      }
      if (operation.standing !== 'purged') await end(operation, real);
      await look(operation, real);
      if (operation.standing !== 'purged') await real.customer.download(operation.key);
    }
    for (const { mode, atMs, backAtMs } of lane.deaths.slice(deathsBefore)) {
      recorder.faultBetween(mode, mode, atMs, backAtMs ?? nowMs());
    }
    recorder.vendor({ vendor: 'products', honoursKeys: true, isComplete: true, latencyMaxMs: 2_000 });
    recorder.calls('products', await lane.vendors.products.ledger());
    const violations = checkHistory(recorder.history({ seed: SEED, endsWithinMs: 90_000, store: 'fs' }));
    expect(violations, JSON.stringify(violations)).toEqual([]);
  } catch (error) {
    // Shrinking tells the last failure only, which may be another one than the first.
    process.stderr.write(`${tag}: ${[...commands].join(', ')}: ${error instanceof Error ? error.message : error}\n`);
    await clearAway(model, real);
    throw error;
  } finally {
    pressure.stop();
    await recorder.close();
  }
}

/** What a failed run leaves behind would make its calls in the next one. */
async function clearAway({ operations }: Model, { customer }: Real): Promise<void> {
  for (const { key, standing } of operations) {
    if (standing === 'purged' || standing === 'ended') continue;
    await customer.control('cancel', key).catch(() => {});
    await customer.until(key, 'ended', ({ state }) => state === 'ended').catch(() => {});
  }
}

describe.skipIf(!isReady)(`a small model${isReady ? '' : ` (${NO_POSTGRES})`}`, () => {
  it.concurrent.each([0, 1])(
    'is what the service does, whatever is asked of it in whatever order, and whoever dies (lane %i)',
    async (number) => {
      const rest = fc.commands(COMMANDS, { maxCommands: COMMANDS_MAX, size: 'max' });
      const property = fc.asyncProperty(SUBMIT, rest, async (first, commands) => {
        const lane = lanes[number];
        if (lane === undefined) throw new Error('there is no lane');
        await runAgainstModel(lane, [first, ...commands]);
      });
      // What it tells of a failure (seed, path) is what has it again.
      await fc.assert(property, { numRuns: RUNS, seed: SEED + number, endOnFailure: false });
    },
    TEST_MAX_MS,
  );
});
