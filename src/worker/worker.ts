/** The worker process: polls Temporal, runs workflows and slices, comes down in order. */
import { type NativeConnection, Worker } from '@temporalio/worker';
import type { Activities } from '../activities/index.ts';
import { workflowBundle } from './bundle.ts';

export interface WorkerRequest {
  readonly connection: NativeConnection;
  readonly namespace: string;
  readonly taskQueue: string;
  readonly identity: string;
  readonly activities: Activities;
  /** Folder for the bundled workflows, kept over restarts so that a killed worker is back within a second. */
  readonly bundleDir: string;
  readonly slicesMax: number;
  readonly workflowsCachedMax: number;
  readonly shutdownGraceMs: number;
  /** Told at once when the worker is asked to stop, so that slices come home. */
  readonly onStopping: () => void;
}

export interface RunningWorker {
  /** Rejects where the worker fails; resolves after `stop`. */
  readonly done: Promise<void>;
  stop(): Promise<void>;
}

/** A task that a lost worker held is offered to others after this long. */
const STICKY_TIMEOUT = '2s';
/** Summaries and checkpoints being written at once. */
const LOCAL_ACTIVITIES_MAX = 64;
const WORKFLOW_TASKS_MAX = 40;

export async function startWorker(request: WorkerRequest): Promise<RunningWorker> {
  const { connection, namespace, taskQueue, identity, activities } = request;
  const worker = await Worker.create({
    connection,
    namespace,
    taskQueue,
    identity,
    activities,
    workflowBundle: await workflowBundle(request.bundleDir),
    maxConcurrentActivityTaskExecutions: request.slicesMax,
    maxConcurrentLocalActivityExecutions: LOCAL_ACTIVITIES_MAX,
    maxConcurrentWorkflowTaskExecutions: WORKFLOW_TASKS_MAX,
    maxCachedWorkflows: request.workflowsCachedMax,
    stickyQueueScheduleToStartTimeout: STICKY_TIMEOUT,
    shutdownGraceTime: request.shutdownGraceMs,
    shutdownForceTime: request.shutdownGraceMs + 5_000,
  });
  return runUntilStopped(worker, request.onStopping);
}

/** `onStopping` is called before the worker is told. */
export function runUntilStopped(worker: Worker, onStopping: () => void = () => undefined): RunningWorker {
  const done = worker.run();
  return {
    done,
    async stop() {
      onStopping();
      if (worker.getState() === 'RUNNING') worker.shutdown();
      await done;
    },
  };
}
