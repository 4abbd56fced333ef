/** Boots the embedded stack on a folder of its own, knows its processes, and leaves nothing behind. */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { environment } from '../src/config.ts';
import { findFreePort } from '../src/embedded/ports.ts';
import { findParts, type PartName } from './processes.ts';

export interface Stack {
  /** Of the API. */
  readonly url: string;
  readonly vendorUrl: string;
  readonly temporalAddress: string;
  readonly dataDir: string;
  /** What the stack's processes were started with. */
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Asked anew each time: a part that died has another pid, which a measurement must notice. */
  pids(): Promise<Readonly<Record<PartName, number>>>;
  /** Bytes of Temporal's SQLite file and its write-ahead log. */
  databaseBytes(): Promise<number>;
  stop(): Promise<void>;
}

export interface StackOptions {
  readonly env: Readonly<Record<string, string>>;
  readonly signal: AbortSignal;
  readonly tell: (line: string) => void;
}

const HOST = '127.0.0.1';
/** Includes a build of the Temporal binary where none is cached. */
const READY_MAX_MS = 20 * 60_000;
const STOP_MAX_MS = 45_000;

/** As `npm start` does, with a data folder in the system's temporary folder, free ports and no Web UI. */
export async function bootStack({ env, signal, tell }: StackOptions): Promise<Stack> {
  signal.throwIfAborted();
  const dataDir = await mkdtemp(join(tmpdir(), 'tranche-bench-'));
  const vendorPort = await findFreePort(HOST);
  const stackEnv = { ...environment(), ...isolation(dataDir, await findFreePort(HOST), vendorPort), ...env };
  const child = startSupervisor(stackEnv);
  const stop = createStop(child, dataDir);
  try {
    const url = await untilReady(child, signal);
    const temporalPort = (await readFile(join(dataDir, 'temporal-port'), 'utf8')).trim();
    tell(`stack serves on ${url}, data in ${dataDir}`);
    return {
      url,
      vendorUrl: `http://${HOST}:${vendorPort}`,
      temporalAddress: `${HOST}:${temporalPort}`,
      dataDir,
      env: stackEnv,
      pids: () => findParts(child.pid ?? 0),
      databaseBytes: () => bytesOf(dataDir, 'temporal.db'),
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** Nothing of the caller's environment may point the stack elsewhere. */
function isolation(dataDir: string, port: number, vendorPort: number): Readonly<Record<string, string>> {
  return {
    DATA_DIR: dataDir,
    HOST,
    PORT: String(port),
    MOCK_VENDOR: 'on',
    MOCK_VENDOR_PORT: String(vendorPort),
    PRODUCTS_VENDOR_URL: '',
    TEMPORAL_ADDRESS: '',
    TEMPORAL_NAMESPACE: '',
    TEMPORAL_UI_PORT: '0',
    BLOB_URL: '',
    LOG_LEVEL: environment()['LOG_LEVEL'] ?? 'warn',
  };
}

/** Not through run.mjs, which has already chosen this Node: over the channel the stack notices when we are killed. */
function startSupervisor(env: Readonly<Record<string, string | undefined>>): ChildProcess {
  const main = fileURLToPath(new URL('../src/main.ts', import.meta.url));
  const args = ['--disable-warning=ExperimentalWarning', main, 'all'];
  return spawn(process.execPath, args, { env, stdio: ['ignore', 'pipe', 2, 'ipc'] });
}

function untilReady(child: ChildProcess, signal: AbortSignal): Promise<string> {
  const deadline = AbortSignal.timeout(READY_MAX_MS);
  const ended = AbortSignal.any([signal, deadline]);
  return new Promise((resolve, reject) => {
    if (child.stdout === null) return reject(new Error('the stack has no stdout'));
    const abort = () => reject(ended.reason);
    ended.addEventListener('abort', abort, { once: true });
    child.once('error', reject);
    child.once('exit', (code) => reject(new Error(`the stack ended with code ${code} before it was ready`)));
    createInterface({ input: child.stdout }).on('line', (line) => {
      const url = /^ready on (http:\S+)$/.exec(line)?.[1];
      if (url === undefined) return;
      ended.removeEventListener('abort', abort);
      resolve(url);
    });
  });
}

/** SIGTERM, a grace, SIGKILL (the parts then notice that their supervisor is gone); the folder goes in any case. */
function createStop(child: ChildProcess, dataDir: string): () => Promise<void> {
  let stopped: Promise<void> | null = null;
  async function stop(): Promise<void> {
    if (child.exitCode === null && child.signalCode === null && child.pid !== undefined) {
      const gone = new Promise<void>((resolve) => child.once('exit', () => resolve()));
      child.kill('SIGTERM');
      const timer = setTimeout(() => child.kill('SIGKILL'), STOP_MAX_MS);
      await gone;
      clearTimeout(timer);
    }
    await rm(dataDir, { recursive: true, force: true, maxRetries: 20, retryDelay: 250 });
  }
  return () => {
    stopped ??= stop();
    return stopped;
  };
}

async function bytesOf(folder: string, prefix: string): Promise<number> {
  const names = (await readdir(folder)).filter((name) => name.startsWith(prefix));
  const sizes = await Promise.all(names.map((name) => stat(join(folder, name)).then(({ size }) => size)));
  return sizes.reduce((sum, size) => sum + size, 0);
}
