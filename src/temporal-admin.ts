/** The one call of Temporal's admin service that we need; it is served on the same port, and no SDK has it. */
import type { Connection } from '@temporalio/client';
import { TASK_KINDS, type TaskKind, type UnloadQueue } from './operations/running/queue-watch.ts';

const METHOD = '/temporal.server.api.adminservice.v1.AdminService/ForceUnloadTaskQueuePartition';
/** A queue has four where nobody has set another number; one that there is none of is answered like one that is not loaded. */
const PARTITIONS = 16;

/** Rejects where the server does not serve it (a managed cluster), or not to us. */
export function createUnloadQueue(connection: Connection, namespace: string): UnloadQueue {
  return async (queue, kind, deadlineAt) => {
    const unloads = Array.from({ length: PARTITIONS }, (_none, partition) =>
      unloadPartition(connection, { namespace, queue, kind, partition }, deadlineAt),
    );
    await Promise.all(unloads);
  };
}

export interface QueuePartition {
  readonly namespace: string;
  readonly queue: string;
  readonly kind: TaskKind;
  readonly partition: number;
}

/** Resolves to whether it was loaded. */
export function unloadPartition(connection: Connection, which: QueuePartition, deadlineAt: number): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const options = { deadline: deadlineAt };
    connection['client'].makeUnaryRequest(METHOD, encode, wasLoaded, which, options, (error, loaded) => {
      if (error !== null) reject(error);
      else resolve(loaded === true);
    });
  });
}

/** `ForceUnloadTaskQueuePartitionRequest`, in protocol buffers. */
function encode({ namespace, queue, kind, partition }: QueuePartition): Buffer {
  const of = Buffer.concat([bytesField(1, Buffer.from(queue)), Buffer.from([0x10, TASK_KINDS[kind], 0x18, partition])]);
  return Buffer.concat([bytesField(1, Buffer.from(namespace)), bytesField(2, of)]);
}

function bytesField(number: number, bytes: Buffer): Buffer {
  const length: number[] = [];
  let left = bytes.length;
  for (; left > 0x7f; left >>>= 7) length.push((left & 0x7f) | 0x80);
  return Buffer.concat([Buffer.from([(number << 3) | 2, ...length, left]), bytes]);
}

/** `ForceUnloadTaskQueuePartitionResponse`: its first field, absent where it is false. */
function wasLoaded(answer: Buffer): boolean {
  return answer[0] === 0x08 && answer[1] === 1;
}
