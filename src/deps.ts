/** The one wiring place: from settings to the parts that run. */
import { hostname } from 'node:os';
import { join } from 'node:path';
import { Client, type Connection } from '@temporalio/client';
import { createAccess, createLimits, placesOf } from './access-deps.ts';
import { startEffectsSweeper } from './activities/batches/effects-sweeper.ts';
import type { ActivityDeps } from './activities/deps.ts';
import { createGovernorActivities } from './activities/governor.ts';
import { createActivities } from './activities/index.ts';
import type { BulkActionLimits } from './api/bulk-actions/bulk-actions.ts';
import { startServer } from './api/server.ts';
import type { Config } from './config.ts';
import { createIngest } from './ingest/index.ts';
import { startMockVendor } from './mock-vendor/server.ts';
import { signCallback } from './model/callback-token.ts';
import type { Database } from './model/database.ts';
import type { Budget } from './model/governor.ts';
import type { Log } from './model/log.ts';
import { TASK_QUEUE } from './model/workflow-contract.ts';
import { createOperations } from './operations/index.ts';
import type { OperationsSettings } from './operations/settings.ts';
import type { BlobStore } from './storage/blob-store.ts';
import { openBlobStore } from './storage/open-store.ts';
import { openPreparedDatabase } from './storage/prepared-database.ts';
import { createRecords } from './storage/records.ts';
import { CORE_MIGRATIONS } from './storage/schema.ts';
import { createSegments } from './storage/segments.ts';
import { createVendorBudgets } from './storage/vendor-budgets.ts';
import { createTargetRegistry, findTarget, type PlanDefaults, TARGETS } from './targets/index.ts';
import { installRuntime, openConnection, openNativeConnection, pollersSeen, prepareNamespace } from './temporal.ts';
import { createUnloadQueue } from './temporal-admin.ts';
import { createVendorClient } from './vendors/client.ts';
import { createGovernedSlots } from './vendors/governed-slots.ts';
import { createVendor, type Vendor } from './vendors/vendor-standing.ts';
import { createGovernorLink } from './worker/governor-link.ts';
import { startGovernorWorker } from './worker/governor-worker.ts';
import { createPendingActivities } from './worker/pending-activities.ts';
import { startWorker } from './worker/worker.ts';

/** One part of the stack, serving. */
export interface RunningPart {
  /** Where it serves; null where it serves nobody (a worker). */
  readonly url: string | null;
  /** Rejects where it cannot go on; the process then ends and is started again. */
  readonly failed: Promise<never>;
  /** Takes nothing new, lets what runs end within the grace, and lets go of everything. */
  stop(): Promise<void>;
}

const never = (): Promise<never> => new Promise(() => {});

export async function runMockVendor(config: Config, log: Log): Promise<RunningPart> {
  const vendor = await startMockVendor({ host: '127.0.0.1', port: config.vendors.mockVendorPort });
  log('info', 'mock vendor serves', { url: vendor.url });
  return { url: vendor.url, failed: never(), stop: () => vendor.close() };
}

/** The embedded one. Loaded here alone: it is large. */
export async function runDatabase(config: Config, log: Log): Promise<RunningPart> {
  const { startEmbeddedDatabase } = await import('./embedded/database.ts');
  const { dataDir, cacheDir } = config;
  const database = await startEmbeddedDatabase({ dataDir, cacheDir, port: config.database.port, log });
  log('info', 'database serves', { url: database.url });
  return { url: database.url, failed: database.failed, stop: () => database.close() };
}

export async function runApi(config: Config, log: Log, signal: AbortSignal): Promise<RunningPart> {
  const store = await openStore(config);
  const storage = { store, records: createRecords(store), segments: createSegments(store) };
  const database = openOwnDatabase(config, 'api', log);
  const connection = openConnection(config);
  const { namespace } = config.temporal;
  const stopping = new AbortController();
  const preparing = AbortSignal.any([signal, stopping.signal]);
  // Not awaited: the API takes requests while Temporal is away.
  const { retentionDays } = config.operations;
  prepareNamespace({ connection, namespace, retentionDays, log }, preparing).catch(() => undefined);
  const operations = createOperations({
    storage,
    ingest: createIngest(),
    client: new Client({ connection, namespace }),
    database,
    targets: createTargetRegistry(planDefaults(config)),
    settings: operationsSettings(config),
    vendorBudgets: budgetsOf(config),
    unloadQueue: createUnloadQueue(connection, namespace),
    ...(config.callbacks.secret === '' ? {} : { callbackSecret: config.callbacks.secret }),
    ...createLimits(config, { database, records: storage.records, log }),
    log,
  });
  operations.start();
  const server = await startServer({
    operations,
    host: config.server.host,
    port: config.server.port,
    limits: { closeGraceMs: config.server.shutdownGraceMs },
    keylessReplayWindowMs: config.ingest.keylessReplayWindowMs,
    bulkActions: bulkActionLimits(config),
    publicUrl: config.server.publicUrl === '' ? null : config.server.publicUrl,
    ...createAccess(config, database, log),
    log,
  });
  return {
    url: server.url,
    failed: never(),
    async stop() {
      stopping.abort();
      await server.close();
      await operations.stop();
      await Promise.allSettled([connection.close(), store.close(), database?.close()]);
    },
  };
}

/** Resolves once the server sees this worker poll. */
export async function runWorker(config: Config, log: Log, signal: AbortSignal): Promise<RunningPart> {
  installRuntime(log);
  const { namespace } = config.temporal;
  const identity = `${process.pid}@${hostname()}`;
  const store = await openStore(config);
  const database = openOwnDatabase(config, 'worker', log);
  const native = await openNativeConnection(config, signal);
  const connection = openConnection(config);
  await prepareNamespace({ connection, namespace, retentionDays: config.operations.retentionDays, log }, signal);
  const vendors = createVendors(config, { store, connection, identity, log });
  const stopping = new AbortController();
  const worker = await startWorker({
    connection: native,
    namespace,
    taskQueue: TASK_QUEUE,
    identity,
    activities: createActivities({
      store,
      records: createRecords(store),
      segments: createSegments(store),
      database,
      ...placesOf(config, database),
      findTarget,
      findVendor: (name) => vendors.get(name),
      callbackUrl: createCallbackUrl(config),
      heartbeat: createHeartbeat(connection, { namespace, identity }, config.worker.heartbeatTimeoutMs),
      pendingActivities: createPendingActivities(connection, namespace),
      slicesMax: config.worker.slicesMax,
      stopping: stopping.signal,
      log,
    }),
    bundleDir: join(config.cacheDir, 'workflows'),
    slicesMax: config.worker.slicesMax,
    workflowsCachedMax: config.worker.workflowsCachedMax,
    shutdownGraceMs: config.server.shutdownGraceMs,
    onStopping: () => stopping.abort(),
  });
  const governors = await startGovernorWorker({
    connection: native,
    namespace,
    identity,
    activities: createGovernorActivities(store),
    bundleDir: join(config.cacheDir, 'workflows'),
    shutdownGraceMs: config.server.shutdownGraceMs,
  });
  const sweeper = database && startEffectsSweeper({ database, records: createRecords(store), log });
  const ended = Promise.race([worker.done, governors.done]).then(() => never());
  // A worker that fails before it polls must not be waited for.
  await Promise.race([pollersSeen({ connection, namespace }, TASK_QUEUE, identity, signal), ended]);
  log('info', 'worker polls', { identity, namespace });
  return {
    url: null,
    failed: ended,
    async stop() {
      await worker.stop();
      for (const vendor of vendors.values()) vendor.stop();
      await governors.stop();
      await sweeper?.stop();
      await Promise.allSettled([...vendors.values()].map((vendor) => vendor.client.close()));
      await Promise.allSettled([native.close(), connection.close(), store.close(), database?.close()]);
    },
  };
}

async function openStore({ blobUrl, blobs }: Config): Promise<BlobStore> {
  const { s3AccessKeyId: accessKeyId, s3SecretAccessKey: secretAccessKey } = blobs;
  const store = await openBlobStore(
    blobUrl,
    accessKeyId === '' ? {} : { s3Credentials: { accessKeyId, secretAccessKey } },
  );
  await store.check();
  return store;
}

/** Null where none is set: what needs one then says so. Not waited for: it may come later than we do. */
function openOwnDatabase({ database }: Config, part: 'api' | 'worker', log: Log): Database | null {
  const { url, connectionsMax, statementTimeoutMs } = database;
  if (url === '') return null;
  const migrations = [...CORE_MIGRATIONS, ...TARGETS.flatMap((target) => target.migrations ?? [])];
  const applicationName = `tranche-${part}`;
  return openPreparedDatabase({ url, connectionsMax, applicationName, statementTimeoutMs, migrations, log });
}

/** Bounded, so that one call on a dead link does not keep back the next one on a live one. */
function createHeartbeat(connection: Connection, who: { namespace: string; identity: string }, timeoutMs: number) {
  return async (taskToken: Uint8Array): Promise<boolean> => {
    const beat = () => connection.workflowService.recordActivityTaskHeartbeat({ ...who, taskToken });
    const { cancelRequested } = await connection.withDeadline(Date.now() + timeoutMs / 3, beat);
    return cancelRequested === true;
  };
}

interface VendorDeps {
  readonly store: BlobStore;
  readonly connection: Connection;
  readonly identity: string;
  readonly log: Log;
}

/** One client per vendor and process; its budget is booked from the vendor's governor, over all processes. */
function createVendors(config: Config, { store, connection, identity, log }: VendorDeps): ReadonlyMap<string, Vendor> {
  const { connections, budgets, sendTimes } = config.vendors;
  const client = new Client({ connection, namespace: config.temporal.namespace });
  const book = createGovernorLink({ client, connection });
  const setBudgets = createVendorBudgets(store);
  const readSetBudget = async (name: string) => (await setBudgets.read(name))?.budget ?? null;
  // Unique per start: what a former process of this name held is not ours.
  const worker = `${identity}/${Date.now().toString(36)}`;
  return new Map(
    Object.entries(config.vendorUrls).map(([name, baseUrl]) => {
      const budget = budgets[name] ?? null;
      const slots = createGovernedSlots({ vendor: name, budget, worker, book, readSetBudget, log });
      return [name, createVendor(createVendorClient({ name, baseUrl, connections, slots, sendTimes }), slots)];
    }),
  );
}

/** Null for a vendor without one. */
function budgetsOf({ vendors, vendorUrls }: Config): Readonly<Record<string, Budget | null>> {
  return Object.fromEntries(Object.keys(vendorUrls).map((vendor) => [vendor, vendors.budgets[vendor] ?? null]));
}

/** Null where this service cannot be called back. */
function createCallbackUrl({ callbacks, callbackBaseUrl }: Config): ActivityDeps['callbackUrl'] {
  const { secret } = callbacks;
  if (secret === '' || callbackBaseUrl === '') return null;
  const base = callbackBaseUrl.replace(/\/+$/, '');
  return (item) => `${base}/v1/vendors/${item.vendor}/callbacks/${signCallback(secret, item)}`;
}

function bulkActionLimits({ ingest }: Config): BulkActionLimits {
  const orNone = (value: number) => (value === 0 ? null : value);
  return {
    fileBytesMax: orNone(ingest.bulkFileMegabytesMax * 1024 * 1024),
    rowsMax: orNone(ingest.bulkRowsMax),
    chunkRows: orNone(ingest.bulkChunkRows),
  };
}

function planDefaults({ worker, vendors, retry, callbacks }: Config): PlanDefaults {
  const { heartbeatTimeoutMs, boxMs, boxMaxMs, windowMax } = worker;
  const callbackTimeoutMs = callbacks.secret === '' ? null : callbacks.timeoutMs;
  const { callTimeoutMs } = vendors;
  return { heartbeatTimeoutMs, boxMs, boxMaxMs, windowMax, callTimeoutMs, callbackTimeoutMs, retry };
}

function operationsSettings({ ingest, operations, temporal, blobs, limits }: Config): OperationsSettings {
  // A body beyond what an account may have in flight would never be accepted: it is refused while it arrives.
  const bytesMax = Math.min(ingest.bodyBytesMax || Infinity, limits.bytesMax || Infinity);
  return {
    ...operations,
    bytesMax: bytesMax === Infinity ? null : bytesMax,
    itemBytesMax: ingest.itemBytesMax,
    idleTimeoutMs: ingest.bodyIdleTimeoutMs,
    stagingLeaseMs: ingest.stagingLeaseHours * 3_600_000,
    retentionMs: operations.retentionDays * 86_400_000,
    startDeadlineMs: temporal.callTimeoutMs,
    callDeadlineMs: temporal.callTimeoutMs,
    storeDeadlineMs: blobs.deadlineMs,
  };
}
