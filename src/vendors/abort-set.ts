/** One listener per signal instead of one per call: a slice's calls all share its signal. */

/** The calls to be given up once the signal is aborted; taken out again (`delete`) when they are over. */
export type AbortSets<Call> = (signal: AbortSignal) => Set<Call>;

export function createAbortSets<Call>(giveUp: (call: Call) => void): AbortSets<Call> {
  const callsBySignal = new WeakMap<AbortSignal, Set<Call>>();
  return (signal) => {
    const known = callsBySignal.get(signal);
    if (known !== undefined) return known;
    const calls = new Set<Call>();
    callsBySignal.set(signal, calls);
    const giveUpAll = () => {
      for (const call of [...calls]) giveUp(call);
    };
    signal.addEventListener('abort', giveUpAll, { once: true });
    return calls;
  };
}
