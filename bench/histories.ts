/** Counts an operation's Temporal history: its workflow, every child, every run that they continued as. */
import { Connection } from '@temporalio/client';
import proto from '@temporalio/proto';
import type { OperationInput } from '../src/model/workflow-contract.ts';

export interface HistoryFacts {
  /** Over all executions. */
  readonly events: number;
  /** Workflow runs: one, plus children and continued runs. */
  readonly executions: number;
  readonly largest: number;
  readonly continuedAsNew: number;
  readonly byType: Readonly<Record<string, number>>;
  /** Epoch ms of every event of the execution with the longest life, in order. */
  readonly longestLived: readonly number[];
}

export interface Histories {
  count(account: string, id: string): Promise<HistoryFacts>;
  /** The same of any workflow. */
  countOf(workflowId: string): Promise<HistoryFacts>;
  /** What the operation workflow was started with. */
  input(account: string, id: string): Promise<OperationInput>;
  close(): Promise<void>;
}

interface Execution {
  readonly workflowId: string;
  /** Empty = the latest. */
  readonly runId: string;
}

type HistoryEvent = proto.temporal.api.history.v1.IHistoryEvent;

const NAMESPACE = 'default';
const CALL_MAX_MS = 30_000;
export function openHistories(address: string): Histories {
  const connection = Connection.lazy({ address });

  async function eventsOf({ workflowId, runId }: Execution): Promise<readonly HistoryEvent[]> {
    const events: HistoryEvent[] = [];
    let nextPageToken: Uint8Array = new Uint8Array();
    do {
      const request = { namespace: NAMESPACE, execution: { workflowId, runId }, nextPageToken };
      const page = await connection.withDeadline(Date.now() + CALL_MAX_MS, () =>
        connection.workflowService.getWorkflowExecutionHistory(request),
      );
      events.push(...(page.history?.events ?? []));
      nextPageToken = page.nextPageToken ?? new Uint8Array();
    } while (nextPageToken.length > 0);
    return events;
  }

  /** The first of its runs: the latest names it in its first event. */
  async function firstRun(workflowId: string): Promise<Execution> {
    const [started] = await eventsOf({ workflowId, runId: '' });
    const runId = started?.workflowExecutionStartedEventAttributes?.firstExecutionRunId;
    if (runId === undefined || runId === null) throw new Error(`${workflowId} does not tell its first run`);
    return { workflowId, runId };
  }

  async function countOf(workflowId: string): Promise<HistoryFacts> {
    const waiting = [await firstRun(workflowId)];
    const histories: (readonly HistoryEvent[])[] = [];
    for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
      const events = await eventsOf(next);
      histories.push(events);
      waiting.push(...followers(next.workflowId, events));
    }
    return summarise(histories);
  }

  return {
    countOf,
    count: (account, id) => countOf(`${account}/${id}`),
    async input(account, id) {
      const [started] = await eventsOf(await firstRun(`${account}/${id}`));
      const data = started?.workflowExecutionStartedEventAttributes?.input?.payloads?.[0]?.data;
      return asInput(JSON.parse(Buffer.from(data ?? []).toString('utf8')));
    },
    close: () => connection.close(),
  };
}

/** The runs that an execution began: its children, and the run that it continued as. */
function followers(workflowId: string, events: readonly HistoryEvent[]): Execution[] {
  return events.flatMap((event) => {
    const child = event.childWorkflowExecutionStartedEventAttributes?.workflowExecution;
    const runId = event.workflowExecutionContinuedAsNewEventAttributes?.newExecutionRunId;
    if (child?.workflowId && child.runId) return [{ workflowId: child.workflowId, runId: child.runId }];
    return runId ? [{ workflowId, runId }] : [];
  });
}

function summarise(histories: readonly (readonly HistoryEvent[])[]): HistoryFacts {
  const all = histories.flat();
  const byType: Record<string, number> = {};
  for (const { eventType } of all) {
    const name =
      proto.temporal.api.enums.v1.EventType[eventType ?? 0]?.replace('EVENT_TYPE_', '').toLowerCase() ?? 'unknown';
    byType[name] = (byType[name] ?? 0) + 1;
  }
  const lives = histories.map((events) => events.map(timeOf));
  const longestLived = lives.reduce((longest, life) => (lengthOf(life) > lengthOf(longest) ? life : longest), []);
  return {
    events: all.length,
    executions: histories.length,
    largest: Math.max(...histories.map((events) => events.length)),
    continuedAsNew: byType['workflow_execution_continued_as_new'] ?? 0,
    byType,
    longestLived,
  };
}

function timeOf({ eventTime }: HistoryEvent): number {
  return Number(eventTime?.seconds ?? 0) * 1_000 + Number(eventTime?.nanos ?? 0) / 1e6;
}

function lengthOf(life: readonly number[]): number {
  return (life.at(-1) ?? 0) - (life[0] ?? 0);
}

/** Holds for every operation workflow: its only argument, as plain JSON. */
function asInput(value: unknown): OperationInput {
  return value as OperationInput;
}
