/** Of operations that do not end: what Temporal says of their workflows, for whoever has to find out why. */
import { Client, Connection } from '@temporalio/client';

interface Named {
  readonly account: string;
  readonly id: string;
}

const EVENTS_TOLD = 30;

/** Pending workflow task, activities and children, and the last events; a fault where Temporal does not say. */
export async function describeWorkflows(address: string, operations: readonly Named[]): Promise<readonly object[]> {
  if (operations.length === 0) return [];
  const connection = await Connection.connect({ address });
  try {
    const client = new Client({ connection });
    return await Promise.all(operations.map(({ account, id }) => describe(client, `${account}/${id}`)));
  } catch (error) {
    return [{ fault: String(error) }];
  } finally {
    await connection.close();
  }
}

async function describe(client: Client, workflowId: string): Promise<object> {
  try {
    const handle = client.workflow.getHandle(workflowId);
    const { raw } = await handle.describe();
    const { events } = await handle.fetchHistory();
    const last = (events ?? []).slice(-EVENTS_TOLD).map(({ eventId, eventTime, eventType }) => ({
      ...{
        event: Number(eventId),
        type: eventType,
        at: new Date(Number(eventTime?.seconds ?? 0) * 1_000).toISOString(),
      },
    }));
    const { pendingWorkflowTask, pendingActivities, pendingChildren } = raw;
    return JSON.parse(JSON.stringify({ workflowId, pendingWorkflowTask, pendingActivities, pendingChildren, last }));
  } catch (error) {
    return { workflowId, fault: String(error) };
  }
}
