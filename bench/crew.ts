/** The stack's worker and more of them beside it, to be killed one after the other; each comes back as an orchestrator would have it. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Started, startMain } from '../test/fixtures/stack/processes.ts';
import { cpuSeconds } from './processes.ts';
import type { Stack } from './stack.ts';

export interface Crew {
  /** SIGKILL of the next one in turn; resolves once another one works in its place. */
  killNext(): Promise<void>;
  /** CPU seconds so far of the workers beside the stack's own; only differences while nobody is killed say anything. */
  cpuSeconds(): Promise<number>;
  stop(): Promise<void>;
}

const BACK_MAX_MS = 60_000;
const LOOK_MS = 100;

export async function startCrew(stack: Stack, workers: number): Promise<Crew> {
  const env = workerEnvironment(stack);
  const start = async (): Promise<Started> => {
    const worker = startMain('worker', env);
    await worker.ready;
    return worker;
  };
  // One after the other: two cold starts at once take longer than that on two cores.
  const beside: Started[] = [];
  for (let more = 1; more < workers; more++) beside.push(await start());
  let kills = 0;
  return {
    async killNext() {
      const at = kills % workers;
      kills += 1;
      const victim = beside[at - 1];
      if (victim === undefined) return await killSupervised(stack);
      await victim.kill();
      beside[at - 1] = await start();
    },
    async cpuSeconds() {
      const each = await Promise.all(beside.map(({ pid }) => cpuSeconds(pid)));
      return each.reduce((sum, seconds) => sum + seconds, 0);
    },
    async stop() {
      for (const worker of beside) await worker.stop();
    },
  };
}

/** Its supervisor brings it back. */
async function killSupervised(stack: Stack): Promise<void> {
  const { worker: before } = await stack.pids();
  process.kill(before, 'SIGKILL');
  const deadline = performance.now() + BACK_MAX_MS;
  for (;;) {
    const now = await stack.pids().catch(() => null);
    if (now !== null && now.worker !== before) return;
    if (performance.now() > deadline) throw new Error('the supervisor did not bring its worker back');
    await new Promise((wake) => setTimeout(wake, LOOK_MS));
  }
}

/** As the supervisor gives it to its own. */
function workerEnvironment({ env, dataDir, temporalAddress, url }: Stack): Readonly<Record<string, string>> {
  const given = Object.entries(env).filter((entry): entry is [string, string] => entry[1] !== undefined);
  const secret = readFileSync(join(dataDir, 'callback-secret'), 'utf8').trim();
  const shared = { DATA_DIR: dataDir, TEMPORAL_ADDRESS: temporalAddress };
  return { ...Object.fromEntries(given), ...shared, CALLBACK_SECRET: secret, CALLBACK_BASE_URL: url };
}
