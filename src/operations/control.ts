/** Pause, resume, cancel: a signal that the server keeps, then the state that it led to. All idempotent. */
import type { Client } from '@temporalio/client';
import { reach } from '../model/crash-point.ts';
import { TrancheError } from '../model/errors.ts';
import type { OperationState } from '../model/operation.ts';
import { SIGNALS } from '../model/workflow-contract.ts';
import { unavailable } from './deadline.ts';
import type { ControlAnswer, OperationView } from './operations.ts';
import { faultOf, type TemporalLink } from './running/temporal-link.ts';
import type { Status } from './status/status.ts';
import { workflowIdOf } from './submit/operation-id.ts';

export type ControlVerb = 'pause' | 'resume' | 'cancel';

export interface ControlDeps {
  readonly client: Client;
  readonly link: TemporalLink;
  readonly status: Status;
  readonly callDeadlineMs: number;
}

/** The states in which an operation is as the verb asks. */
const SETTLED: Readonly<Record<ControlVerb, readonly OperationState[]>> = {
  // Scheduled: it will be paused when its time comes.
  pause: ['paused', 'scheduled'],
  resume: ['running', 'queued', 'scheduled'],
  cancel: ['ended'],
};

export function createControl({ client, link, status, callDeadlineMs }: ControlDeps) {
  return async (verb: ControlVerb, account: string, id: string): Promise<ControlAnswer> => {
    const before = await status.get(account, id);
    const early = answerBefore(verb, before);
    if (early !== null) return early;
    const handle = client.workflow.getHandle(workflowIdOf(account, id));
    try {
      await link.call(callDeadlineMs, () => handle.signal(SIGNALS[verb]));
      reach('control.signalled');
    } catch (error) {
      return await afterRefusal(verb, await status.fresh(account, id), error);
    }
    const now = await status.fresh(account, id);
    // It was over before the signal was read: whoever asked for a cancel must not take that for one.
    return (now.state === 'ended' ? answerBefore(verb, now) : null) ?? answer(verb, now);
  };
}

/** What needs no signal: an operation that has ended, or is about to. */
export function answerBefore(verb: ControlVerb | 'amend', operation: OperationView): ControlAnswer | null {
  if (operation.state === 'ended') {
    if (verb === 'cancel' && operation.outcome === 'cancelled') return { operation, settled: true };
    throw illegal(verb, operation.state, []);
  }
  if (operation.state === 'cancelling' && operation.live && verb !== 'cancel') {
    throw illegal(verb, operation.state, ['cancel']);
  }
  return null;
}

export function illegal(
  verb: ControlVerb | 'amend' | 'scheduledAt',
  state: OperationState,
  allowed: readonly string[],
): TrancheError {
  const why = state === 'ended' ? 'has ended' : verb === 'scheduledAt' ? 'has begun' : `is ${state}`;
  return new TrancheError('illegal_transition', `the operation ${why}; it cannot take ${verb}`, {
    currentState: state,
    allowed,
  });
}

/** The workflow ended meanwhile, was not started yet, or nobody answers. */
export async function afterRefusal(
  verb: ControlVerb | 'amend',
  now: OperationView,
  error: unknown,
): Promise<ControlAnswer> {
  const early = faultOf(error) === 'not_found' ? answerBefore(verb, now) : null;
  if (early !== null) return early;
  throw unavailable('the operation cannot be reached now; ask again', error);
}

/** Where no worker has answered, the server keeps the signal: it is in transition. */
function answer(verb: ControlVerb, operation: OperationView): ControlAnswer {
  return { operation, settled: operation.live && SETTLED[verb].includes(operation.state) };
}
