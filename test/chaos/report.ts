/** Says what an epoch did and found, and keeps a line for each sitting in docs/proof. */
import { execFileSync } from 'node:child_process';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { EpochResult } from './epoch.ts';

export interface Sitting {
  readonly seed: number;
  readonly epochMs: number;
  readonly results: readonly EpochResult[];
}

export function renderEpoch(number: number, result: EpochResult): string {
  const { store, faults, deaths, operations, items, calls, repeats, facts, violations } = result;
  return [
    `epoch ${number} (${store}): ${operations} operations, ${items} items, ${calls} vendor calls, ${repeats} repeated`,
    `  faults: ${renderCounts(faults)}`,
    `  ended by themselves: ${deaths.length === 0 ? 'none' : deaths.join(', ')}`,
    `  facts: ${renderCounts(facts)}`,
    `  violations: ${violations.length}`,
    ...violations.map(({ rule, operation, text }) => `    ${rule} ${operation ?? ''}: ${text}`),
  ].join('\n');
}

const HEAD = `# Chaos: what was run, and what it found

Each row is a sitting of \`npm run chaos -- --minutes M --seed S\`, written by the harness: two API and three worker
processes, Temporal, PostgreSQL and a blob store (a disk or S3, by seed) with a faulty link between every two of them.
Facts are single things that a rule of the history checker looked at (docs/proof/README.md). A sitting is judged in epochs
of a few minutes, each a fresh service and a history of its own. A violation is told with \`--seed S --epoch N\`, which does
the same faults at the same times again, and its history and logs are kept under \`.cache/chaos\`. A row with violations
stays: what they were, and what was done about them, stands in the commit that mended it. Seconds in which the machine itself
had no processor for the service's processes are told to the checker as such; commits with \`+\` had other work in \`src\`.

| date | commit | seed | minutes | stores | faults | operations | items | vendor calls | repeated | facts | violations |
| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |
`;

export async function appendProof(path: string, sitting: Sitting): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  const before = await readFile(path, 'utf8').catch(() => HEAD);
  await writeFile(path, before + renderRow(sitting));
}

function renderRow({ seed, epochMs, results }: Sitting): string {
  const sum = (figure: (result: EpochResult) => number) => results.reduce((all, result) => all + figure(result), 0);
  const cells = [
    new Date().toISOString().slice(0, 16).replace('T', ' '),
    commit(),
    seed,
    ((results.length * epochMs) / 60_000).toFixed(1),
    results.map(({ store }) => store).join(' '),
    renderCounts(sumCounts(results.map(({ faults }) => faults))),
    sum(({ operations }) => operations),
    sum(({ items }) => items),
    sum(({ calls }) => calls),
    sum(({ repeats }) => repeats),
    sum(({ facts }) => Object.values(facts).reduce((all, count) => all + count, 0)),
    renderViolations(results),
  ];
  return `| ${cells.join(' | ')} |\n`;
}

function renderViolations(results: readonly EpochResult[]): string {
  const rules = results.flatMap(({ violations }) => violations.map(({ rule }) => ({ [rule]: 1 })));
  return rules.length === 0 ? '0' : renderCounts(sumCounts(rules));
}

function sumCounts(all: readonly Readonly<Record<string, number>>[]): Readonly<Record<string, number>> {
  const sums: Record<string, number> = {};
  for (const [name, count] of all.flatMap((counts) => Object.entries(counts))) sums[name] = (sums[name] ?? 0) + count;
  return sums;
}

function renderCounts(counts: Readonly<Record<string, number>>): string {
  const entries = Object.entries(counts).toSorted(([a], [b]) => a.localeCompare(b));
  return entries.map(([name, count]) => `${name} ${count}`).join(', ');
}

/** `+` where the tree differs from it. */
function commit(): string {
  try {
    const git = (...args: string[]) => execFileSync('git', args, { encoding: 'utf8' }).trim();
    const changed = git('status', '--porcelain', '--', 'src') !== '';
    return `${git('rev-parse', '--short', 'HEAD')}${changed ? '+' : ''}`;
  } catch {
    return 'unknown';
  }
}
