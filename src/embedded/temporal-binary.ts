/** Finds the `temporal` binary, or gets it: path, PATH, cache, the SDK's download, a build with Go. */
import { execFile, spawn } from 'node:child_process';
import { access, constants, copyFile, mkdir, mkdtemp, readdir, rename, rm, stat } from 'node:fs/promises';
import { delimiter, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { environment } from '../config.ts';
import { isLock, tryProcessLock } from './process-lock.ts';

export const TEMPORAL_CLI_VERSION = '1.5.1';
/** Older servers lack fairness between accounts. */
const SERVER_VERSION_MIN = [1, 29] as const;
const GO_PACKAGE = `github.com/temporalio/cli/cmd/temporal@v${TEMPORAL_CLI_VERSION}`;

const PROGRESS_EVERY_MS = 15_000;
const BUILD_MAX_MS = 20 * 60_000;
/** A download must show first bytes within this time: machines without internet fall through fast. */
const DOWNLOAD_STALL_MAX_MS = 10_000;
const DOWNLOAD_MAX_MS = 10 * 60_000;

export interface BinaryDeps {
  /** `TEMPORAL_CLI_PATH`; empty = not set. */
  readonly cliPath: string;
  /** The PATH to look on. */
  readonly searchPath: string;
  readonly cacheDir: string;
  /** Progress for the person who waits. */
  readonly tell: (line: string) => void;
  /** Ways to get a binary into an empty folder; default: download, then build. */
  readonly ways?: readonly ProvisionWay[];
}

export interface ProvisionWay {
  readonly name: string;
  /** Puts a binary into `folder` and returns its path; throws with the reason where it cannot. */
  readonly provide: (folder: string, tell: (line: string) => void) => Promise<string>;
}

/** Absolute path of a binary that runs. Throws an Error that names each way tried and why it failed. */
export async function provideTemporalBinary(deps: BinaryDeps): Promise<string> {
  const tried: string[] = [];
  if (deps.cliPath !== '') {
    const path = resolve(deps.cliPath);
    const fault = await faultOf(path, { checkVersion: false });
    if (fault === null) return path;
    throw new Error(`TEMPORAL_CLI_PATH=${deps.cliPath} ${fault}: correct it, or unset it to look elsewhere`);
  }
  const found = (await findOnPath(deps.searchPath, tried)) ?? (await findCached(deps.cacheDir, tried));
  return found ?? provision(deps, tried);
}

/** Where the cached binary stands. */
export function cachedBinary(cacheDir: string): string {
  return join(cacheDir, `temporal-${TEMPORAL_CLI_VERSION}${process.platform === 'win32' ? '.exe' : ''}`);
}

async function findOnPath(searchPath: string, tried: string[]): Promise<string | null> {
  const name = process.platform === 'win32' ? 'temporal.exe' : 'temporal';
  for (const folder of searchPath.split(delimiter).filter((part) => part !== '')) {
    const path = resolve(folder, name);
    if (!(await isExecutable(path))) continue;
    const fault = await faultOf(path, { checkVersion: true });
    if (fault === null) return path;
    tried.push(`temporal on PATH: ${path} ${fault}`);
  }
  if (tried.length === 0) tried.push('temporal on PATH: there is none');
  return null;
}

async function findCached(cacheDir: string, tried: string[]): Promise<string | null> {
  const path = cachedBinary(cacheDir);
  const fault = await faultOf(path, { checkVersion: true });
  if (fault !== null) tried.push(`cache: ${path} ${fault}`);
  return fault === null ? path : null;
}

/** One process provides, the others wait for it; what it made appears in the cache by one rename. */
async function provision(deps: BinaryDeps, tried: string[]): Promise<string> {
  await mkdir(deps.cacheDir, { recursive: true });
  const deadline = Date.now() + BUILD_MAX_MS;
  let told = false;
  for (;;) {
    const lock = await tryProcessLock(join(deps.cacheDir, `temporal-${TEMPORAL_CLI_VERSION}.lock`));
    if (isLock(lock)) {
      try {
        return (await findCached(deps.cacheDir, [])) ?? (await provideIntoCache(deps, tried));
      } finally {
        await lock.release();
      }
    }
    if (Date.now() > deadline) throw new Error(`process ${lock.pid} has been getting the temporal binary for too long`);
    if (!told) deps.tell(`waiting for process ${lock.pid}, which is getting the temporal binary`);
    told = true;
    await new Promise((wake) => setTimeout(wake, 250));
  }
}

async function provideIntoCache(deps: BinaryDeps, tried: string[]): Promise<string> {
  for (const way of deps.ways ?? [downloadWay, buildWay]) {
    const folder = await mkdtemp(join(deps.cacheDir, 'getting-'));
    try {
      deps.tell(`getting the temporal binary: ${way.name}`);
      const made = await way.provide(folder, deps.tell);
      const fault = await faultOf(made, { checkVersion: true });
      if (fault !== null) throw new Error(`${made} ${fault}`);
      await rename(made, cachedBinary(deps.cacheDir));
      return cachedBinary(deps.cacheDir);
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      tried.push(`${way.name}: ${reason}`);
      deps.tell(`${way.name} did not work: ${reason}`);
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  }
  throw new Error(
    `No temporal binary (${TEMPORAL_CLI_VERSION}) could be found or made:\n- ${tried.join('\n- ')}\n` +
      'Install the Temporal CLI or Go, or set TEMPORAL_CLI_PATH (or TEMPORAL_ADDRESS, to use a cluster).',
  );
}

/** The SDK downloads only while it starts a server; a process of its own does that, so that it can be given up. */
const downloadWay: ProvisionWay = {
  name: 'the Temporal SDK’s download',
  async provide(folder, tell) {
    const script = fileURLToPath(new URL('./download-temporal.ts', import.meta.url));
    const args = ['--disable-warning=ExperimentalWarning', script, folder, `v${TEMPORAL_CLI_VERSION}`];
    let bytes = 0;
    let grownAt = Date.now();
    await runToEnd(process.execPath, args, {}, DOWNLOAD_MAX_MS, async () => {
      const now = await folderBytes(folder);
      if (now > bytes) {
        bytes = now;
        grownAt = Date.now();
        tell(`downloaded ${Math.round(bytes / 1e6)} MB`);
      }
      return Date.now() - grownAt > DOWNLOAD_STALL_MAX_MS ? 'no bytes came for 10 s' : null;
    });
    const [name] = (await readdir(folder)).filter((entry) => !entry.endsWith('.downloading'));
    if (name === undefined) throw new Error('it left no file');
    // The downloaded file may still be open for execution: rename wants a copy of our own.
    await copyFile(join(folder, name), join(folder, 'ready'));
    return join(folder, 'ready');
  },
};

const buildWay: ProvisionWay = {
  name: `go install ${GO_PACKAGE}`,
  async provide(folder, tell) {
    const startedAt = Date.now();
    let toldAt = startedAt;
    tell('building with Go takes about 4 minutes, once');
    await runToEnd('go', ['install', GO_PACKAGE], { GOBIN: folder }, BUILD_MAX_MS, async () => {
      if (Date.now() - toldAt >= PROGRESS_EVERY_MS) {
        toldAt = Date.now();
        tell(`still building (${Math.round((toldAt - startedAt) / 1_000)} s)`);
      }
      return null;
    });
    return join(folder, process.platform === 'win32' ? 'temporal.exe' : 'temporal');
  },
};

/** Resolves at exit code 0; otherwise throws with the last lines it wrote. `watch` says once a second why to give up. */
async function runToEnd(
  file: string,
  args: readonly string[],
  env: Readonly<Record<string, string>>,
  maxMs: number,
  watch: () => Promise<string | null>,
): Promise<void> {
  const child = spawn(file, args, {
    env: { ...environment(), ...env },
    stdio: ['ignore', 'ignore', 'pipe'],
    timeout: maxMs,
    killSignal: 'SIGKILL',
  });
  let tail = '';
  let givenUp: string | null = null;
  child.stderr.on('data', (bytes: Buffer) => {
    tail = (tail + bytes.toString()).slice(-600);
  });
  const timer = setInterval(async () => {
    givenUp ??= await watch();
    if (givenUp !== null) child.kill('SIGKILL');
  }, 1_000);
  const endWithUs = (): boolean => child.kill('SIGKILL');
  process.once('exit', endWithUs);
  try {
    await new Promise<void>((resolve, reject) => {
      child.once('error', reject);
      child.once('close', (code) =>
        code === 0 ? resolve() : reject(new Error(givenUp ?? (tail.trim() || `exit code ${code}`))),
      );
    });
  } finally {
    clearInterval(timer);
    process.off('exit', endWithUs);
  }
}

/** null where it runs and is recent enough; else what is wrong with it. */
async function faultOf(path: string, { checkVersion }: { readonly checkVersion: boolean }): Promise<string | null> {
  if (!(await isExecutable(path))) return 'is no executable file';
  const { stdout } = await promisify(execFile)(path, ['--version'], { timeout: 20_000 }).catch((error: Error) => ({
    stdout: `failed: ${error.message.split('\n')[0]}`,
  }));
  // `temporal version 1.5.1 (Server 1.29.1, UI 2.42.1)`: the server's is what counts, a build by Go has no other.
  const server = /^temporal version .*\(Server (\d+)\.(\d+)/.exec(stdout);
  if (server === null) return `is not the Temporal CLI (--version says: ${stdout.trim().slice(0, 200)})`;
  const [major, minor] = [Number(server[1]), Number(server[2])];
  const recent = major > SERVER_VERSION_MIN[0] || (major === SERVER_VERSION_MIN[0] && minor >= SERVER_VERSION_MIN[1]);
  return recent || !checkVersion
    ? null
    : `has server ${major}.${minor}; ${SERVER_VERSION_MIN.join('.')} or later is needed`;
}

async function isExecutable(path: string): Promise<boolean> {
  try {
    await access(path, constants.X_OK);
    return (await stat(path)).isFile();
  } catch {
    return false;
  }
}

async function folderBytes(folder: string): Promise<number> {
  const names = await readdir(folder).catch(() => []);
  const sizes = await Promise.all(
    names.map((name) =>
      stat(join(folder, name)).then(
        (it) => it.size,
        () => 0,
      ),
    ),
  );
  return sizes.reduce((sum, size) => sum + size, 0);
}
