/** What an operator does to workflows with Temporal's own tools. */
import { setTimeout as sleep } from 'node:timers/promises';
import { Client, Connection } from '@temporalio/client';
import type { Operator } from './scenario.ts';

const GONE_MAX_MS = 10_000;
const LOOK_MS = 20;

export interface Operators {
  /** Of this account's operations. */
  of(account: string): Operator;
  close(): Promise<void>;
}

export async function createOperators(address: string, namespace: string): Promise<Operators> {
  const connection = await Connection.connect({ address });
  const { workflow } = new Client({ connection, namespace });
  return {
    of: (account) => ({
      async terminate(id) {
        await workflow.getHandle(`${account}/${id}`).terminate('a crash history ends it');
      },
      async forget(id) {
        const workflowId = `${account}/${id}`;
        const execution = { workflowId };
        await connection.workflowService.deleteWorkflowExecution({ namespace, workflowExecution: execution });
        const deadline = performance.now() + GONE_MAX_MS;
        const isThere = () =>
          workflow
            .getHandle(workflowId)
            .describe()
            .then(
              () => true,
              () => false,
            );
        while (await isThere()) {
          if (performance.now() > deadline) throw new Error(`${workflowId} is not deleted in time`);
          await sleep(LOOK_MS);
        }
      },
    }),
    close: () => connection.close(),
  };
}
