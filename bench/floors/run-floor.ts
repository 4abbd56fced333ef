/** Runs a floor (the same work without Tranche) in a process of its own and takes its one line of JSON. */
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const FLOOR_MAX_MS = 10 * 60_000;

/** `name`: a file in this folder. It gets `input` as its only argument and prints its figures as one object. */
export function runFloor(
  name: 'plain-loop' | 'undici-loop' | 'contacts-loop',
  input: object,
  signal: AbortSignal,
): Promise<Readonly<Record<string, number>>> {
  const file = fileURLToPath(new URL(`./${name}.ts`, import.meta.url));
  const args = ['--disable-warning=ExperimentalWarning', file, JSON.stringify(input)];
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 2], timeout: FLOOR_MAX_MS, signal });
  return new Promise((resolve, reject) => {
    let output = '';
    child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      output += text;
    });
    child.once('error', reject);
    child.once('close', (code) => {
      if (code === 0) resolve(JSON.parse(output) as Record<string, number>);
      else reject(new Error(`the floor ${name} ended with code ${code}`));
    });
  });
}
