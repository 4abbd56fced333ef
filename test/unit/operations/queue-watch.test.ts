import { setTimeout as sleep } from 'node:timers/promises';
import type { Client } from '@temporalio/client';
import { describe, expect, it } from 'vitest';
import { createQueueWatch, type TaskKind } from '../../../src/operations/running/queue-watch.ts';
import type { TemporalLink } from '../../../src/operations/running/temporal-link.ts';

interface Stats {
  readonly approximateBacklogCount: number;
  readonly approximateBacklogAge: { readonly seconds: number; readonly nanos: number } | null;
}

const RESTING: Stats = { approximateBacklogCount: 2, approximateBacklogAge: { seconds: 0, nanos: 0 } };
const AT_WORK: Stats = { approximateBacklogCount: 2, approximateBacklogAge: { seconds: 0, nanos: 5_000_000 } };
const EMPTY: Stats = { approximateBacklogCount: 0, approximateBacklogAge: null };
const WORKFLOW = 1;

/** `of`: by the number of the look, what the workflow tasks of `tranche` stand at; an error, where nobody answers. After `looks` it is stopped. */
async function watchFor(looks: number, of: (look: number) => Record<string, Stats> | Error, isDown = false) {
  const unloadedAt: number[] = [];
  const unloaded = new Set<string>();
  const said = new Set<string>();
  let look = 0;
  const isOver = Promise.withResolvers<void>();
  const workflowService = {
    async describeTaskQueue({ taskQueue, taskQueueType }: { taskQueue: { name: string }; taskQueueType: number }) {
      if (taskQueue.name !== 'tranche' || taskQueueType !== WORKFLOW) return { statsByPriorityKey: { 3: EMPTY } };
      if (look === looks) return void isOver.resolve();
      look += 1;
      const stats = of(look);
      if (stats instanceof Error) throw stats;
      return { statsByPriorityKey: stats };
    },
  };
  const watch = createQueueWatch({
    client: { workflowService, options: { namespace: 'default' } } as unknown as Client,
    link: { call: (_ms: number, ask: () => unknown) => ask(), isDown: () => isDown } as unknown as TemporalLink,
    async unload(queue: string, kind: TaskKind) {
      unloadedAt.push(look);
      unloaded.add(`${queue} ${kind}`);
    },
    callDeadlineMs: 1_000,
    log: (_level, message) => void said.add(message),
    lookMs: 1,
  });
  watch.start();
  await (isDown ? sleep(50) : isOver.promise);
  await watch.stop();
  return { unloadedAt, unloaded: [...unloaded], said: [...said], look };
}

describe('a queue of Temporal', () => {
  it('that holds tasks and has loaded none is read anew at the fourth look in a row, and not at each one after', async () => {
    const { unloaded, unloadedAt, said } = await watchFor(11, () => ({ 3: RESTING }));
    expect(unloadedAt).toEqual([4, 8]);
    expect(unloaded).toEqual(['tranche workflow']);
    expect(said).toContain('a queue of Temporal holds tasks and hands none out; it is read anew');
  });

  it('rests where one of its priorities does, whatever the others do', async () => {
    expect((await watchFor(4, () => ({ 1: AT_WORK, 3: RESTING }))).unloadedAt).toEqual([4]);
  });

  it.each([
    ['is at work', () => ({ 3: AT_WORK })],
    ['is empty', () => ({ 3: EMPTY })],
    ['has never held anything', () => ({})],
    ['rests between two tasks', (look: number) => ({ 3: look % 4 === 0 ? AT_WORK : RESTING })],
    ['is silent in between', (look: number) => (look % 4 === 0 ? new Error('away') : { 3: RESTING })],
  ])('is left alone where it %s', async (_what, of) => {
    expect((await watchFor(20, of)).unloadedAt).toEqual([]);
  });

  it('is not asked about while the server is away', async () => {
    expect((await watchFor(1, () => ({ 3: RESTING }), true)).look).toBe(0);
  });
});
