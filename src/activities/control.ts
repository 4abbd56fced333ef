/** What reaches a running slice from outside: called home, lease lost, or simply something to look at again. */

export interface Control {
  readonly calledHome: () => boolean;
  readonly lost: () => boolean;
  /** Aborted when the lease is lost, or when calls outlast the grace after `callHome`. */
  readonly signal: AbortSignal;
  readonly callHome: () => void;
  readonly lose: () => void;
  readonly wake: () => void;
  /** The one listener; called on every change. */
  onWake(listener: () => void): void;
  end(): void;
}

/** Calls in flight get this long to come back before they are cut off: `pausing` lasts a few seconds, no more. */
const CALL_GRACE_MS = 2_500;

export function createControl(): Control {
  const abort = new AbortController();
  let calledHome = false;
  let lost = false;
  let listener: () => void = () => undefined;
  let grace: NodeJS.Timeout | undefined;
  return {
    calledHome: () => calledHome,
    lost: () => lost,
    signal: abort.signal,
    callHome() {
      if (calledHome) return;
      calledHome = true;
      grace = setTimeout(() => abort.abort(), CALL_GRACE_MS);
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
