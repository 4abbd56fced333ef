/**
 * Finds queues of Temporal that hold tasks and hand none out, and has the server read them anew.
 *
 * The reader of a queue with fairness can come to rest with tasks behind it (temporalio/temporal#10835; mended by #11048,
 * later than the servers that we run on): most often just after the server has begun anew. What is in that backlog is not
 * handed out before the queue is loaded again, and a workflow task has no timeout there: its operation would stand still.
 * Such a queue has a backlog none of which is loaded, that is of no age, look after look.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Client } from '@temporalio/client';
import { GOVERNOR_TASK_QUEUE } from '../../model/governor.ts';
import type { Log } from '../../model/log.ts';
import { TASK_QUEUE } from '../../model/workflow-contract.ts';
import { createBackground } from '../background.ts';
import { faultOf, type TemporalLink } from './temporal-link.ts';

/** `TaskQueueType` of Temporal's API. */
export const TASK_KINDS = { workflow: 1, activity: 2 } as const;
export type TaskKind = keyof typeof TASK_KINDS;

/** Has the server forget what it holds of a queue in memory: it is read again at once. Rejects where we may not ask for it. */
export type UnloadQueue = (queue: string, kind: TaskKind, deadlineAt: number) => Promise<void>;

export interface QueueWatchDeps {
  readonly client: Client;
  readonly link: TemporalLink;
  readonly unload: UnloadQueue;
  readonly callDeadlineMs: number;
  readonly log: Log;
  /** Between two looks. */
  readonly lookMs?: number;
}

export interface QueueWatch {
  start(): void;
  stop(): Promise<void>;
}

const LOOK_MS = 5_000;
/** A queue at work looks like one at rest now and then, never so often in a row. */
const LOOKS = 4;
const QUEUES = [TASK_QUEUE, GOVERNOR_TASK_QUEUE] as const;

export function createQueueWatch({ lookMs = LOOK_MS, ...deps }: QueueWatchDeps): QueueWatch {
  const { client, link, unload, callDeadlineMs, log } = deps;
  const background = createBackground(loop);
  const { signal } = background;
  const restingLooks = new Map<string, number>();

  async function look(queue: string, kind: TaskKind): Promise<void> {
    const name = `${queue} ${kind}`;
    const rests = await isAtRest(queue, kind);
    const looks = rests ? (restingLooks.get(name) ?? 0) + 1 : 0;
    restingLooks.set(name, looks < LOOKS ? looks : 0);
    if (looks < LOOKS) return;
    log('warn', 'a queue of Temporal holds tasks and hands none out; it is read anew', { queue, kind });
    await unload(queue, kind, Date.now() + callDeadlineMs);
  }

  async function isAtRest(queue: string, kind: TaskKind): Promise<boolean> {
    const { statsByPriorityKey } = await link.call(callDeadlineMs, () =>
      client.workflowService.describeTaskQueue({
        namespace: client.options.namespace,
        taskQueue: { name: queue },
        taskQueueType: TASK_KINDS[kind],
        reportStats: true,
      }),
    );
    return Object.values(statsByPriorityKey ?? {}).some(({ approximateBacklogCount, approximateBacklogAge }) => {
      const isLoaded = Number(approximateBacklogAge?.seconds ?? 0) > 0 || (approximateBacklogAge?.nanos ?? 0) > 0;
      return Number(approximateBacklogCount ?? 0) > 0 && !isLoaded;
    });
  }

  async function lookAtAll(): Promise<void> {
    for (const queue of QUEUES) {
      for (const kind of ['workflow', 'activity'] as const) {
        if (signal.aborted) return;
        await look(queue, kind).catch((error: unknown) => {
          restingLooks.delete(`${queue} ${kind}`);
          if (faultOf(error) === 'other')
            log('warn', 'a queue of Temporal could not be looked at', { queue, kind, error });
        });
      }
    }
  }

  async function loop(): Promise<void> {
    while (!signal.aborted) {
      await sleep(lookMs, undefined, { signal }).catch(() => {});
      if (!link.isDown()) await lookAtAll();
    }
  }

  return background;
}
