/** Judges a vendor's calls against its budget: the fullest window, by arrivals and by departures, and what was used. Pure. */
import { SPREAD_MS } from '../src/model/governor.ts';
import { largestWindow, windowsOver } from '../test/check/windows.ts';

/** One call as the vendor saw it. */
export interface Call {
  /** Arrival, epoch ms. */
  readonly at: number;
  /** Departure, epoch ms; null where the call did not say. */
  readonly sentAtMs: number | null;
  /** Of the vendor's event loop at the arrival. */
  readonly lagMs: number;
  /** Null where no answer was sent. */
  readonly status: number | null;
}

/** Of the windows of one second. */
export interface Fullness {
  readonly largest: number;
  /** Seconds from the first call to where it began. */
  readonly atSeconds: number;
  /** Windows that begin with a call and hold more than the rate. */
  readonly over: number;
}

export interface RateVerdict {
  readonly calls: number;
  readonly byArrival: Fullness;
  /** Null where not every call said when it left. */
  readonly byDeparture: Fullness | null;
  readonly vendorLagMaxMs: number;
  /** By departures alone where the vendor's own lag makes its arrivals uncertain by more than the spread that slots allow. */
  readonly judgedBy: 'arrival' | 'departure';
  readonly violations: number;
  /** Calls in the span by what the rate allows in it; NaN where the span is empty. */
  readonly use: number;
}

export interface Span {
  readonly fromMs: number;
  readonly toMs: number;
}

const WINDOW_MS = 1_000;

export function judgeRate(calls: readonly Call[], rate: number, span: Span): RateVerdict {
  const arrivals = Float64Array.from(calls, ({ at }) => at);
  const departures = Float64Array.from(calls, ({ sentAtMs }) => sentAtMs ?? Number.NaN);
  const byArrival = fullnessOf(arrivals, rate);
  const byDeparture = departures.some(Number.isNaN) ? null : fullnessOf(departures, rate);
  const vendorLagMaxMs = calls.reduce((max, { lagMs }) => Math.max(max, lagMs), 0);
  const judgedBy = vendorLagMaxMs > SPREAD_MS && byDeparture !== null ? 'departure' : 'arrival';
  const judged = judgedBy === 'departure' && byDeparture !== null ? byDeparture : byArrival;
  const use = useOf(calls, rate, span);
  return { calls: calls.length, byArrival, byDeparture, vendorLagMaxMs, judgedBy, violations: judged.over, use };
}

/** Calls of the span that were taken (2xx), by what the rate allows in it. */
export function useOf(calls: readonly Call[], rate: number, { fromMs, toMs }: Span): number {
  const seconds = (toMs - fromMs) / 1_000;
  if (seconds <= 0) return Number.NaN;
  const taken = inSpan(calls, { fromMs, toMs }).filter(({ status }) => status !== null && status < 300);
  return taken.length / (rate * seconds);
}

/** The share of the span's calls that the vendor refused as too many. */
export function limitedShare(calls: readonly Call[], span: Span): number {
  const within = inSpan(calls, span);
  return within.filter(({ status }) => status === 429).length / within.length;
}

export function inSpan(calls: readonly Call[], { fromMs, toMs }: Span): readonly Call[] {
  return calls.filter(({ at }) => at >= fromMs && at < toMs);
}

/** Epoch ms; NaN where there are none. */
export function firstCallMs(calls: readonly Call[]): number {
  return calls.reduce((first, { at }) => (at < first || Number.isNaN(first) ? at : first), Number.NaN);
}

function fullnessOf(times: Float64Array, rate: number): Fullness {
  const { count, atMs } = largestWindow(times, WINDOW_MS);
  const first = times.reduce((least, at) => Math.min(least, at), Number.POSITIVE_INFINITY);
  const atSeconds = times.length === 0 ? Number.NaN : (atMs - first) / 1_000;
  return { largest: count, atSeconds, over: windowsOver(times, WINDOW_MS, rate) };
}
