/** The workflow of one vendor: books its call slots for all workers, so that together they keep what it allows. */
import {
  ApplicationFailure,
  allHandlersFinished,
  condition,
  continueAsNew,
  defineQuery,
  defineUpdate,
  proxyLocalActivities,
  setHandler,
  workflowInfo,
} from '@temporalio/workflow';
import type { GovernorActivities } from '../activities/governor.ts';
import {
  BOOK_UPDATE,
  type BookAnswer,
  type BookRequest,
  BUDGET_UPDATE,
  type Budget,
  type BudgetAnswer,
  GOVERNOR_QUERY,
  type GovernorStanding,
  type GovernorStart,
} from '../model/governor.ts';
import { book } from './governor/book.ts';
import { remember, setBudget, standingOf } from './governor/govern.ts';
import { bookingFault, budgetFault, plainBudget } from './governor/refusal.ts';
import { freshState, type GovernorState } from './governor/state.ts';

export interface GovernorInput extends GovernorStart {
  /** Of the run before; null = this is the first one, or the one before was lost. */
  readonly carried: GovernorState | null;
}

const bookUpdate = defineUpdate<BookAnswer, [BookRequest]>(BOOK_UPDATE);
const budgetUpdate = defineUpdate<BudgetAnswer, [Budget | null]>(BUDGET_UPDATE);
const standingQuery = defineQuery<GovernorStanding>(GOVERNOR_QUERY);

/**
 * Temporal ends a run's updates at 2,000. Far fewer: a worker that takes over replays them all within one workflow task,
 * and on a busy machine a thousand take longer than such a task may last.
 */
const UPDATES_MAX = 200;

const { recallGovernor } = proxyLocalActivities<GovernorActivities>({
  startToCloseTimeout: '10s',
  retry: { initialInterval: '100ms', backoffCoefficient: 2, maximumInterval: '1s' },
});

/** No timer runs and nothing is written while nobody asks: an idle vendor costs nothing. */
export async function governor({ vendor, carried }: GovernorInput): Promise<void> {
  let state = carried ?? freshState(Date.now());
  let updates = 0;

  setHandler(standingQuery, () => standingOf(state, Date.now()));
  setHandler(bookUpdate, answerBooking, { validator: (request) => refuse(bookingFault(request)) });
  setHandler(budgetUpdate, answerBudget, {
    validator: (budget) => refuse(budget === null ? null : budgetFault(budget)),
  });

  /** Without an await: of all that is asked at once, each answer builds upon the one before. */
  function answerBooking(request: BookRequest): BookAnswer {
    updates++;
    const booked = book(state, { ...request, budget: plainBudget(request.budget) }, Date.now());
    state = booked.state;
    return booked.answer;
  }

  function answerBudget(budget: Budget | null): BudgetAnswer {
    updates++;
    const set = setBudget(state, budget === null ? null : plainBudget(budget), Date.now());
    state = set.state;
    return set.answer;
  }

  async function recall(): Promise<void> {
    const past = await recallGovernor(vendor);
    state = remember(state, past, Date.now());
  }

  const isLong = () => updates >= UPDATES_MAX || (updates > 0 && workflowInfo().continueAsNewSuggested);
  if (!state.ready) await Promise.race([recall(), condition(isLong)]);
  await condition(() => isLong() && allHandlersFinished());
  // Nothing is awaited from here on: what is booked now would be booked again.
  await continueAsNew<typeof governor>({ version: 1, vendor, carried: state });
}

/** Before it is taken up: a handler that throws anything else would hold up the workflow for good. */
function refuse(fault: string | null): void {
  if (fault !== null) throw ApplicationFailure.nonRetryable(fault, 'InvalidBooking');
}
