/** Whether this process can keep what it is given (store), have it run (Temporal), and whether anybody works (workers). */
import type { Client } from '@temporalio/client';
import type { Database } from '../model/database.ts';
import { TASK_QUEUE } from '../model/workflow-contract.ts';
import type { BlobStore } from '../storage/blob-store.ts';
import { within } from './deadline.ts';
import type { Health } from './operations.ts';

const PART_DEADLINE_MS = 1_000;
const CACHE_MS = 1_000;
const PROBE_KEY = 'health/probe';
/** Workers poll at least once a minute; the server forgets a poller after five. */
const POLLER_SEEN_MS = 70_000;
const WORKFLOW_QUEUE = 1;

export interface HealthDeps {
  readonly store: BlobStore;
  readonly client: Client;
  readonly database: Database | null;
}

type Part = Health['parts'][string];

export function createHealth({ store, client, database }: HealthDeps): () => Promise<Health> {
  let cached: { readonly at: number; readonly checking: Promise<Health> } | null = null;

  async function check(): Promise<Health> {
    const [blobs, temporal, workers, sql] = await Promise.all([
      part(() => storeAnswers(store)),
      part(() => temporalAnswers(client)),
      part(() => workersPoll(client)),
      database === null ? null : part(() => databaseAnswers(database)),
    ]);
    // Without workers or database everything is accepted and kept; it runs when they come.
    const parts = { store: blobs, temporal, workers, ...(sql === null ? {} : { database: sql }) };
    return { ok: blobs.ok && temporal.ok, parts };
  }

  return () => {
    if (cached === null || Date.now() - cached.at >= CACHE_MS) cached = { at: Date.now(), checking: check() };
    return cached.checking;
  };
}

async function part(check: () => Promise<string>): Promise<Part> {
  const began = performance.now();
  const tookMs = () => Math.round(performance.now() - began);
  try {
    const detail = await within(PART_DEADLINE_MS, 'the check', check());
    return { ok: true, detail, tookMs: tookMs() };
  } catch (error) {
    return { ok: false, detail: error instanceof Error ? error.message : String(error), tookMs: tookMs() };
  }
}

async function storeAnswers(store: BlobStore): Promise<string> {
  await store.put(PROBE_KEY, Buffer.from(new Date().toISOString()));
  if ((await store.get(PROBE_KEY)) === null) throw new Error('a blob just written cannot be read');
  return `${store.kind} store writes and reads`;
}

async function temporalAnswers(client: Client): Promise<string> {
  const { namespace } = client.options;
  await client.withDeadline(Date.now() + PART_DEADLINE_MS, () =>
    client.workflowService.describeNamespace({ namespace }),
  );
  return `namespace ${namespace} is there`;
}

async function databaseAnswers(database: Database): Promise<string> {
  const { rows } = await database.query<{ server_version: string }>('SHOW server_version');
  return `PostgreSQL ${rows[0]?.server_version} answers`;
}

async function workersPoll(client: Client): Promise<string> {
  const { namespace } = client.options;
  const request = { namespace, taskQueue: { name: TASK_QUEUE }, taskQueueType: WORKFLOW_QUEUE } as const;
  const { pollers } = await client.withDeadline(Date.now() + PART_DEADLINE_MS, () =>
    client.workflowService.describeTaskQueue(request),
  );
  const since = (Date.now() - POLLER_SEEN_MS) / 1_000;
  const seen = (pollers ?? []).filter(({ lastAccessTime }) => Number(lastAccessTime?.seconds ?? 0) >= since);
  if (seen.length === 0) throw new Error('no worker has been seen; operations wait');
  return `${new Set(seen.map(({ identity }) => identity)).size} seen`;
}
