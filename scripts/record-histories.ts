/** Records the histories that `test/unit/workflows/replay.test.ts` replays: `npm run histories [-- path …]`, after a change of workflows. */

import { execFile } from 'node:child_process';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { WorkflowHandle } from '@temporalio/client';
import { readConfig } from '../src/config.ts';
import { provideTemporalBinary } from '../src/embedded/temporal-binary.ts';
import { type Engine, startEngine } from '../test/fixtures/engine.ts';
import { ENGINE_PATHS, HALTED_PATHS } from '../test/fixtures/engine-paths.ts';
import { type Governors, startGovernors } from '../test/fixtures/governors.ts';
import { driveGovernor, GOVERNOR_PATH } from './record-governor.ts';

const VISIBLE_AFTER_MS = 1_500;
const RUNS_KEPT = 4;
const WORKFLOWS_KEPT = 4;
const folder = fileURLToPath(new URL('../test/histories/', import.meta.url));

const { temporal, cacheDir } = readConfig(process.env);
const searchPath = process.env['PATH'] ?? '';
const temporalCli = await provideTemporalBinary({
  cliPath: temporal.cliPath,
  searchPath,
  cacheDir,
  tell,
});
process.env['TEMPORAL_CLI_PATH'] = temporalCli;
const engine = await startEngine();
try {
  const wanted = process.argv.slice(2);
  for (const [name, path] of Object.entries({ ...ENGINE_PATHS, ...HALTED_PATHS })) {
    if (wanted.length > 0 && !wanted.includes(name)) continue;
    const handle = await path.drive(engine);
    const count = await record(engine, handle, await emptyFolder(name));
    tell(`${name}: ${count} histories`);
  }
  if (wanted.length === 0 || wanted.includes(GOVERNOR_PATH)) await recordGovernor(await startGovernors(engine.env));
} finally {
  await engine.stop();
}

async function emptyFolder(name: string): Promise<string> {
  const target = join(folder, name);
  await rm(target, { recursive: true, force: true });
  await mkdir(target, { recursive: true });
  return target;
}

/** Its first run, which continued as new, and its last one. */
async function recordGovernor(governors: Governors): Promise<void> {
  try {
    await driveGovernor(governors, 'recorded');
    const { workflowId, runId, raw } = await governors.handle('recorded').describe();
    const target = await emptyFolder(GOVERNOR_PATH);
    const runs = [raw.workflowExecutionInfo?.firstRunId ?? runId, runId];
    for (const [i, run] of runs.entries()) {
      const history = await show(engine.env.address, workflowId, run);
      await writeFile(join(target, `governor-0${i}.json`), textOf(workflowId, history));
    }
    tell(`${GOVERNOR_PATH}: ${runs.length} histories`);
  } finally {
    await governors.stop();
  }
}

/** Every run of the operation, and of a few of its chunks: continued runs replay on their own. */
async function record({ env }: Engine, handle: WorkflowHandle, target: string): Promise<number> {
  let files = 0;
  // Visibility follows a moment later.
  await sleep(VISIBLE_AFTER_MS);
  const query = `WorkflowId = "${handle.workflowId}" OR WorkflowId STARTS_WITH "${handle.workflowId}/"`;
  const perWorkflow = new Map<string, number>();
  for await (const { workflowId, runId } of env.client.workflow.list({ query })) {
    const runs = perWorkflow.get(workflowId) ?? 0;
    if (runs >= RUNS_KEPT || (runs === 0 && workflowId !== handle.workflowId && perWorkflow.size >= WORKFLOWS_KEPT))
      continue;
    perWorkflow.set(workflowId, runs + 1);
    const history = await show(env.address, workflowId, runId);
    const kind = workflowId === handle.workflowId ? 'operation' : 'chunk';
    const file = join(target, `${kind}-${String(files).padStart(2, '0')}.json`);
    await writeFile(file, textOf(workflowId, history));
    files++;
  }
  return files;
}

/** The CLI's JSON is the interchange form: what the Web UI downloads too. */
async function show(address: string, workflowId: string, runId: string): Promise<unknown> {
  const args = ['workflow', 'show', '--address', address, '-w', workflowId, '-r', runId, '--output', 'json'];
  const { stdout } = await promisify(execFile)(temporalCli, args, { maxBuffer: 64 * 1024 * 1024 });
  return JSON.parse(stdout);
}

function tell(line: string): void {
  process.stderr.write(`histories: ${line}\n`);
}

/** Stack traces name files from here on: where the checkout stands is nobody's business. */
function textOf(workflowId: string, history: unknown): string {
  const root = fileURLToPath(new URL('../', import.meta.url));
  const text = JSON.stringify({ workflowId, history });
  return `${text.replaceAll(`file://${root}`, '').replaceAll(root, '')}\n`;
}
