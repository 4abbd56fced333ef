/** A lock file that names its owner process: one stack per data folder, one build of the Temporal binary at a time. */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { mkdir, open, readFile, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';

export interface ProcessLock {
  release(): Promise<void>;
}

export interface LockOwner {
  readonly pid: number;
  /** When the process began, in the system's own terms: tells it from a later one with the same id. */
  readonly identity: string;
}

/** The lock, or who holds it. A lock whose owner is dead is taken over. */
export async function tryProcessLock(path: string): Promise<ProcessLock | LockOwner> {
  await mkdir(dirname(path), { recursive: true });
  for (let attempt = 0; attempt < 5; attempt += 1) {
    if (await createLock(path)) return { release: () => rm(path, { force: true }) };
    const owner = await readOwner(path);
    if (owner !== null && isAlive(owner)) return owner;
    await removeStale(path, owner);
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

async function createLock(path: string): Promise<boolean> {
  try {
    const file = await open(path, 'wx');
    await file.writeFile(JSON.stringify({ pid: process.pid, identity: identityOf(process.pid) ?? '' }));
    await file.close();
    return true;
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'EEXIST') return false;
    throw error;
  }
}

/** null where the owner died while it wrote, or has just let go. */
async function readOwner(path: string): Promise<LockOwner | null> {
  // Between its creation and its first bytes a lock is empty: that owner gets a moment.
  for (let attempt = 0; attempt < 10; attempt += 1) {
    const text = await readFile(path, 'utf8').catch(() => '');
    const owner = parseOwner(text);
    if (owner !== null) return owner;
    await new Promise((wake) => setTimeout(wake, 20));
  }
  return null;
}

export function parseOwner(text: string): LockOwner | null {
  try {
    const { pid, identity } = JSON.parse(text);
    return Number.isInteger(pid) && pid > 0 && typeof identity === 'string' ? { pid, identity } : null;
  } catch {
    return null;
  }
}

/** By rename, so that two processes that both saw a dead owner do not delete each other's new lock. */
async function removeStale(path: string, seen: LockOwner | null): Promise<void> {
  const aside = `${path}.${process.pid}.stale`;
  const moved = await rename(path, aside).then(
    () => true,
    () => false,
  );
  if (!moved) return;
  const owner = parseOwner(await readFile(aside, 'utf8').catch(() => ''));
  if (owner !== null && owner.pid !== seen?.pid && isAlive(owner)) await rename(aside, path);
  else await rm(aside, { force: true });
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
