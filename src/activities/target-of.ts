/** The target that a plan names, in the process that is to apply it. */
import { ApplicationFailure } from '@temporalio/activity';
import type { Target } from '../targets/target.ts';
import type { ActivityDeps } from './deps.ts';

/** A worker of another release may not know it: the work is kept until one comes that does. */
export function targetOf(deps: Pick<ActivityDeps, 'findTarget'>, name: string): Target {
  try {
    return deps.findTarget(name);
  } catch (error) {
    const cause = error instanceof Error ? error : new Error(String(error));
    throw ApplicationFailure.create({ message: `this worker has no target ${name}`, type: 'unknown_target', cause });
  }
}
