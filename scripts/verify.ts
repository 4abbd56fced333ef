/** Type check, lint and format in seconds, without services; `--write` formats and fixes what is safe. */
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../', import.meta.url));
const MAX_MS = 5 * 60_000;

interface Check {
  readonly name: string;
  readonly args: readonly string[];
}

/** Both at once; true where both are content. Their output goes to stderr, whole, one after the other. */
export async function verify(options: { readonly write?: boolean } = {}): Promise<boolean> {
  const checks: readonly Check[] = [
    { name: 'tsc', args: ['node_modules/typescript/bin/tsc', '-p', '.'] },
    { name: 'biome', args: ['node_modules/@biomejs/biome/bin/biome', 'check', ...(options.write ? ['--write'] : [])] },
  ];
  const results = await Promise.all(checks.map(runCheck));
  for (const { name, ok, output } of results) {
    process.stderr.write(`verify: ${name} ${ok ? 'ok' : 'FAILED'}\n${ok ? '' : output}`);
  }
  return results.every((result) => result.ok);
}

function runCheck({ name, args }: Check): Promise<{ name: string; ok: boolean; output: string }> {
  return new Promise((resolve) => {
    const child = spawn(process.execPath, args, { cwd: root, timeout: MAX_MS, stdio: ['ignore', 'pipe', 'pipe'] });
    const output: Buffer[] = [];
    child.stdout.on('data', (bytes: Buffer) => output.push(bytes));
    child.stderr.on('data', (bytes: Buffer) => output.push(bytes));
    child.once('error', (error) => resolve({ name, ok: false, output: `${error.message}\n` }));
    child.once('close', (code) => resolve({ name, ok: code === 0, output: Buffer.concat(output).toString() }));
  });
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const ok = await verify({ write: process.argv.includes('--write') });
  process.exitCode = ok ? 0 : 1;
}
