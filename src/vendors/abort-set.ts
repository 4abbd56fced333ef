/** One listener per signal instead of one per call: a slice's calls all share its signal. */

/** Calls `give` once the signal is aborted; the set is for taking it back (`delete`) when the call is over. */
export function callsUnder(signal: AbortSignal): Set<() => void> {
  const known = callsBySignal.get(signal);
  if (known !== undefined) return known;
  const calls = new Set<() => void>();
  callsBySignal.set(signal, calls);
  const giveUpAll = () => {
    for (const giveUp of [...calls]) giveUp();
  };
  signal.addEventListener('abort', giveUpAll, { once: true });
  return calls;
}

const callsBySignal = new WeakMap<AbortSignal, Set<() => void>>();
