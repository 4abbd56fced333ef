/** Runs histories in a few lanes side by side, on one ground, and tells of each as it ends. */
import { execFileSync } from 'node:child_process';
import { type Outcome, type Plan, runCrash } from './crash.ts';
import { type Ground, startGround } from './ground.ts';
import { startLane } from './lane.ts';
import type { Entry } from './ledger.ts';
import { createOperators } from './operator.ts';
import { planOf, randomOf } from './plan.ts';

export interface Sitting {
  readonly seed: number;
  readonly numbers: readonly number[];
  readonly lanes: number;
  /** No history is begun after so long. */
  readonly withinMs: number;
  /** Nor after this. */
  readonly signal?: AbortSignal;
  readonly onEntry: (entry: Entry, evidence: Evidence) => void;
  readonly onNote: (note: string) => void;
}

/** What is looked at where a history is not good. */
export interface Evidence {
  /** All that was seen, as NDJSON. */
  readonly history: string;
  /** The last that the processes said. */
  readonly log: string;
}

/** On a machine that has no time; others at work end some day. */
const LANE_TRIES_MAX = 5;

export async function sit(sitting: Sitting): Promise<void> {
  const { seed, numbers, withinMs, onEntry, onNote } = sitting;
  const commit = commitOf();
  const endsAtMs = performance.now() + withinMs;
  const waiting = [...numbers];
  const ground = await startGround();
  const bench: Bench = {
    ground,
    seed,
    onNote,
    next: () => (performance.now() < endsAtMs && sitting.signal?.aborted !== true ? waiting.shift() : undefined),
    onOutcome({ number, order, scenario }, { history, log, ...outcome }) {
      const at = new Date().toISOString();
      onEntry({ at, commit, seed, number, ...order, scenario: scenario.name, ...outcome }, { history, log });
    },
  };
  try {
    const names = Array.from({ length: Math.min(sitting.lanes, numbers.length) }, (_, lane) => `lane-${lane + 1}`);
    await Promise.all(names.map((name) => workLane(name, bench)));
  } finally {
    await ground.stop();
  }
}

/** What all lanes work from. */
interface Bench {
  readonly ground: Ground;
  readonly seed: number;
  readonly next: () => number | undefined;
  readonly onOutcome: (plan: Plan, outcome: Outcome) => void;
  readonly onNote: (note: string) => void;
}

/** A lane that broke is no ground for the next history: another one takes its place. */
async function workLane(name: string, { ground, seed, next, onOutcome, onNote }: Bench): Promise<void> {
  let tries = 0;
  for (let life = 1, number = next(); number !== undefined; life++) {
    const opened = await openLane(`${name}-${life}`, ground).catch((error: unknown) => {
      onNote(`${name}: no lane: ${String(error)}`);
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
      await opened.operators.close();
      await opened.lane.stop();
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
  return { reached: false, violations: [], fault, backMs: null, tookMs: 0, history: '', log: '' };
}

function commitOf(): string {
  try {
    return execFileSync('git', ['rev-parse', '--short', 'HEAD'], { encoding: 'utf8' }).trim();
  } catch {
    return 'unknown';
  }
}
