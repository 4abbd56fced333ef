/** A lock file that names its owner process: one stack per data folder, one build of the Temporal binary at a time. */
import { execFileSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { link, mkdir, open, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';

export interface ProcessLock {
  release(): Promise<void>;
}

export interface LockOwner {
  readonly pid: number;
  /** When the process began, in the system's own terms: tells it from a later one with the same id. */
  readonly identity: string;
}

/** Others that take a dead owner's lock over are waited for, a moment each time. */
const ATTEMPTS_MAX = 300;

/** The lock, or who holds it. A lock whose owner is dead is taken over. */
export async function tryProcessLock(path: string): Promise<ProcessLock | LockOwner> {
  await mkdir(dirname(path), { recursive: true });
  for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt += 1) {
    if (await createLock(path)) return { release: () => rm(path, { force: true }) };
    const owner = await readOwner(path);
    if (owner !== null && isAlive(owner)) return owner;
    await removeStale(path);
  }
  throw new Error(`cannot take the lock ${path}: delete it where no other Tranche runs`);
}

export function isLock(taken: ProcessLock | LockOwner): taken is ProcessLock {
  return 'release' in taken;
}

/** False for a dead process and for another one that got its id. */
export function isAlive({ pid, identity }: LockOwner): boolean {
  const now = identityOf(pid);
  return now !== null && (identity === '' || now === '' || now === identity);
}

/** null: no such process; empty: it exists, but the system does not tell since when. */
export function identityOf(pid: number): string | null {
  try {
    process.kill(pid, 0);
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'EPERM')) return null;
  }
  return startOnLinux(pid) ?? startByPs(pid) ?? '';
}

/** By link, so that a lock names its owner from its first moment on. */
async function createLock(path: string): Promise<boolean> {
  const draft = `${path}.${process.pid}.${randomUUID()}`;
  await writeFile(draft, JSON.stringify({ pid: process.pid, identity: identityOf(process.pid) ?? '' }));
  try {
    await link(draft, path);
    return true;
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'EEXIST') return false;
    throw error;
  } finally {
    await rm(draft, { force: true });
  }
}

/** null where the owner has just let go, or the file names nobody. */
async function readOwner(path: string): Promise<LockOwner | null> {
  return parseOwner(await readFile(path, 'utf8').catch(() => ''));
}

export function parseOwner(text: string): LockOwner | null {
  try {
    const { pid, identity } = JSON.parse(text);
    return Number.isInteger(pid) && pid > 0 && typeof identity === 'string' ? { pid, identity } : null;
  } catch {
    return null;
  }
}

/** A takeover that takes longer than this died on the way. */
const TAKEOVER_MAX_MS = 5_000;
const TAKEOVER_WAIT_MS = 20;

/** One process at a time looks again and removes: nobody deletes the new lock of who was quicker. */
async function removeStale(path: string): Promise<void> {
  const takeover = `${path}.takeover`;
  try {
    await (await open(takeover, 'wx')).close();
  } catch {
    const since = await stat(takeover).catch(() => null);
    if (since !== null && Date.now() - since.mtimeMs > TAKEOVER_MAX_MS) await rm(takeover, { force: true });
    await new Promise((wake) => setTimeout(wake, TAKEOVER_WAIT_MS));
    return;
  }
  try {
    const owner = await readOwner(path);
    if (owner === null || !isAlive(owner)) await rm(path, { force: true });
  } finally {
    await rm(takeover, { force: true });
  }
}

/** Boot and start tick, e.g. `6f…:1234567`: unique over pid reuse and reboots. */
function startOnLinux(pid: number): string | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const startTick = stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19];
    return `${readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()}:${startTick}`;
  } catch {
    return null;
  }
}

function startByPs(pid: number): string | null {
  try {
    return execFileSync('ps', ['-o', 'lstart=', '-p', String(pid)], { encoding: 'utf8', timeout: 5_000 }).trim();
  } catch {
    return null;
  }
}
