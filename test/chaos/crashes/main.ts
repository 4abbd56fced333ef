/** The campaign of crashes from the command line: what is to be done, what was done before, and what came of it. */
import { randomInt } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { appendEntry, type Entry, isGood, lineOf, readEntries, tableOf, writeReport } from './ledger.ts';
import { type Options, readOptions } from './options.ts';
import { numbersOf } from './plan.ts';
import { type Evidence, sit } from './sitting.ts';

/** False where a promise was broken, or a point was not reached. */
export async function runCrashes(args: readonly string[]): Promise<boolean> {
  const options = readOptions(args, randomInt(1, 1_000_000));
  const { out, report, seed, lanes, minutes } = options;
  const before = out === null ? [] : readEntries(out);
  const numbers = numbersToDo(options, before);
  tell(`seed ${seed}: ${numbers.length} histories in ${lanes} lanes`);
  const done: Entry[] = [];
  const onEntry = (entry: Entry, evidence: Evidence): void => {
    done.push(entry);
    if (out !== null) keep(out, entry, evidence);
    tell(`${done.length}/${numbers.length} ${lineOf(entry)}`);
  };
  const withinMs = minutes === null ? Number.POSITIVE_INFINITY : minutes * 60_000;
  const signal = stopSignal();
  if (numbers.length > 0) await sit({ seed, numbers, lanes, withinMs, signal, onEntry, onNote: tell });
  tell(tableOf([...before, ...done], { whole: false }));
  const bad = done.filter((entry) => !isGood(entry));
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

/** Where it is not good its history is kept, too: to look at, and to try a mended rule or harness on. */
function keep(out: string, entry: Entry, { history, log }: Evidence): void {
  appendEntry(out, entry);
  if (isGood(entry)) return;
  const folder = `${out}.histories`;
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, `${entry.seed}-${entry.number}.ndjson`), history);
  writeFileSync(join(folder, `${entry.seed}-${entry.number}.log`), log);
}

/** The first Ctrl-C lets what has begun end; the second does not. */
function stopSignal(): AbortSignal {
  const stopping = new AbortController();
  const ask = (): void => {
    if (stopping.signal.aborted) process.exit(130);
    stopping.abort();
    tell('stopping after the histories that have begun');
  };
  for (const name of ['SIGINT', 'SIGTERM'] as const) process.on(name, ask);
  return stopping.signal;
}

function tell(text: string): void {
  process.stdout.write(`${text}\n`);
}
