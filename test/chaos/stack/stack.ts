/** The whole service as processes of their own, a link between every two of them, and real servers behind it. */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { environment, readConfig } from '../../../src/config.ts';
import type { PartCommand } from '../../../src/embedded/part.ts';
import { findFreePort } from '../../../src/embedded/ports.ts';
import { provideTemporalBinary } from '../../../src/embedded/temporal-binary.ts';
import { temporalServerCommand } from '../../../src/embedded/temporal-server.ts';
import { type Postgres, startPostgres } from '../../fixtures/postgres.ts';
import { temporalPid } from '../../fixtures/stack/processes.ts';
import { startVersitygw, type Versitygw } from '../../integration/storage/versitygw.ts';
import { type Links, startLinks } from '../links/links.ts';
import { createSupervised, type Supervised } from './supervised.ts';

export const APIS = ['api-1', 'api-2'] as const;
export const WORKERS = ['worker-1', 'worker-2', 'worker-3'] as const;
export const VENDORS = ['products', 'sync', 'async'] as const;
export type ProcessName = (typeof APIS)[number] | (typeof WORKERS)[number];
export type StoreKind = 'fs' | 's3';

/** What a local disk does wrong (`fs-faults.mjs`). */
export type DiskFault =
  | { readonly kind: 'ENOSPC' | 'EIO'; readonly share: number }
  | { readonly kind: 'slow'; readonly share: number; readonly delayMs: number };

export interface ChaosStack {
  readonly store: StoreKind;
  readonly links: Links;
  readonly processes: ReadonlyMap<string, Supervised>;
  readonly temporal: Supervised;
  readonly postgres: Postgres;
  /** By API: the link that clients take. */
  readonly clientUrls: Readonly<Record<(typeof APIS)[number], string>>;
  /** Past all links. */
  readonly temporalAddress: string;
  /** Past all links: for its settings and its ledger. */
  readonly vendorUrl: string;
  setDiskFault(process: ProcessName, fault: DiskFault | null): Promise<void>;
  stop(): Promise<void>;
}

export interface ChaosStackOptions {
  /** Of this stack alone; it is there. */
  readonly folder: string;
  readonly store: StoreKind;
  /** Of API and worker processes, beside what the stack needs. */
  readonly settings: Readonly<Record<string, string>>;
  readonly restartDelayMs: () => number;
  /** A process has ended, and (`back`) stands again later. */
  readonly onDeath: (
    name: string,
    end: { readonly code: number | null; readonly signal: string | null },
    back: Promise<void>,
  ) => void;
}

const HOST = '127.0.0.1';
const main = fileURLToPath(new URL('../../../src/main.ts', import.meta.url));
const fsFaults = new URL('../fs-faults.mjs', import.meta.url).href;

/** Resolves once everything serves. On a failure nothing is left behind but what the reaper takes. */
export async function startChaosStack(options: ChaosStackOptions): Promise<ChaosStack> {
  const { folder, store } = options;
  for (const name of ['data', 'blobs', 'faults', 'logs']) await mkdir(join(folder, name), { recursive: true });
  const links = startLinks();
  const [postgres, versitygw, temporalPort, vendorPort] = await Promise.all([
    startPostgres({ max_connections: '120' }),
    store === 's3' ? startVersitygw() : null,
    findFreePort(HOST),
    findFreePort(HOST),
  ]);
  const apiPorts = new Map<string, number>();
  for (const api of APIS) apiPorts.set(api, await findFreePort(HOST));
  const callbackPort = await links.open('vendor→api', [...apiPorts.values()]);
  const servers: Servers = { links, postgres, versitygw, temporalPort, vendorPort, callbackPort, apiPorts };

  const supervise = (name: string, command: () => PartCommand, victim?: () => number | null): Supervised => {
    const part: Supervised = createSupervised({
      name,
      command,
      logPath: join(folder, 'logs', `${name}.log`),
      restartDelayMs: options.restartDelayMs,
      onDeath: (code, signal) => options.onDeath(name, { code, signal }, part.ready()),
      ...(victim === undefined ? {} : { victim }),
    });
    return part;
  };
  const dataDir = join(folder, 'data');
  const temporal = supervise('temporal', await temporalCommand(dataDir, temporalPort), () => pidIn(dataDir));
  const vendor = supervise('vendor', () => own('mock-vendor', { ...environment(), MOCK_VENDOR_PORT: `${vendorPort}` }));
  const processes = new Map<string, Supervised>();
  for (const name of [...APIS, ...WORKERS]) {
    const env = await environmentOf(name, options, servers);
    processes.set(
      name,
      supervise(name, () => own(name.startsWith('api') ? 'api' : 'worker', env)),
    );
  }
  const clientUrls = {
    'api-1': `http://${HOST}:${await links.open('client→api-1', [apiPorts.get('api-1') ?? 0])}`,
    'api-2': `http://${HOST}:${await links.open('client→api-2', [apiPorts.get('api-2') ?? 0])}`,
  };

  const all = [temporal, vendor, ...processes.values()];
  for (const part of [temporal, vendor]) part.start();
  await Promise.all([temporal.ready(), vendor.ready()]);
  for (const part of processes.values()) part.start();
  await Promise.all([...processes.values()].map((part) => part.ready()));
  return {
    ...{ store, links, processes, temporal, postgres, clientUrls, vendorUrl: `http://${HOST}:${vendorPort}` },
    temporalAddress: `${HOST}:${temporalPort}`,
    setDiskFault: (name, fault) => writeFile(join(folder, 'faults', name), fault === null ? '' : JSON.stringify(fault)),
    async stop() {
      await Promise.all(all.toReversed().map((part) => part.stop()));
      await Promise.all([postgres.close(), versitygw?.stop(), links.close()]);
    },
  };
}

interface Servers {
  readonly links: Links;
  readonly postgres: Postgres;
  readonly versitygw: Versitygw | null;
  readonly temporalPort: number;
  readonly vendorPort: number;
  readonly callbackPort: number;
  readonly apiPorts: ReadonlyMap<string, number>;
}

/** Everything that a process reaches, it reaches over a link of its own. */
async function environmentOf(name: ProcessName, { folder, settings }: ChaosStackOptions, servers: Servers) {
  const { links, postgres, versitygw, temporalPort, vendorPort, callbackPort, apiPorts } = servers;
  const link = async (to: string, port: number, http = false) =>
    `${HOST}:${await links.open(`${name}→${to}`, [port], { http })}`;
  const database = new URL(postgres.url);
  database.host = await link('database', Number(database.port));
  const vendor = name.startsWith('worker')
    ? `http://${await link('vendor', vendorPort)}`
    : `http://${HOST}:${vendorPort}`;
  const blobs =
    versitygw === null ? diskOf(name, folder) : await bucketOf(versitygw, (port) => link('store', port, true));
  return {
    ...environment(),
    ...{ UV_THREADPOOL_SIZE: '8', HOST, PORT: `${apiPorts.get(name) ?? 0}`, AUTH: 'none', LOG_LEVEL: 'info' },
    ...{ DATA_DIR: join(folder, 'data'), TEMPORAL_ADDRESS: await link('temporal', temporalPort) },
    ...{ DATABASE_URL: database.href, CALLBACK_SECRET: 'chaos-'.repeat(8) },
    ...{ CALLBACK_BASE_URL: `http://${HOST}:${callbackPort}` },
    ...{ PRODUCTS_VENDOR_URL: vendor, SYNC_VENDOR_URL: `${vendor}/sync`, ASYNC_VENDOR_URL: `${vendor}/async` },
    ...blobs,
    ...settings,
  };
}

function diskOf(name: ProcessName, folder: string): Readonly<Record<string, string>> {
  const root = join(folder, 'blobs');
  const faults = { CHAOS_FS_FAULTS: join(folder, 'faults', name), CHAOS_FS_ROOT: root };
  return { ...faults, BLOB_URL: pathToFileURL(root).href, NODE_OPTIONS: `--import=${fsFaults}` };
}

async function bucketOf(versitygw: Versitygw, link: (port: number) => Promise<string>) {
  const { endpoint, accessKeyId, secretAccessKey } = versitygw;
  const own = `http://${await link(Number(new URL(endpoint).port))}`;
  const keys = { S3_ACCESS_KEY_ID: accessKeyId, S3_SECRET_ACCESS_KEY: secretAccessKey };
  return { ...keys, BLOB_URL: versitygw.blobUrl('chaos').replace(endpoint, own) };
}

function own(mode: 'api' | 'worker' | 'mock-vendor', env: PartCommand['env']): PartCommand {
  const flags = ['--disable-warning=ExperimentalWarning', '--max-semi-space-size=16'];
  return { file: process.execPath, args: [...flags, main, mode, '--supervised'], env };
}

async function temporalCommand(dataDir: string, port: number): Promise<() => PartCommand> {
  const { temporal, cacheDir } = readConfig(environment());
  const tell = (line: string): void => void process.stderr.write(`${line}\n`);
  const searchPath = environment()['PATH'] ?? '';
  const binary = await provideTemporalBinary({ cliPath: temporal.cliPath, searchPath, cacheDir, tell });
  return () => temporalServerCommand({ binary, dataDir, port, uiPort: null, env: environment() });
}

/** Null between the death of a server and the start of the next. */
function pidIn(dataDir: string): number | null {
  try {
    return temporalPid(dataDir);
  } catch {
    return null;
  }
}
