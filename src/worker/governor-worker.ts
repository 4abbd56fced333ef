/** Runs the vendors' governors: a queue and a Worker of their own, so that no booking waits behind slices. */
import { type NativeConnection, Worker } from '@temporalio/worker';
import type { GovernorActivities } from '../activities/governor.ts';
import { GOVERNOR_TASK_QUEUE } from '../model/governor.ts';
import { workflowBundle } from './bundle.ts';
import { type RunningWorker, runUntilStopped } from './worker.ts';

export interface GovernorWorkerRequest {
  readonly connection: NativeConnection;
  readonly namespace: string;
  readonly identity: string;
  readonly activities: GovernorActivities;
  readonly bundleDir: string;
  readonly shutdownGraceMs: number;
}

/** A lost worker's governor goes on elsewhere after this: until then its vendor stands still. */
const STICKY_TIMEOUT = '1s';
const GOVERNORS_CACHED_MAX = 100;
const WORKFLOW_TASKS_MAX = 10;

export async function startGovernorWorker(request: GovernorWorkerRequest): Promise<RunningWorker> {
  const { connection, namespace, identity, activities } = request;
  const worker = await Worker.create({
    connection,
    namespace,
    taskQueue: GOVERNOR_TASK_QUEUE,
    identity,
    activities,
    workflowBundle: await workflowBundle(request.bundleDir),
    maxConcurrentWorkflowTaskExecutions: WORKFLOW_TASKS_MAX,
    maxCachedWorkflows: GOVERNORS_CACHED_MAX,
    stickyQueueScheduleToStartTimeout: STICKY_TIMEOUT,
    shutdownGraceTime: request.shutdownGraceMs,
    shutdownForceTime: request.shutdownGraceMs + 5_000,
  });
  return runUntilStopped(worker);
}
