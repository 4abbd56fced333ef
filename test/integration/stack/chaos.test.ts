/** A short sitting of the fault campaign in CI, by a fixed seed and by one that is drawn; and that it leaves nothing behind. */
import { type ChildProcess, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { chmod, mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { NO_POSTGRES, postgresIsWithinReach } from '../../fixtures/postgres.ts';
import { eventually } from '../../fixtures/stack/eventually.ts';
import { NO_VERSITYGW, versitygwIsWithinReach } from '../storage/versitygw.ts';

const MINUTE_MS = 60_000;
const FAULT_SECONDS = 45;
/** On S3, with kills of every kind in its first 45 s. */
const FIXED_SEED = 11;
const MARK = 'TRANCHE_CHAOS_TEST';
const root = fileURLToPath(new URL('../../../', import.meta.url));
const canRun = process.platform === 'linux' && (await postgresIsWithinReach()) && (await versitygwIsWithinReach());
if (!canRun) process.stderr.write(`chaos: skipped, Linux alone; or ${NO_POSTGRES}; or ${NO_VERSITYGW}\n`);

let folder: string;
let mark: string;
let campaign: ChildProcess;
let output: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tranche-chaos-test-'));
  // As the campaign does with its own: PostgreSQL runs as another user.
  await chmod(folder, 0o711);
  mark = randomUUID();
  output = '';
});
afterEach(async () => {
  campaign.kill('SIGKILL');
  await eventually('that nothing is left', () => leftovers().length === 0, { withinMs: 30_000 });
  await rm(folder, { recursive: true, force: true });
});

function start(...args: string[]): void {
  const main = join(root, 'test', 'chaos', 'main.ts');
  campaign = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', main, '--proof', '0', ...args], {
    cwd: root,
    env: { ...process.env, UV_THREADPOOL_SIZE: '16', TMPDIR: folder, [MARK]: mark },
    stdio: ['ignore', 'pipe', 2, 'ipc'],
  });
  campaign.stdout?.on('data', (bytes: Buffer) => {
    output += bytes.toString();
    process.stderr.write(bytes);
  });
}

/** Whatever the campaign started, and whatever that started. */
function leftovers(): readonly string[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .filter((pid) => environmentOf(pid).includes(`${MARK}=${mark}`));
}

function environmentOf(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/environ`, 'latin1');
  } catch {
    return '';
  }
}

describe.skipIf(!canRun)('a short sitting of chaos', () => {
  it.each([
    ['the fixed seed', FIXED_SEED],
    ['a seed that is drawn', 0],
  ])('breaks no promise by %s, and leaves nothing behind', { timeout: 8 * MINUTE_MS }, async (_, seed) => {
    start('--minutes', '0', '--seconds', `${FAULT_SECONDS}`, '--seed', `${seed}`);
    const code = await new Promise((resolve) => campaign.once('exit', resolve));
    expect(output).toContain('chaos: no violation');
    expect(code).toBe(0);
    expect(leftovers()).toEqual([]);
    expect(await readdir(folder)).toEqual([]);
  });

  it('leaves nothing behind where it is killed itself', { timeout: 3 * MINUTE_MS }, async () => {
    start('--minutes', '1', '--seed', '5');
    await eventually('the first fault', () => /for \d+ ms:/.test(output), { withinMs: 2 * MINUTE_MS });
    expect(leftovers().length).toBeGreaterThan(8);
    campaign.kill('SIGKILL');
    await eventually('the end of all of it', () => leftovers().length === 0);
    await eventually('an empty folder', async () => (await readdir(folder)).length === 0);
  });
});
