/** Changes how an operation that goes on is worked on: a signal that the server keeps, taken up by its workflow at once. */
import type { Amendment } from '../model/operation.ts';
import { readAmendment } from '../model/submit-fields.ts';
import { SIGNALS } from '../model/workflow-contract.ts';
import { afterRefusal, answerBefore, type ControlDeps, illegal } from './control.ts';
import type { ControlAnswer, OperationView } from './operations.ts';
import { workflowIdOf } from './submit/operation-id.ts';

/**
 * Throws `invalid_policy` where a value is out of bounds, `illegal_transition` where the operation has ended or is about
 * to, or has begun and is to be scheduled for another time. A time that has come means at once.
 */
export function createAmend({ client, link, status, callDeadlineMs }: ControlDeps) {
  return async (account: string, id: string, wanted: Amendment): Promise<ControlAnswer> => {
    const amendment = readAmendment(wanted);
    const before = await status.get(account, id);
    answerBefore('amend', before);
    if (amendment.scheduledAt !== undefined && before.startedAt !== null)
      throw illegal('scheduledAt', before.state, []);
    if (Object.keys(amendment).length === 0) return { operation: before, settled: before.live };
    const handle = client.workflow.getHandle(workflowIdOf(account, id));
    try {
      await link.call(callDeadlineMs, () => handle.signal(SIGNALS.amend, amendment));
    } catch (error) {
      return await afterRefusal('amend', await status.fresh(account, id), error);
    }
    return answer(amendment, await status.fresh(account, id));
  };
}

/** What the workflow shows has taken the signal into account. Where nobody has answered, the server keeps it. */
function answer({ scheduledAt }: Amendment, operation: OperationView): ControlAnswer {
  if (scheduledAt !== undefined && operation.live && operation.scheduledAt !== scheduledAt) {
    throw illegal('scheduledAt', operation.state, []);
  }
  return { operation, settled: operation.live };
}
