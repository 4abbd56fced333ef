/** Type check, lint, format and dependencies in seconds, without services; `--write` formats and fixes what is safe. */
import { spawn } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { auditDependencies, lintLockfile } from './dependencies.ts';

const root = fileURLToPath(new URL('../', import.meta.url));
const MAX_MS = 5 * 60_000;

interface Check {
  readonly name: string;
  readonly args: readonly string[];
}

interface Result {
  readonly ok: boolean;
  readonly says: string;
  readonly output: string;
}

/** All at once; true where all are content. Their output goes to stderr, whole, one after the other. */
export async function verify(options: { readonly write?: boolean } = {}): Promise<boolean> {
  const checks: readonly Check[] = [
    { name: 'tsc', args: ['node_modules/typescript/bin/tsc', '-p', '.'] },
    { name: 'biome', args: ['node_modules/@biomejs/biome/bin/biome', 'check', ...(options.write ? ['--write'] : [])] },
  ];
  const results = await Promise.all([...checks.map(runCheck), checkLockfile(), audit()]);
  for (const { says, output } of results) process.stderr.write(`verify: ${says}\n${output}`);
  return results.every((result) => result.ok);
}

function runCheck({ name, args }: Check): Promise<Result> {
  return new Promise((resolve) => {
    const child = spawn(process.execPath, args, { cwd: root, timeout: MAX_MS, stdio: ['ignore', 'pipe', 'pipe'] });
    const output: Buffer[] = [];
    child.stdout.on('data', (bytes: Buffer) => output.push(bytes));
    child.stderr.on('data', (bytes: Buffer) => output.push(bytes));
    child.once('error', (error) => resolve(resultOf(name, false, `${error.message}\n`)));
    child.once('close', (code) => resolve(resultOf(name, code === 0, Buffer.concat(output).toString())));
  });
}

function resultOf(name: string, ok: boolean, output: string): Result {
  return { ok, says: `${name} ${ok ? 'ok' : 'FAILED'}`, output: ok ? '' : output };
}

async function checkLockfile(): Promise<Result> {
  const read = async (name: string) => JSON.parse(await readFile(join(root, name), 'utf8'));
  const faults = lintLockfile(await read('package-lock.json'), await read('package.json'));
  return resultOf('lockfile', faults.length === 0, faults.map((fault) => `${fault}\n`).join(''));
}

async function audit(): Promise<Result> {
  return { ...(await auditDependencies(root)), output: '' };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const ok = await verify({ write: process.argv.includes('--write') });
  process.exitCode = ok ? 0 : 1;
}
