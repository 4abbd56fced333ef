/** What reaches a running slice from outside: called home, lease lost, or simply something to look at again. */

export interface Control {
  readonly calledHome: () => boolean;
  /** The box is over early, without haste: the worker is to stop. */
  readonly endingSoon: () => boolean;
  readonly lost: () => boolean;
  /** Aborted when the lease is lost, or when calls outlast the grace after `callHome`. */
  readonly signal: AbortSignal;
  readonly callHome: () => void;
  readonly endSoon: () => void;
  readonly lose: () => void;
  readonly wake: () => void;
  /** The one listener; called on every change. */
  onWake(listener: () => void): void;
  end(): void;
}

/** Calls in flight get this long to come back before they are cut off: `pausing` lasts a few seconds, no more. */
const CALL_GRACE_MS = 2_500;
/** The same for a worker that is to stop: most calls come back, and the process still ends within its own grace. */
const STOP_GRACE_MS = 7_000;

export function createControl(): Control {
  const abort = new AbortController();
  let calledHome = false;
  let endingSoon = false;
  let lost = false;
  let listener: () => void = () => undefined;
  let grace: NodeJS.Timeout | undefined;
  return {
    calledHome: () => calledHome,
    endingSoon: () => endingSoon,
    lost: () => lost,
    signal: abort.signal,
    callHome() {
      if (calledHome) return;
      calledHome = true;
      clearTimeout(grace);
      grace = setTimeout(() => abort.abort(), CALL_GRACE_MS);
      listener();
    },
    endSoon() {
      if (endingSoon || calledHome) return;
      endingSoon = true;
      grace = setTimeout(() => abort.abort(), STOP_GRACE_MS);
      listener();
    },
    lose() {
      lost = true;
      abort.abort();
      listener();
    },
    wake: () => listener(),
    onWake(next) {
      listener = next;
    },
    end() {
      clearTimeout(grace);
      listener = () => undefined;
    },
  };
}
