/** One crash history: work is begun, a process dies at its point, another takes over, and all that was seen is judged. */
import type { CrashOrder } from '../../../src/diagnosis-settings.ts';
import { checkHistory } from '../../check/check.ts';
import { type History, renderHistory } from '../../check/history.ts';
import { startPollers } from '../../check/pollers.ts';
import { createRecorder, nowMs, type Recorder } from '../../check/recorder.ts';
import { stretchesOf } from '../../check/rows.ts';
import type { Random } from '../random.ts';
import { createCustomer } from './customer.ts';
import type { Death, Lane } from './lane.ts';
import type { Operators } from './operator.ts';
import { partOf, type Scenario, type Scene, type Told } from './scenario.ts';

export interface Plan {
  /** From 0; with the seed it says all about a history. */
  readonly number: number;
  readonly order: CrashOrder;
  readonly scenario: Scenario;
}

export interface Ground {
  readonly lane: Lane;
  readonly operators: Operators;
  readonly seed: number;
  readonly random: Random;
}

export interface Outcome {
  /** Whether the process died at the point. */
  readonly reached: boolean;
  /** Broken promises, in words. */
  readonly violations: readonly string[];
  /** What went wrong with the harness, or never came to pass. */
  readonly fault: string | null;
  /** From the death to the replacement's service, and to the end of the history. Unit: ms. */
  readonly backMs: number | null;
  readonly tookMs: number;
  readonly history: string;
  /** The last that the processes said which served in the end. */
  readonly log: string;
}

const ENDS_WITHIN_MS = 90_000;
const CALL_MAX_MS = 5_000;
/** A port that nobody listens on. */
const NO_TEMPORAL = { TEMPORAL_ADDRESS: '127.0.0.1:9' };
const VENDORS = ['products', 'sync', 'async'] as const;

export async function runCrash(plan: Plan, ground: Ground): Promise<Outcome> {
  const { lane, seed } = ground;
  const startedAtMs = performance.now();
  const deathsBefore = lane.deaths.length;
  const tag = `c${seed}-${plan.number}`;
  await Promise.all(VENDORS.map((name) => lane.vendors[name].reset()));
  const recorder = createRecorder();
  const told: Told[] = [];
  const terminated = new Set<string>();
  let fault: string | null = null;
  try {
    told.push(...(await play(plan, ground, { recorder, tag, terminated })));
  } catch (error) {
    fault = error instanceof Error ? `${error.message}${causeOf(error)}` : String(error);
  }
  await settleLane(lane).catch((error: unknown) => {
    fault ??= String(error);
  });
  const deaths = lane.deaths.slice(deathsBefore);
  await lane.restore();
  const violations = [...(await judgeTold(lane, told, { recorder, tag }))];
  for (const death of deaths) noteDeath(recorder, death);
  const history = withOperators(recorder.history({ seed, endsWithinMs: ENDS_WITHIN_MS, store: 'fs' }), terminated);
  await recorder.close();
  violations.push(...judge(history));
  const expected = partOf(plan.order.point);
  const undealt = deaths.filter(({ dealt }) => !dealt);
  const mine = undealt.filter(({ mode, killed }) => killed && mode === expected);
  const others = undealt.length - mine.length;
  if (mine.length > 1 || others > 0) violations.push(`processes died that nobody killed: ${JSON.stringify(deaths)}`);
  return {
    reached: mine.length === 1,
    violations,
    fault,
    backMs: mine[0] === undefined || mine[0].backAtMs === null ? null : Math.round(mine[0].backAtMs - mine[0].atMs),
    tookMs: Math.round(performance.now() - startedAtMs),
    history: renderHistory(history),
    log: `${(await lane.part('api')).tail()}\n${(await lane.part('worker')).tail()}`,
  };
}

interface Noting {
  readonly recorder: Recorder;
  readonly tag: string;
}

/** The last moment at which it was surely alive is that of its last answer: its end is told to us late. */
function noteDeath(recorder: Recorder, { mode, atMs, backAtMs, dealt }: Death): void {
  let fromMs = atMs;
  if (mode === 'api' && !dealt) {
    fromMs = 0;
    for (const line of recorder.history(NO_FRAME).lines) {
      if (line.kind !== 'exchange' || line.status === null || line.endedAtMs >= atMs) continue;
      fromMs = Math.max(fromMs, line.endedAtMs + 0.001);
    }
  }
  recorder.faultBetween(mode, mode, fromMs, backAtMs ?? nowMs());
}

const NO_FRAME = { seed: null, endsWithinMs: 0, store: 'fs' } as const;

/** What an operator terminates ends as though it had stopped itself: no client asked for it. */
function withOperators({ lines }: History, terminated: ReadonlySet<string>): History {
  if (terminated.size === 0) return { lines };
  return {
    lines: lines.map((line) => {
      if (line.kind !== 'exchange' || line.submitted === null || !terminated.has(line.operationId ?? '')) return line;
      return { ...line, submitted: { ...line.submitted, mayStopItself: true } };
    }),
  };
}

interface Playing extends Noting {
  readonly terminated: Set<string>;
}

async function play(plan: Plan, ground: Ground, { recorder, tag, terminated }: Playing): Promise<readonly Told[]> {
  const { lane, operators, random } = ground;
  const server = { server: 'api', baseUrl: lane.url, account: tag, timeoutMs: CALL_MAX_MS };
  const customer = createCustomer(recorder.client({ name: 'customer', ...server }));
  const reader = recorder.client({ name: 'reader', ...server });
  const { operations } = recorder;
  const pollers = startPollers({ clients: [reader], operations, random: random.next, pauseMs: [30, 120] });
  const operator = operators.of(tag);
  const over: (() => void)[] = [];
  const scene: Scene = {
    ...{ lane, customer, tag, random },
    async arm() {
      await (await lane.part(partOf(plan.order.point))).arm(plan.order);
    },
    async allow(calls) {
      await lane.configure('worker', { VENDOR_BUDGETS: `products=${calls}/s` });
      const fromMs = nowMs();
      over.push(() => recorder.budget({ vendor: 'products', fromMs, toMs: nowMs(), windows: [{ calls, seconds: 1 }] }));
    },
    async withoutTemporal() {
      const api = await lane.replace('api', NO_TEMPORAL);
      const found = recorder.fault('link_temporal', 'api→temporal');
      void api.exited.then(found);
    },
    operator: {
      async terminate(id) {
        const over = recorder.fault('temporal', 'operator', 'terminated');
        terminated.add(id);
        await operator.terminate(id);
        over();
      },
      async forget(id) {
        const over = recorder.fault('temporal', 'operator', 'deleted');
        await operator.forget(id);
        over();
      },
    },
  };
  try {
    const told = await plan.scenario.play(scene);
    for (const { id, counts } of told) if (counts !== null) await customer.download(id);
    return told;
  } finally {
    await pollers.stop();
    for (const end of over) end();
  }
}

/** Both parts serve and are armed no more; one that died at the very end has its successor. */
async function settleLane(lane: Lane): Promise<void> {
  for (const mode of ['api', 'worker'] as const) {
    while (!(await (await lane.part(mode)).arm(null)));
  }
  const broken = lane.fault();
  if (broken !== null) throw broken;
}

/** What the kind of history promises beside; notes what vendors and tables say for the checker. */
async function judgeTold(lane: Lane, told: readonly Told[], { recorder, tag }: Noting): Promise<readonly string[]> {
  const violations: string[] = [];
  for (const name of VENDORS) {
    recorder.vendor({ vendor: name, honoursKeys: true, isComplete: true, latencyMaxMs: 2_000 });
    recorder.calls(name, await lane.vendors[name].ledger());
  }
  const customer = createCustomer(
    recorder.client({ name: 'judge', server: 'api', baseUrl: lane.url, account: tag, timeoutMs: CALL_MAX_MS }),
  );
  for (const { id, run, counts, rowsTag } of told) {
    if (counts === null) {
      const status = await customer.statusOf(id);
      if (status !== 410) violations.push(`${id} was purged, and is answered ${status}`);
      continue;
    }
    const view = await customer.get(id);
    const wrong = Object.entries(counts).filter(([name, count]) => Reflect.get(view.counts, name) !== count);
    if (wrong.length > 0 || view.run !== run) {
      violations.push(
        `expected run ${run} with ${JSON.stringify(counts)}, found ${view.run}: ${JSON.stringify(view.counts)}`,
      );
    }
    if (rowsTag === undefined || lane.contacts === null) continue;
    const { rows, repeated } = await lane.contacts.seen(rowsTag);
    const more = new Set(repeated);
    const once = stretchesOf(rows.filter((row) => !more.has(row)));
    recorder.effects({ account: tag, operationId: id, once, more: repeated.map((row) => [row, 2] as const) });
    if (rows.length !== counts.succeeded)
      violations.push(`${rows.length} rows stand for ${counts.succeeded} successes`);
  }
  return violations;
}

function judge(history: History): string[] {
  return checkHistory(history).map(({ rule, operation, text }) => `${rule}: ${operation ?? ''} ${text}`);
}

function causeOf(error: Error): string {
  return error.cause instanceof Error ? `: ${error.cause.message}` : '';
}
