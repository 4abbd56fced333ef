/** Refuses what is not a booking or a budget before a governor takes it up: junk must not get into what it carries on. */
import type { Budget } from '../../model/governor.ts';

const COUNT_MAX = 1_000_000;
const WORKER_CHARS_MAX = 200;
const WINDOWS_MAX = 8;
const WINDOW_SECONDS_MAX = 31 * 86_400;
const CONCURRENCY_MAX = 100_000;
const LATENCY_MS_MAX = 86_400_000;

type Fields = Readonly<Record<string, unknown>>;

/** The first fault of a `BookRequest`, in words; null = it has none. */
export function bookingFault(request: unknown): string | null {
  if (!isObject(request)) return 'a booking is an object';
  const { version, worker, budget, report } = request;
  if (version !== 1) return 'version is not 1';
  if (typeof worker !== 'string' || worker === '' || worker.length > WORKER_CHARS_MAX) {
    return `worker is not a name of 1 to ${WORKER_CHARS_MAX} characters`;
  }
  const counts = countsFault(request, ['wanted', 'held', 'inFlight']);
  if (counts !== null) return counts;
  if (!isTime(request['sentAtMs'])) return 'sentAtMs is not a time';
  const { placesUntilMs, calls } = request;
  if (calls !== undefined && !isCount(calls, COUNT_MAX)) return `calls is not a whole number from 0 to ${COUNT_MAX}`;
  if (placesUntilMs !== undefined && !isTime(placesUntilMs)) return 'placesUntilMs is not a time';
  return budgetFault(budget) ?? reportFault(report);
}

/** Of a `Budget`; whoever takes null for one asks for itself. */
export function budgetFault(budget: unknown): string | null {
  if (!isObject(budget)) return 'budget is not an object';
  const { windows, concurrencyMax } = budget;
  if (!Array.isArray(windows) || windows.length > WINDOWS_MAX) return `windows is not a list of up to ${WINDOWS_MAX}`;
  for (const window of windows as readonly unknown[]) {
    if (!isObject(window)) return 'a window is an object';
    if (!isCount(window['calls'], COUNT_MAX) || window['calls'] === 0)
      return `calls is not a number from 1 to ${COUNT_MAX}`;
    const { seconds } = window;
    if (typeof seconds !== 'number' || !(seconds >= 0.1 && seconds <= WINDOW_SECONDS_MAX)) {
      return `seconds is not a number from 0.1 to ${WINDOW_SECONDS_MAX}`;
    }
  }
  if (concurrencyMax !== null && (!isCount(concurrencyMax, CONCURRENCY_MAX) || concurrencyMax === 0)) {
    return `concurrencyMax is neither null nor a number from 1 to ${CONCURRENCY_MAX}`;
  }
  return null;
}

/** Only what a budget has; whatever else came with it is not carried on. */
export function plainBudget({ windows, concurrencyMax }: Budget): Budget {
  return { windows: windows.map(({ calls, seconds }) => ({ calls, seconds })), concurrencyMax };
}

function reportFault(report: unknown): string | null {
  if (!isObject(report)) return 'report is not an object';
  const counts = countsFault(report, ['answered', 'limited', 'failed', 'unused']);
  if (counts !== null) return `report: ${counts}`;
  if (!isTime(report['closedUntilMs'])) return 'report: closedUntilMs is not a time';
  if (typeof report['down'] !== 'boolean') return 'report: down is neither true nor false';
  const { latencyMs } = report;
  const isLatency = typeof latencyMs === 'number' && latencyMs >= 0 && latencyMs <= LATENCY_MS_MAX;
  return latencyMs === null || isLatency ? null : 'report: latencyMs is neither null nor a duration';
}

function countsFault(fields: Fields, names: readonly string[]): string | null {
  const wrong = names.find((name) => !isCount(fields[name], COUNT_MAX));
  return wrong === undefined ? null : `${wrong} is not a whole number from 0 to ${COUNT_MAX}`;
}

function isCount(value: unknown, max: number): boolean {
  return typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= max;
}

/** Epoch ms that a calendar can hold. */
function isTime(value: unknown): boolean {
  return typeof value === 'number' && value >= 0 && value < 2 ** 42;
}

function isObject(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
