/** kill -9 and SIGSTOP at random moments of a large run: it ends by itself, and every item is applied exactly once. */
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { LedgerRow } from '../../../src/mock-vendor/ledger.ts';
import { eventually } from '../../fixtures/stack/eventually.ts';
import {
  allAppliedOnce,
  createMoments,
  largestGapMs,
  ROUNDS,
  repeatedAfter,
  tell,
  waitMs,
} from '../../fixtures/stack/faults.ts';
import { productLines, slowBody } from '../../fixtures/stack/items.ts';
import { type Stack, startStack } from '../../fixtures/stack/stack.ts';
import { effectsOf } from '../../fixtures/stack/vendor.ts';
import { watchOperation } from '../../fixtures/stack/watch.ts';

const ITEMS = 50_000;
const BODY = productLines(ITEMS);
const LATENCY_MS = 20;
const VENDOR_CONNECTIONS = 256;
const JOURNAL_MS = 100;
const RECOVERY_MAX_MS = 8_000;
const HEARTBEAT_TIMEOUT_MS = 4_000;
/** Longer than the heartbeat timeout: by then the slice has been given to somebody else, or waits to be. */
const FREEZE_MS = HEARTBEAT_TIMEOUT_MS + 2_000;

let stack: Stack;
let moment: (fromMs: number, toMs: number) => number;

beforeAll(async () => {
  moment = createMoments('kills');
  stack = await startStack({ VENDOR_CONNECTIONS: `${VENDOR_CONNECTIONS}`, HEARTBEAT_TIMEOUT_MS: '4000' });
});
afterAll(() => stack?.stop());
beforeEach(async () => {
  await stack.vendor.reset();
  await stack.vendor.configure({ latencyMs: LATENCY_MS });
});

/** All that a kill at `moment` may repeat: what was in flight, and what was answered in the last 100 ms before it. */
function repeatableAt(calls: readonly LedgerRow[], moment: number): number {
  const answeredAt = ({ at, lagMs }: LedgerRow) => at + lagMs + LATENCY_MS;
  const answered = calls.filter((call) => answeredAt(call) > moment - JOURNAL_MS && answeredAt(call) <= moment);
  return VENDOR_CONNECTIONS + answered.length;
}

/** Submits, waits for calls to flow, and goes on to a random moment of the run. */
async function startRun(): Promise<string> {
  const { id } = await stack.client.accept({ body: BODY, key: randomUUID() });
  await eventually('the first calls', async () => (await stack.vendor.calls()) > 500, { everyMs: 20 });
  await waitMs(moment(0, 3_000));
  return id;
}

describe.each(Array.from({ length: ROUNDS }, (_, round) => round + 1))('round %i', (round) => {
  it('goes on within 8 s of kill -9 of the worker, and repeats only the last calls', async () => {
    const id = await startRun();
    const watch = watchOperation(stack.client, id);
    const killedAt = Date.now();
    process.kill(stack.pidOf('worker'), 'SIGKILL');
    const ended = await stack.client.ended(id);
    await watch.stop();
    const calls = await stack.vendor.ledger();
    const { repeated } = await allAppliedOnce(stack.client, ended, calls);
    const gapMs = largestGapMs(calls, killedAt);
    const repeatable = repeatableAt(calls, killedAt);
    const before = calls.filter(({ at }) => at <= killedAt).length;
    tell(
      `worker killed (${round}) after ${before} calls: gap ${gapMs.toFixed(0)} ms, ${repeated} calls repeated, ` +
        `at most ${repeatable} may be; ${watch.reads()} reads`,
    );
    expect(before).toBeLessThan(ITEMS);
    expect(gapMs).toBeLessThan(RECOVERY_MAX_MS);
    expect(repeated).toBeLessThanOrEqual(repeatable);
    expect(watch.faults).toEqual([]);
  });

  it('ends by itself after kill -9 of the Temporal server', async () => {
    const id = await startRun();
    const watch = watchOperation(stack.client, id);
    const killedAt = Date.now();
    process.kill(stack.pidOf('temporal'), 'SIGKILL');
    const ended = await stack.client.ended(id);
    await watch.stop();
    const calls = await stack.vendor.ledger();
    const { repeated } = await allAppliedOnce(stack.client, ended, calls);
    const gapMs = largestGapMs(calls, killedAt);
    tell(`Temporal killed (${round}): gap ${gapMs.toFixed(0)} ms, ${repeated} calls repeated`);
    expect(watch.faults).toEqual([]);
    expect(watch.slowestMs()).toBeLessThan(2_000);
  });

  it('goes on after kill -9 of the API mid-upload, and the upload comes again under its key', async () => {
    const id = await startRun();
    const watch = watchOperation(stack.client, id);
    const key = randomUUID();
    const upload = stack.client.submit({ body: slowBody(BODY, 8_192, 5), key }).then(
      () => 'answered',
      () => 'broken off',
    );
    await waitMs(moment(100, 1_500));
    process.kill(stack.pidOf('api'), 'SIGKILL');
    expect(await upload).toBe('broken off');
    const known = () => stack.client.send('GET', `/v1/operations/${key}`);
    expect(await eventually('the API', known)).toMatchObject({ status: 404 });
    const again = await stack.client.accept({ body: productLines(5_000), key });
    expect(again.id).toBe(key);
    const [first, second] = [await stack.client.ended(id), await stack.client.ended(key)];
    await watch.stop();
    const calls = await stack.vendor.ledger();
    const uid = calls[0]?.key?.split(':')[0] ?? '';
    const isFirst = (called: string | null) => called?.startsWith(uid) === true;
    const effects = await allAppliedOnce(
      stack.client,
      first,
      calls.filter((call) => isFirst(call.key)),
    );
    await allAppliedOnce(
      stack.client,
      second,
      calls.filter((call) => !isFirst(call.key)),
    );
    tell(`API killed mid-upload (${round}): ${effects.repeated} calls repeated; ${watch.reads()} reads`);
    expect(effects.repeated).toBe(0);
    expect(watch.faults).toEqual([]);
  });

  it('loses and doubles nothing when the only worker is frozen beyond the heartbeat timeout, and thaws', async () => {
    const id = await startRun();
    const watch = watchOperation(stack.client, id);
    const worker = stack.pidOf('worker');
    const frozenAt = Date.now();
    process.kill(worker, 'SIGSTOP');
    await waitMs(FREEZE_MS);
    process.kill(worker, 'SIGCONT');
    const ended = await stack.client.ended(id);
    await watch.stop();
    expect(stack.pidOf('worker')).toBe(worker);
    const calls = await stack.vendor.ledger();
    const { repeated } = await allAppliedOnce(stack.client, ended, calls);
    const repeatable = repeatableAt(calls, frozenAt);
    tell(
      `the only worker frozen (${round}): ${repeated} calls repeated, gap ${largestGapMs(calls, frozenAt).toFixed(0)} ms`,
    );
    expect(repeated).toBeLessThanOrEqual(repeatable);
    expect(watch.faults).toEqual([]);
  });

  it('lets neither a call nor a segment of a thawed worker count beside its replacement', async () => {
    const other = await stack.addWorker({ VENDOR_CONNECTIONS: `${VENDOR_CONNECTIONS}` });
    const id = await startRun();
    const watch = watchOperation(stack.client, id);
    const worker = stack.pidOf('worker');
    const frozenAt = Date.now();
    process.kill(worker, 'SIGSTOP');
    await waitMs(FREEZE_MS);
    process.kill(worker, 'SIGCONT');
    const thawedAt = Date.now();
    const ended = await stack.client.ended(id);
    await watch.stop();
    await other.stop();
    const calls = await stack.vendor.ledger();
    const { repeated } = await allAppliedOnce(stack.client, ended, calls);
    // What arrived while it was frozen is the other's; what was in its sockets arrives within the first moment.
    const byOther = calls.filter(({ at }) => at > frozenAt + 500 && at + LATENCY_MS < thawedAt);
    const keysOfOther = new Set(byOther.map(({ key }) => key));
    const late = calls.filter(({ at, key }) => at > thawedAt && keysOfOther.has(key));
    tell(
      `one of two workers frozen (${round}): ${repeated} calls repeated, ${repeatedAfter(calls, frozenAt).length} of them ` +
        `first called before; the other made ${byOther.length} calls meanwhile`,
    );
    expect(byOther.length).toBeGreaterThan(0);
    expect(late).toEqual([]);
    const repeatable = repeatableAt(calls, frozenAt);
    expect(repeated).toBeLessThanOrEqual(repeatable);
    expect(watch.faults).toEqual([]);
  });
});

describe('all the rounds', () => {
  it('left one uid per operation and no doubled product', async () => {
    expect(await stack.vendor.products('?doubled=true')).toEqual([]);
    expect(effectsOf(await stack.vendor.ledger()).doubled).toEqual([]);
  });
});
