/** Connections to Temporal, and what a namespace must have before operations can run in it. */
import { Connection } from '@temporalio/client';
import { msToTs } from '@temporalio/common/lib/time.js';
import { DefaultLogger, NativeConnection, Runtime } from '@temporalio/worker';
import type { Config } from './config.ts';
import type { Log } from './model/log.ts';
import { SEARCH_ATTRIBUTES } from './model/workflow-contract.ts';
import { TASK_KINDS } from './operations/running/queue-watch.ts';

type TemporalSettings = Pick<Config, 'temporal' | 'temporalAddress'>;

const KEYWORD = 2;
const DAY_S = 86_400;
const MESSAGE_BYTES_MAX = 16 * 1024 * 1024;
const POLL_MS = 50;
const RECONNECT_MS = 250;
const VISIBLE_MAX_MS = 90_000;

/** Connects at its first call, and again after Temporal was away: a process starts without it. */
export function openConnection(settings: TemporalSettings): Connection {
  return Connection.lazy({
    ...target(settings),
    connectTimeout: settings.temporal.connectTimeoutMs,
    channelArgs: {
      'grpc.max_receive_message_length': MESSAGE_BYTES_MAX,
      // A server that comes back is found at once instead of after gRPC's back-off of up to two minutes.
      'grpc.initial_reconnect_backoff_ms': 100,
      'grpc.max_reconnect_backoff_ms': 1_000,
    },
  });
}

/** Once per worker process, before anything of the SDK: its log becomes ours, and signals stay with `main.ts`. */
export function installRuntime(log: Log): void {
  const levels = { TRACE: 'debug', DEBUG: 'debug', INFO: 'debug', WARN: 'warn', ERROR: 'error' } as const;
  const logger = new DefaultLogger('INFO', ({ level, message, meta }) =>
    log(levels[level], message, { sdk: { ...meta } }),
  );
  Runtime.install({ logger, shutdownSignals: [] });
}

/** For workers: tries until Temporal answers, or rejects with the signal's reason. */
export async function openNativeConnection(settings: TemporalSettings, signal: AbortSignal): Promise<NativeConnection> {
  for (;;) {
    try {
      return await NativeConnection.connect(target(settings));
    } catch {
      signal.throwIfAborted();
      await new Promise((wake) => setTimeout(wake, RECONNECT_MS));
    }
  }
}

function target({ temporal, temporalAddress }: TemporalSettings) {
  const auth = temporal.apiKey === '' ? {} : { apiKey: temporal.apiKey };
  return {
    address: temporalAddress,
    ...auth,
    ...(temporal.tls || temporal.apiKey !== '' ? { tls: true as const } : {}),
  };
}

export interface NamespaceDeps {
  readonly connection: Connection;
  readonly namespace: string;
  readonly retentionDays: number;
  readonly log: Log;
}

/**
 * Idempotent; tries until Temporal answers or the signal is aborted (then it rejects with the signal's reason).
 * What we may not do (a managed cluster) is logged and left to its operator.
 */
export async function prepareNamespace(deps: NamespaceDeps, signal: AbortSignal): Promise<void> {
  for (let delayMs = 100; ; delayMs = Math.min(2 * delayMs, 2_000)) {
    try {
      await deps.connection.withDeadline(Date.now() + 10_000, async () => {
        await ensureNamespace(deps);
        await ensureSearchAttributes(deps);
      });
      return;
    } catch (error) {
      signal.throwIfAborted();
      if (isRefusal(error)) {
        deps.log('warn', 'may not prepare the namespace; its operator has to', { namespace: deps.namespace, error });
        return;
      }
      deps.log('debug', 'namespace is not prepared yet', { error });
      await new Promise((wake) => setTimeout(wake, delayMs));
    }
  }
}

/** Registers it where it is missing; raises its retention to ours, never lowers it. */
export async function ensureNamespace({ connection, namespace, retentionDays, log }: NamespaceDeps): Promise<void> {
  const workflowExecutionRetentionPeriod = msToTs(retentionDays * DAY_S * 1_000);
  try {
    const { config } = await connection.workflowService.describeNamespace({ namespace });
    const seconds = Number(config?.workflowExecutionRetentionTtl?.seconds ?? 0);
    if (seconds >= retentionDays * DAY_S) return;
    const raised = { workflowExecutionRetentionTtl: workflowExecutionRetentionPeriod };
    await connection.workflowService.updateNamespace({ namespace, config: raised });
    log('info', 'raised the namespace’s retention', { namespace, retentionDays });
  } catch (error) {
    if (grpcCode(error) !== GRPC.NOT_FOUND) throw error;
    await connection.workflowService
      .registerNamespace({ namespace, workflowExecutionRetentionPeriod })
      .catch(ignore(GRPC.ALREADY_EXISTS));
    log('info', 'registered the namespace', { namespace, retentionDays });
  }
}

/** Registers what is missing, and resolves once the server takes it in a workflow start. */
export async function ensureSearchAttributes({ connection, namespace }: NamespaceDeps): Promise<void> {
  const deadline = Date.now() + VISIBLE_MAX_MS;
  for (let asked = false; ; asked = true) {
    const { customAttributes } = await connection.operatorService.listSearchAttributes({ namespace });
    const missing = Object.values(SEARCH_ATTRIBUTES).filter((name) => customAttributes?.[name] === undefined);
    if (missing.length === 0) return;
    if (Date.now() > deadline) throw new Error(`search attributes did not appear: ${missing.join(', ')}`);
    if (!asked) {
      const searchAttributes = Object.fromEntries(missing.map((name) => [name, KEYWORD]));
      await connection.operatorService
        .addSearchAttributes({ namespace, searchAttributes })
        .catch(ignore(GRPC.ALREADY_EXISTS));
    }
    await new Promise((wake) => setTimeout(wake, POLL_MS));
  }
}

/** Resolves once the server sees this worker poll both kinds of task of this queue; rejects with the signal's reason. */
export async function pollersSeen(
  { connection, namespace }: Pick<NamespaceDeps, 'connection' | 'namespace'>,
  queue: string,
  identity: string,
  signal: AbortSignal,
): Promise<void> {
  // Over all partitions of the queue: seen from its root alone, a worker may be absent for a whole minute of polling.
  const request = {
    namespace,
    taskQueue: { name: queue },
    apiMode: DESCRIBE_ALL_PARTITIONS,
    taskQueueTypes: [TASK_KINDS.workflow, TASK_KINDS.activity],
    reportPollers: true,
  };
  const isPolled = async (): Promise<boolean> => {
    const { versionsInfo } = await connection.withDeadline(Date.now() + 2_000, () =>
      connection.workflowService.describeTaskQueue(request),
    );
    const byType = versionsInfo?.['']?.typesInfo ?? {};
    const isSeen = (kind: number) => (byType[kind]?.pollers ?? []).some((poller) => poller.identity === identity);
    return Object.values(TASK_KINDS).every(isSeen);
  };
  while (!(await isPolled().catch(() => false))) {
    signal.throwIfAborted();
    await new Promise((wake) => setTimeout(wake, POLL_MS));
  }
}

/** DescribeTaskQueueMode ENHANCED: called deprecated by the server, which has nothing else that looks at all partitions. */
const DESCRIBE_ALL_PARTITIONS = 1;

const GRPC = {
  INVALID_ARGUMENT: 3,
  NOT_FOUND: 5,
  ALREADY_EXISTS: 6,
  PERMISSION_DENIED: 7,
  UNIMPLEMENTED: 12,
  UNAUTHENTICATED: 16,
} as const;

function isRefusal(error: unknown): boolean {
  const refusals: readonly number[] = [
    GRPC.INVALID_ARGUMENT,
    GRPC.PERMISSION_DENIED,
    GRPC.UNIMPLEMENTED,
    GRPC.UNAUTHENTICATED,
  ];
  return refusals.includes(grpcCode(error) ?? -1);
}

function grpcCode(error: unknown): number | null {
  return error instanceof Error && 'code' in error && typeof error.code === 'number' ? error.code : null;
}

function ignore(code: number): (error: unknown) => void {
  return (error) => {
    if (grpcCode(error) !== code) throw error;
  };
}
