/** The campaign of crashes: history after history in a few lanes side by side, each judged, each written down. */
import { execFileSync } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Outcome, type Plan, runCrash } from './crash.ts';
import { type Ground, startGround } from './ground.ts';
import { type Lane, startLane } from './lane.ts';
import { appendEntry, type Entry, isGood, readEntries, tableOf, writeReport } from './ledger.ts';
import { createOperators } from './operator.ts';
import { type Options, readOptions } from './options.ts';
import { numbersOf, planOf, randomOf } from './plan.ts';

/** False where a promise was broken, or a point was not reached. */
export async function runCrashes(args: readonly string[]): Promise<boolean> {
  const options = readOptions(args, randomInt(1, 1_000_000));
  const { out, report, seed } = options;
  const before = out === null ? [] : readEntries(out);
  const numbers = numbersToDo(options, before);
  tell(`seed ${seed}: ${numbers.length} histories in ${options.lanes} lanes`);
  const done = numbers.length === 0 ? [] : await runAll(options, numbers);
  const bad = done.filter((entry) => !isGood(entry));
  tell(tableOf([...before, ...done], { whole: false }));
  for (const entry of bad) tell(`not good: ${lineOf(entry)}`);
  if (report !== null) writeReport(report, [...before, ...done]);
  tell(`${done.length} histories, ${bad.length} not good`);
  return bad.length === 0;
}

function numbersToDo({ seed, crashes, points, only, resume }: Options, before: readonly Entry[]): number[] {
  const wanted = only === null ? numbersOf(seed, crashes, points) : [only];
  const known = new Set(before.filter((entry) => entry.seed === seed).map(({ number }) => number));
  return wanted.filter((number) => !resume || !known.has(number));
}

async function runAll(options: Options, numbers: readonly number[]): Promise<readonly Entry[]> {
  const commit = commitOf();
  const endsAtMs = options.minutes === null ? Number.POSITIVE_INFINITY : performance.now() + options.minutes * 60_000;
  const waiting = [...numbers];
  const done: Entry[] = [];
  const ground = await startGround();
  const next = () => (performance.now() < endsAtMs ? waiting.shift() : undefined);
  try {
    const names = Array.from({ length: Math.min(options.lanes, numbers.length) }, (_, lane) => `lane-${lane + 1}`);
    await Promise.all(
      names.map((name) =>
        workLane(name, ground, options, next, (plan, outcome) => {
          const entry = entryOf(plan, outcome, { commit, seed: options.seed });
          done.push(entry);
          if (options.out !== null) appendEntry(options.out, entry);
          if (!isGood(entry)) keepHistory(options, plan, outcome);
          tell(`${done.length}/${numbers.length} ${name} ${lineOf(entry)}`);
        }),
      ),
    );
  } finally {
    await ground.stop();
  }
  return done;
}

type Tell = (plan: Plan, outcome: Outcome) => void;

/** On a machine that has no time; others at work end some day. */
const LANE_TRIES_MAX = 5;

/** A lane that broke is no ground for the next history: another one takes its place. */
async function workLane(
  name: string,
  ground: Ground,
  { seed }: Options,
  next: () => number | undefined,
  onOutcome: Tell,
): Promise<void> {
  let tries = 0;
  for (let life = 1, number = next(); number !== undefined; life++) {
    const opened = await openLane(`${name}-${life}`, ground).catch((error: unknown) => {
      tell(`${name}: no lane: ${String(error)}`);
      if (++tries === LANE_TRIES_MAX) throw error;
      return null;
    });
    if (opened === null) continue;
    try {
      for (let isWhole = true; isWhole && number !== undefined; ) {
        const plan = planOf(seed, number);
        const history = { ...opened, seed, random: randomOf(seed, number).fork('scene') };
        const outcome = await runCrash(plan, history).catch(brokenOff);
        onOutcome(plan, outcome);
        isWhole = outcome.fault === null && outcome.reached && opened.lane.fault() === null;
        number = next();
      }
    } finally {
      await end(opened.lane, opened.operators);
    }
  }
}

async function openLane(name: string, ground: Ground) {
  const lane = await startLane(name, ground);
  return { lane, operators: await createOperators(ground.temporalAddress, name) };
}

/** The harness's own fault: the lane is given up. */
function brokenOff(error: unknown): Outcome {
  const fault = error instanceof Error ? (error.stack ?? error.message) : String(error);
  return { reached: false, violations: [], fault, backMs: null, tookMs: 0, history: '' };
}

async function end(lane: Lane, operators: { close(): Promise<void> }): Promise<void> {
  await operators.close();
  await lane.stop();
}

function entryOf(plan: Plan, outcome: Outcome, from: { readonly commit: string; readonly seed: number }): Entry {
  const { history: _history, ...rest } = outcome;
  const { number, order, scenario } = plan;
  return { at: new Date().toISOString(), ...from, number, ...order, scenario: scenario.name, ...rest };
}

function lineOf({ seed, number, point, nth, scenario, reached, violations, fault, backMs, tookMs }: Entry): string {
  const what = `${point}:${nth} in ${scenario} (--seed ${seed} --only ${number})`;
  const how = reached ? `back after ${backMs} ms, ${tookMs} ms` : `NOT REACHED, ${tookMs} ms`;
  const wrong = [...violations.slice(0, 5), ...(fault === null ? [] : [`fault: ${fault}`])];
  return [`${what}: ${how}`, ...wrong].join('\n    ');
}

/** To look at; and what a mended rule or harness is tried on. */
function keepHistory({ out }: Options, { number }: Plan, { history }: Outcome): void {
  const folder = out === null ? null : `${out}.histories`;
  if (folder === null) return;
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, `${number}.ndjson`), history);
}

function commitOf(): string {
  try {
    return execFileSync('git', ['rev-parse', '--short', 'HEAD'], { encoding: 'utf8' }).trim();
  } catch {
    return 'unknown';
  }
}

function tell(text: string): void {
  process.stdout.write(`${text}\n`);
}
