/** What operators want of an operation, and what callbacks tell it: its signals, looked at between any two steps. */
import { setHandler } from '@temporalio/workflow';
import type { OperationInput } from '../model/workflow-contract.ts';
import type { Ledger } from './ledger.ts';
import { soundAmendment, soundReport } from './progress.ts';
import { amendSignal, arrivedSignal, cancelSignal, pauseSignal, progressSignal, resumeSignal } from './signals.ts';

export interface Wishes {
  paused: boolean;
  /** The last that was said of it: also where nobody knew yet that it was paused. */
  resumed: boolean;
  cancelled: boolean;
  /** Those at work must go on by another plan. */
  amended: boolean;
  cancel(): void;
  /** Whoever is at work hears of callbacks; what comes while nobody is, is looked for by those that follow. */
  onArrival: (ordinals: readonly number[]) => void;
  onAmended: () => void;
}

export function listen(input: OperationInput, ledger: Ledger): Wishes {
  const wishes: Wishes = {
    paused: input.carried?.paused === true,
    resumed: false,
    cancelled: false,
    amended: false,
    cancel() {
      if (wishes.cancelled) return;
      wishes.cancelled = true;
      ledger.enter('cancelling');
    },
    onArrival: () => undefined,
    onAmended: () => undefined,
  };
  ledger.failures.listen(({ action }) => {
    if (action === 'stop') wishes.cancel();
    else if (!wishes.paused) setPaused(wishes, ledger, true);
  });
  setHandler(progressSignal, (said) => {
    const report = soundReport(said);
    if (report !== null) ledger.report(report);
  });
  setHandler(cancelSignal, () => wishes.cancel());
  setHandler(pauseSignal, () => {
    wishes.resumed = false;
    if (!wishes.paused) setPaused(wishes, ledger, true);
  });
  setHandler(resumeSignal, () => {
    wishes.resumed = true;
    if (!wishes.paused) return;
    // Whoever is still at work must come home, so that the count begins when work goes on.
    if (!wishes.cancelled && ledger.failures.lift()) wishes.amended = true;
    setPaused(wishes, ledger, false);
  });
  setHandler(amendSignal, (amendment) => {
    if (wishes.cancelled) return;
    if (ledger.amend(soundAmendment(amendment))) wishes.amended = true;
    wishes.onAmended();
  });
  setHandler(arrivedSignal, (arrival) => {
    const { ordinals } = Object(arrival) as { readonly ordinals?: unknown };
    if (Array.isArray(ordinals)) wishes.onArrival(ordinals);
  });
  return wishes;
}

function setPaused(wishes: Wishes, ledger: Ledger, paused: boolean): void {
  if (wishes.cancelled) return;
  wishes.paused = paused;
  if (ledger.hasBegun()) ledger.enter(paused ? 'pausing' : 'running');
  else ledger.keepPause(paused);
}
