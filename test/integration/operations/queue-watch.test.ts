/** The server's own answers to what the watch asks of it. */
import { Connection } from '@temporalio/client';
import type { TestWorkflowEnvironment } from '@temporalio/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { TaskKind } from '../../../src/operations/running/queue-watch.ts';
import { createUnloadQueue, unloadPartition } from '../../../src/temporal-admin.ts';
import { startTemporal } from '../../fixtures/operations-under-test.ts';

const KINDS = { workflow: 1, activity: 2 } as const;
const queue = 'a-queue-of-a-name-that-takes-more-than-one-byte-to-say-how-long-it-is-'.repeat(2);

let temporal: TestWorkflowEnvironment;
let connection: Connection;
beforeAll(async () => {
  temporal = await startTemporal();
  connection = await Connection.connect({ address: temporal.address });
}, 60_000);
afterAll(async () => {
  await connection?.close();
  await temporal?.teardown();
});

/** A look at a queue has the server load it. */
async function load(kind: TaskKind): Promise<void> {
  const which = { namespace: 'default', taskQueue: { name: queue }, taskQueueType: KINDS[kind], reportStats: true };
  await connection.workflowService.describeTaskQueue(which);
}

describe.each(['workflow', 'activity'] as const)('a queue of %s tasks', (kind) => {
  const root = { namespace: 'default', queue, kind, partition: 0 };
  const soon = () => Date.now() + 10_000;

  it('is unloaded where it was loaded, each of its partitions', async () => {
    await load(kind);
    expect(await unloadPartition(connection, root, soon())).toBe(true);
    // What nobody has asked for is not loaded.
    expect(await unloadPartition(connection, { ...root, partition: 9 }, soon())).toBe(false);
    await load(kind);
    await createUnloadQueue(connection, 'default')(queue, kind, soon());
  });

  it('of a namespace that is not there is an error', async () => {
    const other = { ...root, namespace: 'nowhere' };
    await expect(unloadPartition(connection, other, soon())).rejects.toThrow(/NOT_FOUND/);
  });
});
