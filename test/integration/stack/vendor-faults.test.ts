/** A vendor that fails, limits, hangs and goes away: every item is decided, and no effect is had twice. */
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { eventually } from '../../fixtures/stack/eventually.ts';
import { allAppliedOnce, resultsThatMatch, tell, waitMs } from '../../fixtures/stack/faults.ts';
import { productLines } from '../../fixtures/stack/items.ts';
import { type Stack, startStack } from '../../fixtures/stack/stack.ts';
import { effectsOf } from '../../fixtures/stack/vendor.ts';
import { watchOperation } from '../../fixtures/stack/watch.ts';

const DOWN_MS = 15_000;
const RESUME_MAX_MS = 10_000;

let stack: Stack;

beforeAll(async () => {
  stack = await startStack({ CALL_TIMEOUT_MS: '1000' });
});
afterAll(() => stack?.stop());
beforeEach(() => stack.vendor.reset());

describe('a vendor', () => {
  it('that errs, resets and hangs leaves every item decided, and none applied twice', async () => {
    const items = 2_000;
    await stack.vendor.configure({
      ...{ latencyMs: 10, seed: 7, errors: { '500': 0.2, '503': 0.1 } },
      ...{ resetAfterEffectRate: 0.05, hangRate: 0.05 },
    });
    const { id } = await stack.client.accept({ body: productLines(items), key: randomUUID() });
    const watch = watchOperation(stack.client, id);
    const ended = await stack.client.ended(id);
    await watch.stop();
    const { outcomes } = await resultsThatMatch(stack.client, ended);
    const { succeeded, failed, unknown } = ended.counts;
    const effects = effectsOf(await stack.vendor.ledger());
    const has = (outcome: string) => outcomes.flatMap((each, index) => (each === outcome ? [index] : []));
    const wronged = has('failed').filter((index) => effects.appliedIndexes.has(index));
    tell(
      `faulty vendor: ${JSON.stringify({ succeeded, failed, unknown })}, ${effects.repeated} calls repeated; ` +
        `${wronged.length} failed whose effect is there`,
    );
    expect(succeeded + failed + unknown).toBe(items);
    expect(succeeded).toBeGreaterThan(items * 0.95);
    expect(effects.doubled).toEqual([]);
    expect(wronged).toEqual([]);
    expect(has('succeeded').filter((index) => !effects.appliedIndexes.has(index))).toEqual([]);
    expect(await stack.vendor.products('?doubled=true')).toEqual([]);
    expect(watch.faults).toEqual([]);
  });

  it('that allows 50 calls a second and says so is obeyed: no item fails', async () => {
    const items = 500;
    await stack.vendor.configure({ latencyMs: 10, callsPerSecond: 50 });
    const startedAt = performance.now();
    const { id } = await stack.client.accept({ body: productLines(items), key: randomUUID() });
    const watch = watchOperation(stack.client, id);
    const ended = await stack.client.ended(id, 150_000);
    const tookMs = performance.now() - startedAt;
    await watch.stop();
    const calls = await stack.vendor.ledger();
    await allAppliedOnce(stack.client, ended, calls);
    const refused = calls.filter(({ status }) => status === 429).length;
    tell(`limit of 50/s: ${items} items in ${tookMs.toFixed(0)} ms, ${refused} calls refused with 429`);
    expect(watch.faults).toEqual([]);
  });

  it('that is away for 15 s fails no item, and is called again within 10 s of its return', async () => {
    const items = 20_000;
    await stack.vendor.configure({ latencyMs: 100 });
    const { id } = await stack.client.accept({ body: productLines(items), key: randomUUID() });
    const watch = watchOperation(stack.client, id);
    await eventually('a part of the calls', async () => (await stack.vendor.calls()) > 2_000);
    await stack.vendor.configure({ down: true });
    await waitMs(DOWN_MS);
    const { throttle } = await stack.client.get(id);
    await stack.vendor.configure({ down: false });
    const backAt = Date.now();
    const ended = await stack.client.ended(id);
    await watch.stop();
    const calls = await stack.vendor.ledger();
    await allAppliedOnce(stack.client, ended, calls);
    const applied = calls.filter(({ at, applied: hadEffect }) => hadEffect && at > backAt);
    const resumedMs = (applied[0]?.at ?? Number.POSITIVE_INFINITY) - backAt;
    const tenth = (applied[Math.floor(applied.length / 10)]?.at ?? Number.POSITIVE_INFINITY) - backAt;
    const refused = calls.filter(({ status }) => status === 503).length;
    tell(
      `vendor away: first effect ${resumedMs.toFixed(0)} ms after its return, a tenth of the rest after ` +
        `${tenth.toFixed(0)} ms; ${refused} calls refused meanwhile; throttle ${JSON.stringify(throttle)}`,
    );
    expect(resumedMs).toBeLessThan(RESUME_MAX_MS);
    expect(tenth).toBeLessThan(RESUME_MAX_MS);
    expect(watch.faults).toEqual([]);
  });
});
