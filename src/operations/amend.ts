/** Changes how an operation that goes on is worked on: a signal that the server keeps, taken up by its workflow at once. */
import type { Amendment } from '../model/operation.ts';
import { readAmendment, refuseDeadline } from '../model/submit-fields.ts';
import { SIGNALS } from '../model/workflow-contract.ts';
import { afterRefusal, answerBefore, type ControlDeps, illegal } from './control.ts';
import type { ControlAnswer, OperationView } from './operations.ts';
import { workflowIdOf } from './submit/operation-id.ts';

/**
 * Throws `invalid_policy` where a value is out of bounds, `illegal_transition` where the operation has ended or is about
 * to, or has begun and is to be scheduled for another time. A time that has come means at once; a deadline that has
 * passed, or comes before the work, is `invalid_policy`.
 */
export function createAmend({ client, link, status, callDeadlineMs }: ControlDeps) {
  return async (account: string, id: string, wanted: Amendment): Promise<ControlAnswer> => {
    const amendment = readAmendment(wanted);
    const before = await status.get(account, id);
    answerBefore('amend', before);
    if (amendment.scheduledAt !== undefined && before.startedAt !== null)
      throw illegal('scheduledAt', before.state, []);
    refuseDeadlineOf(amendment, before);
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

/** Also where the work is put off until after the deadline that stands. */
function refuseDeadlineOf(amendment: Amendment, { deadline, scheduledAt, startedAt }: OperationView): void {
  if (amendment.deadline === undefined && amendment.scheduledAt === undefined) return;
  const begin = startedAt === null ? (amendment.scheduledAt ?? scheduledAt) : null;
  refuseDeadline(amendment.deadline === undefined ? deadline : amendment.deadline, begin, Date.now());
}

/** What the workflow shows has taken the signal into account. Where nobody has answered, the server keeps it. */
function answer({ scheduledAt }: Amendment, operation: OperationView): ControlAnswer {
  if (scheduledAt !== undefined && operation.live && operation.scheduledAt !== scheduledAt) {
    throw illegal('scheduledAt', operation.state, []);
  }
  return { operation, settled: operation.live };
}
