/** Reads `VENDOR_BUDGETS`: what each vendor allows, e.g. `products=50/s+3000/min+concurrency:20,sync=2.5/s`. */
import { z } from 'zod';
import { type BudgetFault, faultsOfBudget } from './model/budget.ts';
import type { Budget, CallWindow } from './model/governor.ts';

/** Strict; every fault names its place: the vendor, and the part as it was written. */
export const budgets = () =>
  z.string().transform((list, context): Readonly<Record<string, Budget>> => {
    const read: Record<string, Budget> = {};
    const tell = (message: string) => context.addIssue({ code: 'custom', message });
    for (const entry of list === '' ? [] : list.split(',').map((text) => text.trim())) {
      const [, vendor, terms] = /^([a-z][a-z0-9-]{0,39})=(.*)$/.exec(entry) ?? [];
      if (vendor === undefined || terms === undefined) {
        tell(`must be a list like products=50/s+concurrency:20,sync=2.5/s; "${entry}" is not vendor=budget`);
      } else if (Object.hasOwn(read, vendor)) {
        tell(`must name each vendor once; "${entry}" is another budget of ${vendor}`);
      } else {
        read[vendor] = readBudget(terms, (message) => tell(`must be budgets; ${vendor}: ${message}`));
      }
    }
    return read;
  });

type Tell = (message: string) => void;

/** One issue for each fault; what is returned then is not used. */
function readBudget(text: string, tell: Tell): Budget {
  const windows: { readonly window: CallWindow; readonly term: string }[] = [];
  let concurrency: { readonly max: number; readonly term: string } | null = null;
  let isRead = true;
  const fault = (message: string) => {
    isRead = false;
    tell(message);
  };
  for (const term of text.split('+').map((part) => part.trim())) {
    const max = /^concurrency:(\d{1,9})$/.exec(term)?.[1];
    if (max === undefined) {
      const window = readWindow(term, fault);
      if (window !== null) windows.push({ window, term });
    } else if (concurrency === null) concurrency = { max: Number(max), term };
    else fault(`"${term}" is a second concurrency`);
  }
  const budget = { windows: windows.map(({ window }) => window), concurrencyMax: concurrency?.max ?? null };
  const terms = { windows: windows.map(({ term }) => term), concurrency: concurrency?.term ?? '' };
  if (isRead) for (const each of faultsOfBudget(budget)) tell(`${placeOf(each, terms)} ${each.message}`);
  return budget;
}

const UNIT_SECONDS: Readonly<Record<string, number>> = { s: 1, min: 60, h: 3_600, day: 86_400 };
/** A fraction that comes to whole calls in no more windows than this; else the limit would be a looser one. */
const WINDOWS_MAX = 10;

function readWindow(term: string, fault: Tell): CallWindow | null {
  const [, calls, unit] = /^(\d{1,9}(?:\.\d{1,6})?)\/(s|min|h|day|\d{1,9}s)$/.exec(term) ?? [];
  if (calls === undefined || unit === undefined) {
    fault(`"${term}" is neither calls/time (time: s, min, h, day, or seconds as in 100/10s) nor concurrency:calls`);
    return null;
  }
  const seconds = UNIT_SECONDS[unit] ?? Number(unit.slice(0, -1));
  const windows = windowsUntilWhole(calls);
  if (windows <= WINDOWS_MAX) return { calls: Math.round(Number(calls) * windows), seconds: seconds * windows };
  fault(`"${term}" is not a whole number of calls within ${WINDOWS_MAX} windows: say calls/seconds, as in 1/20s`);
  return null;
}

/** By its digits, not by a float: 2.5 is whole after 2. */
function windowsUntilWhole(decimal: string): number {
  const fraction = decimal.split('.')[1] ?? '';
  const [part, whole] = [Number(fraction), 10 ** fraction.length];
  return whole / greatestDivisor(part, whole);
}

function greatestDivisor(one: number, other: number): number {
  return one === 0 ? other : greatestDivisor(other % one, one);
}

interface Terms {
  readonly windows: readonly string[];
  readonly concurrency: string;
}

function placeOf({ place }: BudgetFault, { windows, concurrency }: Terms): string {
  if (place === 'concurrencyMax') return `"${concurrency}"`;
  const [, at, member] = place.split('.');
  if (at === undefined) return 'its windows';
  return `"${windows[Number(at)]}"${member === undefined ? '' : ` (${member})`}`;
}
