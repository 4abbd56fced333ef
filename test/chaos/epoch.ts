/** One epoch of a campaign: a fresh service, minutes of work under faults, a calm end, and the judgement of all that was seen. */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { judgeHistory, type Violation } from '../check/check.ts';
import type { History } from '../check/history.ts';
import { startPollers } from '../check/pollers.ts';
import type { RecordedClient } from '../check/recorded-client.ts';
import { createRecorder, type Recorder } from '../check/recorder.ts';
import { type ContactsTable, watchContacts } from '../fixtures/stack/contacts.ts';
import { createVendor } from '../fixtures/stack/vendor.ts';
import { type PlannedFault, planFaults } from './faults/plan.ts';
import { nameOf, strikeAll, wholeBaseline } from './faults/strike.ts';
import { type ContactsOperation, gatherCalls, gatherEffects, vendorUrlOf } from './gather.ts';
import { drawGround, type Ground } from './ground.ts';
import { createRandom, type Random } from './random.ts';
import { readEverything, untilAllEnded } from './settle.ts';
import { watchPressure } from './stack/pressure.ts';
import { APIS, type ChaosStack, startChaosStack, VENDORS } from './stack/stack.ts';
import { describeWorkflows } from './stuck.ts';
import { serveCustomers } from './workload/customers.ts';

export interface EpochOptions {
  readonly seed: number;
  readonly faultMs: number;
  /** Of this epoch alone. */
  readonly folder: string;
  readonly tell: (line: string) => void;
}

export interface EpochResult {
  readonly seed: number;
  readonly store: string;
  readonly faults: Readonly<Record<string, number>>;
  /** Processes that ended though nobody had killed them. */
  readonly deaths: readonly string[];
  readonly operations: number;
  readonly items: number;
  readonly calls: number;
  readonly repeats: number;
  readonly unended: readonly string[];
  /** What Temporal says of these. */
  readonly stuck: readonly object[];
  readonly facts: Readonly<Record<string, number>>;
  readonly violations: readonly Violation[];
  readonly history: History;
}

/** Longest that anything may take to end once the last fault is over. */
const ENDS_WITHIN_MS = 180_000;
const IN_HAND_MAX = 5;

export async function runEpoch({ seed, faultMs, folder, tell }: EpochOptions): Promise<EpochResult> {
  const random = createRandom(seed);
  const ground = drawGround(random.fork('ground'));
  const plan = planFaults(random.fork('faults'), faultMs, ground.store);
  await mkdir(folder, { mode: 0o711 });
  const recorder = createRecorder();
  const deaths: string[] = [];
  const stack = await startChaosStack({
    folder: join(folder),
    store: ground.store,
    settings: ground.settings,
    restartDelayMs: restartDelays(random.fork('restarts')),
    onDeath: (name, { code, signal }, back) => {
      // The guard of a Temporal server that was killed ends with 1.
      if (signal !== 'SIGKILL' && name !== 'temporal') deaths.push(`${name}: ${signal ?? code}`);
      const over = recorder.fault(
        name === 'vendor' ? 'vendor' : kindOfProcess(name),
        name,
        `died of ${signal ?? code}`,
      );
      void back.then(over);
    },
  });
  const pressure = watchPressure({
    pids: () => [...stack.processes.values()].map((part) => part.pid()),
    onStall: (fromMs, toMs, waited) =>
      recorder.faultBetween(
        'stall',
        'machine',
        fromMs,
        toMs,
        `${Math.round(waited * 100)} % of it without a processor`,
      ),
    nowMs: recorder.nowMs,
  });
  let contacts: ContactsTable | null = null;
  try {
    contacts = await watchContacts(stack.postgres.url);
    await setGround(stack, ground, recorder);
    tell(`epoch ${seed}: ${ground.store}, ${plan.length} faults, ${JSON.stringify(ground.settings)}`);
    const scene: Scene = { stack, recorder, contacts, random, ground, plan, tell };
    return { seed, store: ground.store, deaths, faults: tally(plan), ...(await play(scene, seed, faultMs)) };
  } finally {
    pressure.stop();
    await recorder.close();
    await contacts?.close().catch(() => undefined);
    await stack.stop();
  }
}

interface Scene {
  readonly stack: ChaosStack;
  readonly recorder: Recorder;
  readonly contacts: ContactsTable;
  readonly random: Random;
  readonly ground: Ground;
  readonly plan: readonly PlannedFault[];
  readonly tell: (line: string) => void;
}

type Played = Omit<EpochResult, 'seed' | 'store' | 'faults' | 'deaths'>;

async function play(scene: Scene, seed: number, faultMs: number): Promise<Played> {
  const { stack, recorder, contacts, random, ground, tell } = scene;
  const startedAtMs = recorder.nowMs();
  const accounts = clientsOf(scene);
  const clientOf = (account: string) => accounts.get(account)?.[0] ?? missing(account);
  const contactsOperations: ContactsOperation[] = [];
  const closing = new AbortController();
  const stopped = new AbortController();
  const pollers = startPollers({
    clients: [...accounts.values()].flat(),
    operations: () => recorder.operations(),
    random: random.fork('pollers').next,
    pauseMs: [200, 2_000],
  });
  const customers = serveCustomers({
    ...{ accounts, random: random.fork('customers'), inHandMax: IN_HAND_MAX, canPurge: ground.canPurge },
    ...{ closing: closing.signal, stopped: stopped.signal },
    onContacts: (operation) => contactsOperations.push(operation),
  });
  const vendorBaseline = ground.vendor;
  const record = recorder.faultBetween;
  await strikeAll(
    scene.plan,
    { stack, vendorBaseline, tell, record: (it) => record(it.what, it.whom, it.fromMs, it.toMs, it.detail) },
    AbortSignal.timeout(faultMs + 15_000),
  );
  closing.abort();
  tell(`calm; ${recorder.operations().length} operations known`);
  // Whoever lives on after that is cut off; what he leaves is ended below, or never ends.
  const cutOff = setTimeout(() => stopped.abort(), ENDS_WITHIN_MS);
  await customers;
  clearTimeout(cutOff);
  const unended = await untilAllEnded(recorder.operations(), clientOf, ENDS_WITHIN_MS);
  const stuck = await describeWorkflows(stack.temporalAddress, unended);
  await pollers.stop();
  await readEverything(recorder.operations(), clientOf);
  const counted = await gatherCalls(recorder, stack.vendorUrl);
  await gatherEffects(recorder, contacts.database, contactsOperations);
  for (const [vendor, windows] of ground.budgets) {
    recorder.budget({ vendor, fromMs: startedAtMs, toMs: recorder.nowMs(), windows });
  }
  const history = recorder.history({ seed, endsWithinMs: ENDS_WITHIN_MS, store: ground.store });
  const { facts, violations } = judgeHistory(history);
  return {
    ...{ operations: recorder.operations().length, items: itemsIn(history), ...counted, facts, history },
    unended: unended.map(({ account, id }) => `${account}/${id}`),
    stuck,
    violations: [...violations, ...unended.map(neverEnded)],
  };
}

function neverEnded({ account, id }: { readonly account: string; readonly id: string }): Violation {
  return {
    rule: 'ends',
    operation: `${account}/${id}`,
    text: `had not ended ${ENDS_WITHIN_MS} ms after the last fault`,
  };
}

/** A client of each account at each API, over the link that clients take. */
function clientsOf({ stack, recorder, ground }: Scene): ReadonlyMap<string, readonly RecordedClient[]> {
  const timeoutMs = 30_000;
  return new Map(
    ground.accounts.map((account) => [
      account,
      APIS.map((server) =>
        recorder.client({
          name: `${account}@${server}`,
          account,
          server,
          baseUrl: stack.clientUrls[server],
          timeoutMs,
        }),
      ),
    ]),
  );
}

async function setGround(stack: ChaosStack, ground: Ground, recorder: Recorder): Promise<void> {
  for (const name of VENDORS) {
    await createVendor(vendorUrlOf(stack.vendorUrl, name)).configure(wholeBaseline(ground.vendor));
    const { latencyMs = 0, jitterMs = 0 } = ground.vendor;
    recorder.vendor({ vendor: name, honoursKeys: true, isComplete: true, latencyMaxMs: latencyMs + jitterMs });
  }
}

/** As an orchestrator: soon, and never at the same time twice. */
function restartDelays(random: Random): () => number {
  return () => Math.round(random.between(200, 2_000));
}

function kindOfProcess(name: string): 'api' | 'worker' | 'temporal' {
  if (name === 'temporal') return name;
  return name.startsWith('api') ? 'api' : 'worker';
}

function tally(plan: readonly PlannedFault[]): Readonly<Record<string, number>> {
  const counts: Record<string, number> = {};
  for (const { strike } of plan) counts[nameOf(strike)] = (counts[nameOf(strike)] ?? 0) + 1;
  return counts;
}

/** Of operations that were accepted, each once. */
function itemsIn({ lines }: History): number {
  const items = new Map<string, number>();
  for (const line of lines) {
    if (line.kind !== 'exchange' || line.submitted === null || line.status === null || line.status >= 300) continue;
    items.set(`${line.account}/${line.operationId}`, line.submitted.items);
  }
  return [...items.values()].reduce((sum, count) => sum + count, 0);
}

function missing(account: string): never {
  throw new Error(`there is no account ${account}`);
}
