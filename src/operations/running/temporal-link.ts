/** Calls to Temporal that always end in time: each has a deadline, and none is tried while the server is known to be away. */
import type { Client } from '@temporalio/client';
import { DEADLINE_PASSED, within } from '../deadline.ts';

const GRPC = { deadlineExceeded: 4, notFound: 5, resourceExhausted: 8, unavailable: 14 } as const;
const PROBE_DEADLINE_MS = 1_000;
const PROBE_INTERVAL_MS = 1_000;

export type LinkFault =
  /** Nobody answered, or not in time. */
  | 'unreachable'
  /** The server has no such workflow, or it is closed already. */
  | 'not_found'
  /** The server or the workflow is too busy. */
  | 'busy'
  | 'other';

export interface TemporalLink {
  /** Runs `call` under a deadline; at once an error while the server is away. */
  call<T>(timeoutMs: number, call: () => Promise<T>): Promise<T>;
  /** Asks the server whether it is there. */
  probe(): Promise<boolean>;
  isDown(): boolean;
}

export function createTemporalLink(client: Client): TemporalLink {
  let down = false;
  let probedAt = 0;
  let probing: Promise<boolean> | null = null;

  /** The SDK retries silently, with pauses that look at no deadline: hence a timer of our own beside gRPC's. */
  function bounded<T>(timeoutMs: number, call: () => Promise<T>): Promise<T> {
    return within(timeoutMs, 'Temporal', client.withDeadline(Date.now() + timeoutMs, call));
  }

  async function ask(): Promise<boolean> {
    try {
      await bounded(PROBE_DEADLINE_MS, () => client.workflowService.getSystemInfo({}));
      down = false;
    } catch (error) {
      down = faultOf(error) === 'unreachable';
    }
    return !down;
  }

  function probe(): Promise<boolean> {
    probedAt = Date.now();
    probing ??= ask().finally(() => {
      probing = null;
    });
    return probing;
  }

  function probeSoon(): void {
    if (Date.now() - probedAt >= PROBE_INTERVAL_MS) void probe();
  }

  return {
    async call(timeoutMs, call) {
      if (down) {
        probeSoon();
        throw Object.assign(new Error('Temporal is away'), { code: DEADLINE_PASSED });
      }
      try {
        return await bounded(timeoutMs, call);
      } catch (error) {
        // One slow answer does not mean that the server is away (a query needs a worker too): ask it.
        if (faultOf(error) === 'unreachable') probeSoon();
        throw error;
      }
    },
    probe,
    isDown() {
      if (down) probeSoon();
      return down;
    },
  };
}

/** By code and name: the SDK wraps gRPC errors, and errors cross module copies. */
export function faultOf(error: unknown): LinkFault {
  if (!(error instanceof Error)) return 'other';
  if (error.name === 'WorkflowNotFoundError' || error.name === 'QueryRejectedError') return 'not_found';
  const code = codeOf(error) ?? codeOf(error.cause);
  if (code === GRPC.notFound) return 'not_found';
  if (code === GRPC.resourceExhausted) return 'busy';
  const away = code === GRPC.unavailable || code === GRPC.deadlineExceeded || code === DEADLINE_PASSED;
  return away ? 'unreachable' : 'other';
}

function codeOf(error: unknown): unknown {
  return error instanceof Error && 'code' in error ? error.code : undefined;
}
