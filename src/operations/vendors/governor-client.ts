/** Talks to the governors of vendors: where they stand, and what budget they are to keep. */
import { setTimeout as sleep } from 'node:timers/promises';
import { type Client, WithStartWorkflowOperation } from '@temporalio/client';
import {
  BUDGET_UPDATE,
  type Budget,
  type BudgetAnswer,
  GOVERNOR_QUERY,
  GOVERNOR_WORKFLOW,
  type GovernorStanding,
  type GovernorStart,
  governorId,
  governorStart,
} from '../../model/governor.ts';
import { faultOf, type LinkFault, type TemporalLink } from '../running/temporal-link.ts';
import { createWorkflowQuery } from '../status/workflow-query.ts';

/** Every call rejects where nobody answers in time. */
export interface GovernorClient {
  /** Null where no governor runs. */
  standing(vendor: string, deadlineAt: number): Promise<GovernorStanding | null>;
  /** Starts a governor where none runs. Saying it twice changes nothing. */
  setBudget(vendor: string, budget: Budget, deadlineAt: number): Promise<BudgetAnswer>;
  /** Null where no governor runs: there is nothing to take back. */
  clearBudget(vendor: string, deadlineAt: number): Promise<BudgetAnswer | null>;
}

/** A governor that continues as new refuses an update now and then, as closed or as busy. */
const AGAIN_MS = 150;

export function createGovernorClient(client: Client, link: TemporalLink): GovernorClient {
  const query = createWorkflowQuery(client, link);

  /** For what may be said twice. */
  async function untilAnswered<T>(deadlineAt: number, ask: () => Promise<T>, mayGoOn: MayGoOn): Promise<T> {
    for (let tries = 1; ; tries++) {
      try {
        return await link.call(Math.max(1, deadlineAt - Date.now()), ask);
      } catch (error) {
        if (!mayGoOn(faultOf(error), tries) || deadlineAt - Date.now() < 2 * AGAIN_MS) throw error;
      }
      await sleep(AGAIN_MS);
    }
  }

  return {
    standing: (vendor, deadlineAt) => orNull(query<GovernorStanding>(governorId(vendor), GOVERNOR_QUERY, deadlineAt)),
    setBudget(vendor, budget, deadlineAt) {
      const ask = () =>
        client.workflow.executeUpdateWithStart<(start: GovernorStart) => Promise<void>, BudgetAnswer, [Budget]>(
          BUDGET_UPDATE,
          {
            args: [budget],
            startWorkflowOperation: startOf(vendor),
          },
        );
      return untilAnswered(deadlineAt, ask, (fault) => fault !== 'unreachable');
    },
    clearBudget(vendor, deadlineAt) {
      const handle = client.workflow.getHandle(governorId(vendor));
      const ask = () => handle.executeUpdate<BudgetAnswer, [null]>(BUDGET_UPDATE, { args: [null] });
      // Closed: it may be about to go on as a new run, once.
      const mayGoOn: MayGoOn = (fault, tries) => fault !== 'unreachable' && (fault !== 'not_found' || tries === 1);
      return orNull(untilAnswered(deadlineAt, ask, mayGoOn));
    },
  };
}

type MayGoOn = (fault: LinkFault, tries: number) => boolean;

/** Of one use: the SDK takes no operation twice. */
function startOf(vendor: string): WithStartWorkflowOperation<(start: GovernorStart) => Promise<void>> {
  return new WithStartWorkflowOperation<(start: GovernorStart) => Promise<void>>(
    GOVERNOR_WORKFLOW,
    governorStart(vendor),
  );
}

async function orNull<T>(asking: Promise<T>): Promise<T | null> {
  try {
    return await asking;
  } catch (error) {
    if (faultOf(error) === 'not_found') return null;
    throw error;
  }
}
