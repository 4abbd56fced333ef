/** Budgets of vendors are read strictly: a fault is never a looser limit, and each names its place. */
import { describe, expect, it } from 'vitest';
import { budgets } from '../../../src/budget-list.ts';
import { readConfig } from '../../../src/config.ts';
import type { Budget } from '../../../src/model/governor.ts';

const read = (list: string): Readonly<Record<string, Budget>> => budgets().parse(list);

function faultsOf(list: string): readonly string[] {
  const parsed = budgets().safeParse(list);
  return parsed.success ? [] : parsed.error.issues.map(({ message }) => message);
}

const windows = (...each: readonly (readonly [number, number])[]): Budget => ({
  windows: each.map(([calls, seconds]) => ({ calls, seconds })),
  concurrencyMax: null,
});

describe('budgets of vendors', () => {
  it('are none where nothing is said', () => {
    expect(read('')).toEqual({});
    expect(readConfig({}).vendors.budgets).toEqual({});
  });

  it('hold several windows and a concurrency at once', () => {
    expect(read('products=50/s+3000/min+100000/day+concurrency:20, sync=2/h')).toEqual({
      products: { windows: windows([50, 1], [3_000, 60], [100_000, 86_400]).windows, concurrencyMax: 20 },
      sync: windows([2, 3_600]),
    });
    expect(read('async=concurrency:1')).toEqual({ async: { windows: [], concurrencyMax: 1 } });
  });

  it.each<[string, number, number]>([
    ['100/10s', 100, 10],
    ['2.5/s', 5, 2],
    ['0.1/s', 1, 10],
    ['0.125/min', 1, 480],
    ['2.0/s', 2, 1],
    ['2.50/10s', 5, 20],
    ['1000000/s', 1_000_000, 1],
    ['1/2678400s', 1, 2_678_400],
  ])('read %s as whole calls in an equal window', (term, calls, seconds) => {
    expect(read(`products=${term}`)).toEqual({ products: windows([calls, seconds]) });
  });

  it.each<[string, string]>([
    ['products', '"products" is not vendor=budget'],
    ['products=', 'products: "" is neither'],
    ['=50/s', '"=50/s" is not vendor=budget'],
    ['Products=50/s', '"Products=50/s" is not vendor=budget'],
    ['products=50/s,', '"" is not vendor=budget'],
    ['products=50/s,,sync=1/s', '"" is not vendor=budget'],
    ['products=50/s,products=60/s', '"products=60/s" is another budget of products'],
    ['products=50', 'products: "50" is neither'],
    ['products=50/week', 'products: "50/week" is neither'],
    ['products=-1/s', '"-1/s" is neither'],
    ['products=1e3/s', '"1e3/s" is neither'],
    ['products=50/s+', 'products: "" is neither'],
    ['products=50/0s', '"50/0s" (seconds) must be a whole number from 1 to 2678400'],
    ['products=1/2678401s', '"1/2678401s" (seconds)'],
    ['products=0/s', '"0/s" (calls) must be a whole number from 1 to 1000000'],
    ['products=1000001/s', '"1000001/s" (calls)'],
    ['products=0.05/s', '"0.05/s" is not a whole number of calls within 10 windows'],
    ['products=50/s+60/1s', '"60/1s" there is a window of 1 s already'],
    ['products=2.5/s+6/2s', '"6/2s" there is a window of 2 s already'],
    ['products=concurrency:0', '"concurrency:0" must be a whole number from 1 to 100000'],
    ['products=concurrency:5+concurrency:6', '"concurrency:6" is a second concurrency'],
    [`products=${Array.from({ length: 9 }, (_, at) => `1/${at + 1}s`).join('+')}`, 'its windows must be 8 at most'],
  ])('refuse %s and say where', (list, place) => {
    const faults = faultsOf(list);
    expect(faults).toHaveLength(1);
    expect(faults[0]).toMatch(/^must /);
    expect(faults[0]).toContain(place);
  });

  it('tell every fault at once', () => {
    expect(faultsOf('products=0/s+50/week+concurrency:0,sync,async=7/s+8/s')).toHaveLength(3);
    expect(faultsOf('products=0/s+concurrency:0')).toHaveLength(2);
  });

  it('are for vendors that there are: a budget that nobody keeps would be no limit', () => {
    expect(() => readConfig({ VENDOR_BUDGETS: 'product=50/s' })).toThrow(
      'VENDOR_BUDGETS names "product", and there is no such vendor: products, sync, async',
    );
  });

  it('never take a name of the language for a vendor', () => {
    expect(Object.keys(read('constructor=1/s'))).toEqual(['constructor']);
  });
});
