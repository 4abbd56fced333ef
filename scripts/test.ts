/** `npm test`: provisions Temporal, verifies, runs the tests; its last line is `N passed, N failed`, whatever happens. */
import { type ChildProcess, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { readConfig } from '../src/config.ts';
import { provideTemporalBinary } from '../src/embedded/temporal-binary.ts';
import { verify } from './verify.ts';

interface Counts {
  passed: number;
  failed: number;
}

const root = fileURLToPath(new URL('../', import.meta.url));
/** Below the 90 minutes that a check may take, so that the last line is always written. */
const RUN_MAX_MS = 85 * 60_000;
const STOP_MAX_MS = 10_000;
/** Inherited by every process that a test starts: what still carries it in the end has leaked. */
const runId = randomUUID();

const args = process.argv.slice(2);
const counts: Counts = { passed: 0, failed: 0 };
let running: ChildProcess | null = null;
let stopped = false;

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => stop(signal));
process.once('disconnect', () => stop('the death of the parent process'));
const limit = setTimeout(() => stop(`the limit of ${RUN_MAX_MS / 60_000} minutes`), RUN_MAX_MS);

try {
  if (!(await verify())) fault('verify failed');
  const env = wantsIntegration() ? await provision() : {};
  if (!stopped) await runVitest(env);
  for (const pid of leakedProcesses()) {
    fault(`a test leaked process ${pid}: ${commandOf(pid)}`);
    process.kill(pid, 'SIGKILL');
  }
} catch (error) {
  fault(error instanceof Error ? (error.stack ?? error.message) : String(error));
} finally {
  clearTimeout(limit);
}
process.stdout.write(`${counts.passed} passed, ${counts.failed} failed\n`);
process.exit(counts.failed === 0 ? 0 : 1);

function fault(message: string): void {
  counts.failed += 1;
  process.stderr.write(`test: ${message}\n`);
}

function wantsIntegration(): boolean {
  const unitOnly = args.some((arg, at) => arg === '--project=unit' || (arg === '--project' && args[at + 1] === 'unit'));
  return !unitOnly;
}

/** Where there is no binary, the tests that need none still run. */
async function provision(): Promise<Record<string, string>> {
  const { temporal, cacheDir } = readConfig(process.env);
  const tell = (line: string): void => void process.stderr.write(`test: ${line}\n`);
  try {
    const searchPath = process.env['PATH'] ?? '';
    return {
      TEMPORAL_CLI_PATH: await provideTemporalBinary({ cliPath: temporal.cliPath, searchPath, cacheDir, tell }),
    };
  } catch (error) {
    fault(`integration tests are left out: ${error instanceof Error ? error.message : String(error)}`);
    args.push('--project', 'unit');
    return {};
  }
}

async function runVitest(env: Record<string, string>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'tranche-test-'));
  const report = join(folder, 'report.json');
  const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${report}`];
  const code = await runNode(['node_modules/vitest/vitest.mjs', 'run', ...reporters, ...args], env);
  const failedBefore = counts.failed;
  await addReport(report);
  await rm(folder, { recursive: true, force: true });
  // A crash, an unhandled error, a file that does not load: none is a failed test, and all are failures.
  if (code !== 0 && counts.failed === failedBefore) fault(`vitest ended with ${code}`);
}

function runNode(nodeArgs: readonly string[], env: Record<string, string>): Promise<number | string> {
  return new Promise((resolve) => {
    const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', ...nodeArgs], {
      cwd: root,
      env: { ...process.env, ...env, TRANCHE_TEST_RUN: runId },
      stdio: ['ignore', 'inherit', 'inherit'],
    });
    running = child;
    child.once('error', (error) => resolve(error.message));
    child.once('exit', (code, signal) => resolve(code ?? signal ?? 'no exit code'));
  });
}

interface Report {
  readonly numPassedTests: number;
  readonly numFailedTests: number;
  readonly testResults: readonly {
    readonly status: string;
    readonly assertionResults: readonly { readonly status: string }[];
  }[];
}

async function addReport(path: string): Promise<void> {
  const text = await readFile(path, 'utf8').catch(() => null);
  if (text === null) return fault('vitest left no report');
  const report: Report = JSON.parse(text);
  counts.passed += report.numPassedTests;
  counts.failed += report.numFailedTests;
  const brokenFiles = report.testResults.filter(
    (file) => file.status === 'failed' && !file.assertionResults.some((test) => test.status === 'failed'),
  );
  counts.failed += brokenFiles.length;
}

function stop(cause: string): void {
  if (stopped) return;
  stopped = true;
  fault(`stopped by ${cause}`);
  running?.kill('SIGTERM');
  setTimeout(() => running?.kill('SIGKILL'), STOP_MAX_MS).unref();
}

/** Only where the system shows other processes' environment (Linux); else none is found. */
function leakedProcesses(): number[] {
  try {
    const pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid);
    return pids.filter((pid) => readProc(pid, 'environ').includes(`TRANCHE_TEST_RUN=${runId}`)).map(Number);
  } catch {
    return [];
  }
}

function commandOf(pid: number): string {
  return readProc(String(pid), 'cmdline').replaceAll('\0', ' ').slice(0, 300);
}

function readProc(pid: string, file: string): string {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'latin1');
  } catch {
    return '';
  }
}
