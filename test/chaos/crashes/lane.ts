/** One lane of the campaign: an API and a worker on data of their own, each replaced as soon as it dies, and a vendor that lives on. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { findFreePort } from '../../../src/embedded/ports.ts';
import { type ContactsTable, watchContacts } from '../../fixtures/stack/contacts.ts';
import { type Started, startMain } from '../../fixtures/stack/processes.ts';
import { createVendor, type Vendor } from '../../fixtures/stack/vendor.ts';
import type { Ground } from './ground.ts';
import { now, type Part, type PartMode, type Standby, startStandby } from './part.ts';

const HOST = '127.0.0.1';
const CALLBACK_SECRET = 'crash histories sign their callbacks with this';

/** A process that ended, and when another one stood in for it. */
export interface Death {
  readonly mode: PartMode;
  readonly pid: number;
  readonly atMs: number;
  readonly killed: boolean;
  /** By the harness, to have one with other settings. */
  readonly dealt: boolean;
  /** When the replacement served; null = it does not yet. */
  backAtMs: number | null;
}

export interface Lane {
  readonly name: string;
  readonly url: string;
  readonly dataDir: string;
  readonly namespace: string;
  readonly vendors: Readonly<Record<'products' | 'sync' | 'async', Vendor>>;
  /** Null where there is no database. */
  readonly contacts: ContactsTable | null;
  /** The one that serves now, or that is about to. */
  part(mode: PartMode): Promise<Part>;
  /** Ends it, and has another one serve with these settings instead. */
  replace(mode: PartMode, settings?: Readonly<Record<string, string>>): Promise<Part>;
  /** The same, and for whoever follows it until it is said otherwise. */
  configure(mode: PartMode, settings: Readonly<Record<string, string>>): Promise<Part>;
  /** Back to what the lane began with. */
  restore(): Promise<void>;
  /** Of the parts that serve now. */
  pids(): readonly number[];
  /** All since the lane began. */
  readonly deaths: readonly Death[];
  /** What broke the lane, e.g. a replacement that does not come up. */
  fault(): Error | null;
  stop(): Promise<void>;
}

/** Small boxes and short time-outs: what takes a minute in production takes a second here, and is the same. */
const SETTINGS = {
  ...{ HEARTBEAT_TIMEOUT_MS: '2000', BOX_MS: '150', BOX_MAX_MS: '1000', RECONCILE_INTERVAL_MS: '500' },
  ...{ RETRY_INITIAL_INTERVAL_MS: '50', RETRY_MAXIMUM_INTERVAL_MS: '500', CALL_TIMEOUT_MS: '3000' },
  ...{ CALLBACK_TIMEOUT_MS: '4000', STATUS_CACHE_MS: '50', SHUTDOWN_GRACE_MS: '1000', CHUNK_SIZE: '150' },
  ...{ ACCOUNT_OPERATIONS_MAX: '1000', VENDOR_CONNECTIONS: '128', LOG_LEVEL: 'info' },
};

/** Of the caller's environment only this reaches a part. */
const INHERITED = ['PATH', 'HOME', 'XDG_CACHE_HOME', 'TMPDIR', 'TRANCHE_TEST_RUN'];

export async function startLane(name: string, ground: Ground): Promise<Lane> {
  const dataDir = await mkdtemp(join(tmpdir(), `tranche-crash-${name}-`));
  const [port, vendorPort] = [await findFreePort(HOST), await findFreePort(HOST)];
  const url = `http://${HOST}:${port}`;
  const vendorUrl = `http://${HOST}:${vendorPort}`;
  const databaseUrl = await ground.createDatabase(name);
  const env = {
    ...SETTINGS,
    ...{ CRASH_POINTS_ALLOWED: 'yes', AUTH: 'none', HOST, PORT: `${port}`, DATA_DIR: dataDir },
    ...{ TEMPORAL_ADDRESS: ground.temporalAddress, TEMPORAL_NAMESPACE: name, DATABASE_URL: databaseUrl },
    ...{ PRODUCTS_VENDOR_URL: vendorUrl, SYNC_VENDOR_URL: `${vendorUrl}/sync`, ASYNC_VENDOR_URL: `${vendorUrl}/async` },
    ...{ CALLBACK_SECRET, CALLBACK_BASE_URL: url, VENDOR_SEND_TIMES: 'on' },
  };
  const inherited = Object.fromEntries(INHERITED.map((key) => [key, process.env[key]]));
  const spawnStandby = () => startStandby({ ...inherited, UV_THREADPOOL_SIZE: '8', MALLOC_ARENA_MAX: '2' });
  let standby = spawnStandby();
  const deaths: Death[] = [];
  const current = new Map<PartMode, Promise<Part>>();
  const serving = new Map<PartMode, number>();
  const lasting = new Map<PartMode, Readonly<Record<string, string>>>();
  let vendor: Started | null = null;
  let broken: Error | null = null;
  let stopped = false;

  function next(): Standby {
    const taken = standby;
    standby = spawnStandby();
    return taken;
  }

  function start(mode: PartMode, settings: Readonly<Record<string, string>> = {}): Promise<Part> {
    const coming = next().go(mode, { ...env, ...lasting.get(mode), ...settings });
    current.set(mode, coming);
    coming.then(
      (part) => {
        serving.set(mode, part.pid);
        void part.exited.then((end) => bury(part, coming, end));
      },
      (error: Error) => {
        broken ??= error;
      },
    );
    return coming;
  }

  /** As an orchestrator does, with the settings that hold. */
  function bury(part: Part, coming: Promise<Part>, { atMs, killed }: { atMs: number; killed: boolean }): void {
    if (stopped || current.get(part.mode) !== coming) return;
    const death: Death = { mode: part.mode, pid: part.pid, atMs, killed, dealt: false, backAtMs: null };
    mourn(death, start(part.mode));
  }

  function mourn(death: Death, successor: Promise<Part>): void {
    deaths.push(death);
    successor.then(
      () => {
        death.backAtMs = now();
      },
      () => {},
    );
  }

  async function replace(mode: PartMode, settings: Readonly<Record<string, string>> = {}): Promise<Part> {
    const former = await current.get(mode);
    const atMs = now();
    const coming = start(mode, settings);
    mourn({ mode, pid: former?.pid ?? 0, atMs, killed: true, dealt: true, backAtMs: null }, coming);
    await former?.kill();
    return await coming;
  }

  async function stop(): Promise<void> {
    stopped = true;
    await contacts?.close();
    const parts = await Promise.allSettled(current.values());
    for (const part of parts) if (part.status === 'fulfilled') await part.value.kill();
    await standby.end();
    await vendor?.stop();
    await rm(dataDir, { recursive: true, force: true, maxRetries: 10, retryDelay: 200 });
  }

  let contacts: ContactsTable | null = null;
  try {
    vendor = startMain('mock-vendor', { MOCK_VENDOR_PORT: `${vendorPort}` });
    await vendor.ready;
    await start('api');
    await start('worker');
    contacts = await watchContacts(databaseUrl);
  } catch (error) {
    await stop();
    throw error;
  }
  return {
    name,
    url,
    dataDir,
    namespace: name,
    vendors: {
      products: createVendor(vendorUrl),
      sync: createVendor(`${vendorUrl}/sync`),
      async: createVendor(`${vendorUrl}/async`),
    },
    contacts,
    pids: () => [...serving.values()],
    deaths,
    part: (mode) => current.get(mode) ?? Promise.reject(new Error(`no ${mode}`)),
    replace,
    configure(mode, settings) {
      lasting.set(mode, settings);
      return replace(mode);
    },
    async restore() {
      for (const mode of lasting.keys()) {
        lasting.delete(mode);
        await replace(mode);
      }
    },
    fault: () => broken,
    stop,
  };
}
