/** The fault campaign: epoch after epoch until its minutes are used, each judged by itself; says what was done and what broke. */
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { readOptions } from '../../bench/options.ts';
import { renderHistory } from '../check/history.ts';
import { type EpochResult, runEpoch } from './epoch.ts';
import { hash } from './random.ts';
import { appendProof, renderEpoch } from './report.ts';
import { takePremises } from './stack/mark.ts';

const SPECS = {
  minutes: { fallback: 4, min: 0, max: 600, doc: 'of faults, over all epochs' },
  seconds: { fallback: 0, min: 0, max: 3_600, doc: 'of faults, added to the minutes' },
  epochSeconds: { fallback: 240, min: 10, max: 900, doc: 'of faults in one epoch' },
  seed: { fallback: 0, min: 0, max: 4_294_967_295, doc: 'of every choice; 0 = drawn and told' },
  epoch: { fallback: 0, min: 0, max: 10_000, doc: 'only this one, as numbered before; 0 = all' },
  keep: { fallback: 0, min: 0, max: 1, doc: '1 = every history is kept, not only those with a violation' },
  proof: { fallback: 1, min: 0, max: 1, doc: '0 = nothing is written to docs/proof' },
} as const;

const KEPT_MAX = 12;
const root = fileURLToPath(new URL('../../', import.meta.url));
const keptFolder = join(root, '.cache', 'chaos');

/** False where a promise was broken; the seed and the epoch are told. */
export async function runCampaign(args: readonly string[]): Promise<boolean> {
  const options = readOptions(SPECS, args);
  const seed = options.seed === 0 ? Math.floor(Math.random() * 1_000_000) + 1 : options.seed;
  const totalMs = options.minutes * 60_000 + options.seconds * 1_000;
  const epochMs = Math.min(options.epochSeconds * 1_000, totalMs);
  const epochs = options.epoch > 0 ? 1 : Math.max(1, Math.round(totalMs / epochMs));
  const premises = await takePremises();
  const tell = (line: string): void => void process.stdout.write(`${line}\n`);
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => process.exit(130));
  process.once('disconnect', () => process.exit(130));
  const results: EpochResult[] = [];
  tell(`chaos: seed ${seed}, ${epochs} epochs of ${epochMs / 1_000} s`);
  try {
    for (let number = 1; number <= epochs; number += 1) {
      const epoch = options.epoch > 0 ? options.epoch : number;
      const folder = join(premises.folder, `epoch-${epoch}`);
      const result = await runEpoch({ seed: epochSeed(seed, epoch), faultMs: epochMs, folder, tell });
      tell(renderEpoch(epoch, result));
      const broken = result.violations.length > 0;
      if (broken)
        tell(`again: npm run chaos -- --seed ${seed} --epoch ${epoch} --seconds ${epochMs / 1_000} --minutes 0`);
      if (broken || options.keep === 1) tell(`kept in ${await keep(`${seed}-${epoch}`, result, folder)}`);
      results.push({ ...result, history: { lines: [] } });
      await rm(folder, { recursive: true, force: true, maxRetries: 5 });
    }
  } finally {
    await premises.leave();
  }
  if (options.proof === 1) await appendProof(join(root, 'docs', 'proof', 'chaos.md'), { seed, epochMs, results });
  const violations = results.reduce((sum, result) => sum + result.violations.length, 0);
  tell(violations === 0 ? 'chaos: no violation' : `chaos: ${violations} violations, seed ${seed}`);
  return violations === 0;
}

/** Any epoch can be had again by itself. */
function epochSeed(seed: number, epoch: number): number {
  return hash(`${seed}/${epoch}`);
}

/** History, verdict and the processes' logs; the oldest make room. */
async function keep(name: string, result: EpochResult, folder: string): Promise<string> {
  const kept = join(keptFolder, name);
  await rm(kept, { recursive: true, force: true });
  await mkdir(kept, { recursive: true });
  await writeFile(join(kept, 'history.ndjson.gz'), gzipSync(renderHistory(result.history)));
  const { history: _history, ...rest } = result;
  await writeFile(join(kept, 'result.json'), JSON.stringify(rest, null, 2));
  for (const logs of ['logs', 'data']) await keepLogs(join(folder, logs), kept);
  const all = await readdir(keptFolder, { withFileTypes: true });
  const folders = all.filter((entry) => entry.isDirectory()).map((entry) => entry.name);
  for (const old of folders.slice(0, -KEPT_MAX)) {
    if (old !== name) await rm(join(keptFolder, old), { recursive: true, force: true });
  }
  return kept;
}

async function keepLogs(logs: string, kept: string): Promise<void> {
  for (const name of (await readdir(logs).catch(() => [])).filter((it) => it.endsWith('.log'))) {
    await writeFile(join(kept, `${name}.gz`), gzipSync(await readFile(join(logs, name))));
  }
}
