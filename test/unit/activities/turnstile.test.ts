import { describe, expect, it } from 'vitest';
import { createControl } from '../../../src/activities/control.ts';
import { createTurnstile } from '../../../src/activities/turnstile.ts';
import { findTarget } from '../../../src/targets/index.ts';

const noop = findTarget('noop');
const products = findTarget('products');

describe('turnstile', () => {
  it('lets two slices of a computation work at once, the others in the order in which they came', async () => {
    const turnstile = createTurnstile();
    const entered: number[] = [];
    const enter = async (n: number) => {
      const leave = await turnstile.enter(noop, createControl());
      entered.push(n);
      return leave;
    };
    const [first, second, third, fourth] = [enter(1), enter(2), enter(3), enter(4)];
    const leaveFirst = await first;
    await second;
    await turn();
    expect(entered).toEqual([1, 2]);
    leaveFirst();
    (await third)();
    await fourth;
    expect(entered).toEqual([1, 2, 3, 4]);
  });

  it('does not keep slices that call a vendor', async () => {
    const turnstile = createTurnstile();
    for (let n = 0; n < 64; n++) await turnstile.enter(products, createControl());
  });

  it.each(['callHome', 'endSoon'] as const)('lets a slice through at once on %s', async (what) => {
    const { turnstile, leave } = await full();
    const control = createControl();
    const entering = turnstile.enter(noop, control);
    control[what]();
    (await entering)();
    control.end();
    // The place that it took beside the two is not handed on.
    let inside = false;
    const next = turnstile.enter(noop, createControl()).then(() => {
      inside = true;
    });
    await turn();
    expect(inside).toBe(false);
    leave();
    await next;
  });

  it('ends the wait of a slice whose lease is lost, and forgets it', async () => {
    const { turnstile, leave } = await full();
    const control = createControl();
    const entering = turnstile.enter(noop, control);
    control.lose();
    await expect(entering).rejects.toThrow('lost its lease');
    const next = turnstile.enter(noop, createControl());
    leave();
    await next;
  });

  it('takes a slice that was called home before it came', async () => {
    const { turnstile } = await full();
    const control = createControl();
    control.callHome();
    await turnstile.enter(noop, control);
    control.end();
  });
});

async function full() {
  const turnstile = createTurnstile();
  const leave = await turnstile.enter(noop, createControl());
  await turnstile.enter(noop, createControl());
  return { turnstile, leave };
}

function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
