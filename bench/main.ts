/** Entry of `npm run bench -- <scenario> [--option N]`: boots a stack of its own, runs one scenario, prints its report as the last line. */
import { cpus, loadavg } from 'node:os';
import { accept } from './accept.ts';
import { contacts } from './contacts.ts';
import { cost } from './cost.ts';
import { engine } from './engine.ts';
import { fairness } from './fairness.ts';
import { governor } from './governor.ts';
import { memory } from './memory.ts';
import { describeOptions } from './options.ts';
import type { Report, Scenario } from './scenario.ts';
import { bootStack } from './stack.ts';
import { vendor } from './vendor.ts';

const SCENARIOS: readonly Scenario[] = [engine, vendor, accept, memory, cost, fairness, contacts, governor];
const INTERRUPTED_EXIT_CODE = 130;

const stopping = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.on(signal, () => stopping.abort(new Error(`stopped by ${signal}`)));
}
if (process.connected) process.on('disconnect', () => stopping.abort(new Error('the parent process is gone')));

process.exit(await main(process.argv.slice(2)));

async function main([name, ...args]: readonly string[]): Promise<number> {
  const scenario = SCENARIOS.find((candidate) => candidate.name === name);
  if (scenario === undefined) {
    tell(`usage: npm run bench -- <scenario> [--option N]${SCENARIOS.map(describe).join('')}`);
    return 2;
  }
  try {
    const report = await withStack(scenario, prepare(scenario, args));
    process.stdout.write(`${JSON.stringify({ scenario: scenario.name, ...rounded(report), ...machine() })}\n`);
    return 0;
  } catch (error) {
    if (stopping.signal.aborted) tell(String(stopping.signal.reason));
    else tell(error instanceof Error ? (error.stack ?? error.message) : String(error));
    return stopping.signal.aborted ? INTERRUPTED_EXIT_CODE : 1;
  }
}

/** A wrong option is told in one line, without a stack trace. */
function prepare(scenario: Scenario, args: readonly string[]): ReturnType<Scenario['prepare']> {
  try {
    return scenario.prepare(args);
  } catch (error) {
    tell(error instanceof Error ? error.message : String(error));
    process.exit(2);
  }
}

async function withStack(scenario: Scenario, run: ReturnType<Scenario['prepare']>): Promise<Report> {
  const { signal } = stopping;
  const services = await scenario.services?.();
  try {
    const stack = await bootStack({ env: { ...scenario.env, ...services?.env }, signal, tell });
    try {
      return await run({ stack, signal, tell });
    } finally {
      await stack.stop();
    }
  } finally {
    await services?.close();
  }
}

function describe({ name, specs }: Scenario): string {
  return `\n  ${name}: ${describeOptions(specs)}`;
}

function tell(line: string): void {
  process.stderr.write(`bench: ${line}\n`);
}

function machine() {
  const [first] = cpus();
  const [loadLastMinute] = loadavg();
  const facts = { node: process.versions.node, cores: cpus().length, cpu: first?.model ?? 'unknown', loadLastMinute };
  return { ...facts, at: new Date().toISOString() };
}

/** Three places, or five significant digits below 1: more is noise. */
function rounded(report: Report): object {
  const text = JSON.stringify(report, (_name, member) => (typeof member === 'number' ? round(member) : member));
  return JSON.parse(text) as object;
}

function round(figure: number): number {
  return Number(Math.abs(figure) < 1 ? figure.toPrecision(5) : figure.toFixed(3));
}
