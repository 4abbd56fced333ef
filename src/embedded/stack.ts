/** The embedded stack (`npm start`): Temporal, database, mock vendor, API and worker as one supervised tree on one data folder. */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Config, Environment } from '../config.ts';
import type { Log } from '../model/log.ts';
import { provideCallbackSecret } from './callback-secret.ts';
import { launchOf } from './launch.ts';
import { createPart, type Part, type PartCommand } from './part.ts';
import { embeddedDatabaseUrl, findFreePort, isPortFree } from './ports.ts';
import { isLock, type ProcessLock, tryProcessLock } from './process-lock.ts';
import { provideTemporalBinary } from './temporal-binary.ts';
import { chooseTemporalPort, chooseUiPort, stopStaleServer, temporalServerCommand } from './temporal-server.ts';

export interface StackDeps {
  readonly config: Config;
  readonly env: Environment;
  readonly log: Log;
  /** For the person who waits at the first start. */
  readonly tell: (line: string) => void;
}

export interface Stack {
  /** Where the API is served. */
  readonly url: string;
  readonly parts: readonly Part[];
  /** Resolves once the API says that it is ready and a worker polls; rejects where the signal comes first. */
  ready(signal: AbortSignal): Promise<void>;
  /** In order: API, worker, vendor, database, Temporal. `force`: everything at once, by SIGKILL. */
  stop(options?: { readonly force?: boolean }): Promise<void>;
}

const LOCAL = '127.0.0.1';
const READY_POLL_MS = 50;
const READY_REMIND_MS = 15_000;
const PROBE_MAX_MS = 5_000;
/** On top of the grace that requests and slices get. */
const EXIT_MARGIN_MS = 3_000;
const TEMPORAL_GRACE_MS = 10_000;

/** What differs from the settings once ports are chosen. */
interface Ports {
  readonly api: number;
  readonly vendor: number;
  /** Null where the operator has a database. */
  readonly database: number | null;
  temporal: number | null;
}

/** Throws where the data folder is in use, a port is taken or no Temporal binary can be had; the message says what to do. */
export async function startStack(deps: StackDeps): Promise<Stack> {
  const { config } = deps;
  // Items of all accounts, and the secret of callbacks: nobody else's on a machine of many users.
  await mkdir(config.dataDir, { recursive: true, mode: 0o700 });
  const lock = await lockDataDir(config.dataDir);
  try {
    const ports: Ports = {
      api: await choosePort('PORT', config.server.host, config.server.port),
      vendor: await choosePort('MOCK_VENDOR_PORT', LOCAL, config.vendors.mockVendorPort),
      database: config.database.url === '' ? await choosePort('DATABASE_PORT', LOCAL, config.database.port) : null,
      temporal: null,
    };
    const callbacks = await callbackEnvironment(config, ports);
    const binary = config.embeddedTemporal ? await findBinary(deps) : null;
    if (binary !== null) ports.temporal = await temporalPort(deps);
    const parts = createParts({ ...deps, env: { ...deps.env, ...callbacks } }, ports, binary);
    for (const part of parts) part.start();
    return createStack(deps, ports, parts, lock);
  } catch (error) {
    await lock.release();
    throw error;
  }
}

async function lockDataDir(dataDir: string): Promise<ProcessLock> {
  const taken = await tryProcessLock(join(dataDir, 'tranche.lock'));
  if (isLock(taken)) return taken;
  throw new Error(`the data folder ${dataDir} is in use by process ${taken.pid}: end it, or set another DATA_DIR`);
}

async function choosePort(setting: string, host: string, wanted: number): Promise<number> {
  if (wanted === 0) return findFreePort(host);
  if (await isPortFree(host, wanted)) return wanted;
  throw new Error(`port ${wanted} on ${host} is taken: end what uses it, or set ${setting} (0 = any free port)`);
}

function findBinary({ config, env, tell }: StackDeps): Promise<string> {
  const { cliPath } = config.temporal;
  return provideTemporalBinary({ cliPath, searchPath: env['PATH'] ?? '', cacheDir: config.cacheDir, tell });
}

/** In the order in which they are started; they are stopped in the reverse order. */
function createParts(deps: StackDeps, ports: Ports, binary: string | null): readonly Part[] {
  const { config, log } = deps;
  const graceMs = config.server.shutdownGraceMs + EXIT_MARGIN_MS;
  const followers: Part[] = [];
  const temporal = binary === null ? [] : [temporalPart(deps, ports, binary, followers)];
  const own = (name: string): Part =>
    createPart({ name, graceMs, command: async () => ownCommand(name, childEnvironment(deps, ports)) }, log);
  followers.push(own('worker'), own('api'));
  const database = ports.database === null ? [] : [own('database')];
  return [...temporal, ...database, ...(config.vendors.mockVendor ? [own('mock-vendor')] : []), ...followers];
}

function temporalPart(deps: StackDeps, ports: Ports, binary: string, followers: readonly Part[]): Part {
  const { config, env, log } = deps;
  const command = async (): Promise<PartCommand> => {
    const port = await temporalPort(deps);
    const uiPort = await chooseUiPort(config.temporal.uiPort);
    if (uiPort !== null) log('info', 'Temporal Web UI', { url: `http://${LOCAL}:${uiPort}` });
    const moved = ports.temporal !== port;
    ports.temporal = port;
    // Somebody else took the port while the server was down: whoever connects to it must follow.
    if (moved) for (const part of followers) void part.restart();
    return temporalServerCommand({ binary, dataDir: config.dataDir, port, uiPort, env });
  };
  return createPart({ name: 'temporal', graceMs: TEMPORAL_GRACE_MS, command }, log);
}

async function temporalPort({ config, log }: StackDeps): Promise<number> {
  if (await stopStaleServer(config.dataDir)) log('warn', 'ended a Temporal server that a killed stack left behind');
  return chooseTemporalPort(config.dataDir);
}

function ownCommand(mode: string, env: Environment): PartCommand {
  const { file, args, env: beneath } = launchOf(mode);
  return { file, args: [...args, '--supervised'], env: { ...beneath, ...env } };
}

/** The settings as resolved here: a child never chooses by itself. */
function childEnvironment({ config, env }: StackDeps, ports: Ports): Environment {
  const embedded = config.embeddedTemporal
    ? { TEMPORAL_ADDRESS: `${LOCAL}:${ports.temporal}`, TEMPORAL_TLS: 'off', TEMPORAL_API_KEY: '' }
    : {};
  const database =
    ports.database === null
      ? {}
      : { DATABASE_URL: embeddedDatabaseUrl(ports.database), DATABASE_PORT: String(ports.database) };
  return {
    ...env,
    ...embedded,
    ...database,
    PORT: String(ports.api),
    DATA_DIR: config.dataDir,
    BLOB_URL: config.blobUrl,
    MOCK_VENDOR_PORT: String(ports.vendor),
  };
}

/** Vendors call the API back where nobody said otherwise. */
async function callbackEnvironment({ callbacks, callbackBaseUrl, dataDir, server }: Config, ports: Ports) {
  return {
    CALLBACK_SECRET: callbacks.secret || (await provideCallbackSecret(dataDir)),
    CALLBACK_BASE_URL: callbackBaseUrl || `http://${reachableHost(server.host)}:${ports.api}`,
  };
}

function createStack({ config, log }: StackDeps, ports: Ports, parts: readonly Part[], lock: ProcessLock): Stack {
  const url = `http://${reachableHost(config.server.host)}:${ports.api}`;
  return {
    url,
    parts,
    async ready(signal) {
      let remindAt = Date.now() + READY_REMIND_MS;
      while (!(await isServing(url, parts))) {
        signal.throwIfAborted();
        if (Date.now() > remindAt) {
          const missing = parts.filter((part) => !part.isReady()).map((part) => part.name);
          log('warn', 'the stack is not ready yet', { missing });
          remindAt = Date.now() + READY_REMIND_MS;
        }
        await new Promise((wake) => setTimeout(wake, READY_POLL_MS));
      }
    },
    async stop({ force = false } = {}) {
      if (force) await Promise.all(parts.map((part) => part.stop({ force })));
      for (const part of parts.toReversed()) await part.stop();
      await lock.release();
    },
  };
}

/** Every part has said that it is ready (a worker: that the server sees it poll), and so does the API's probe. */
async function isServing(url: string, parts: readonly Part[]): Promise<boolean> {
  if (!parts.every((part) => part.isReady())) return false;
  try {
    const answer = await fetch(`${url}/health/ready`, { signal: AbortSignal.timeout(PROBE_MAX_MS) });
    await answer.body?.cancel();
    return answer.ok;
  } catch {
    return false;
  }
}

/** An address that stands for all interfaces is reached by the local one. */
function reachableHost(host: string): string {
  if (host === '0.0.0.0' || host === '') return LOCAL;
  if (host === '::') return '[::1]';
  return host.includes(':') ? `[${host}]` : host;
}
