/** The arithmetic of rate limits: how many calls the fullest window held, wherever it began. Pure; exact to the float. */

export interface FullestWindow {
  readonly count: number;
  /** When it began: the time of its first call; NaN where there were none. */
  readonly atMs: number;
}

/** A window that begins at t holds t ≤ call < t + `windowMs`. Times in any order. */
export function largestWindow(times: Float64Array | readonly number[], windowMs: number): FullestWindow {
  let fullest: FullestWindow = { count: 0, atMs: Number.NaN };
  for (const window of windowsOf(times, windowMs)) if (window.count > fullest.count) fullest = window;
  return fullest;
}

/** How many windows that begin with a call hold more than `callsMax`. */
export function windowsOver(times: Float64Array | readonly number[], windowMs: number, callsMax: number): number {
  let over = 0;
  for (const { count } of windowsOf(times, windowMs)) if (count > callsMax) over += 1;
  return over;
}

/** The windows that begin with a call: none between them holds more. */
function* windowsOf(unsorted: Float64Array | readonly number[], windowMs: number): Generator<FullestWindow> {
  if (!(windowMs > 0)) throw new RangeError(`a window of ${windowMs} ms`);
  const times = Float64Array.from(unsorted).sort();
  if (times.some(Number.isNaN)) throw new RangeError('a call without a time');
  let end = 0;
  for (const [first, atMs] of times.entries()) {
    while (end < times.length && (times[end] ?? 0) - atMs < windowMs) end += 1;
    yield { count: end - first, atMs };
  }
}
