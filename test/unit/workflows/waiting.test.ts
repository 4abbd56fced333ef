import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { ChunkState } from '../../../src/model/workflow-contract.ts';
import { createArrivals } from '../../../src/operations/callbacks/arrivals.ts';
import { freshChunk } from '../../../src/workflows/progress.ts';
import { createWaiting, gapAfter } from '../../../src/workflows/waiting.ts';
import { plan } from '../../fixtures/plan.ts';

const TIMEOUT_MS = 10 * 60_000;
const GAP_MAX_MS = TIMEOUT_MS / 8;
const chunk = (ordinal: number): ChunkState => freshChunk(ordinal, plan());
const awaits = (items: number, until = TIMEOUT_MS) => ({ items, until });

describe('a chunk that waits for callbacks', () => {
  it('is looked at a second after its last slice where callbacks have come, also during that slice', () => {
    const waiting = createWaiting({ callbackTimeoutMs: TIMEOUT_MS });
    waiting.enter(chunk(0), awaits(10), 0);
    expect(waiting.nextAtMs()).toBe(15_000);
    waiting.tell(0);
    expect(waiting.nextAtMs()).toBe(1_000);
    expect(waiting.takeDue(999)).toBeNull();
    expect(waiting.takeDue(1_000)?.ordinal).toBe(0);
    waiting.tell(0);
    waiting.enter(chunk(0), awaits(10), 1_500);
    expect(waiting.nextAtMs()).toBeLessThan(4_000);
  });

  it('is looked at at once where callbacks come after a long silence', () => {
    const waiting = createWaiting({ callbackTimeoutMs: 3_600_000 });
    waiting.enter(chunk(0), awaits(1, 3_600_000), 0);
    expect(waiting.takeDue(14_000)).toBeNull();
    waiting.tell(0);
    expect(waiting.takeDue(14_000)?.ordinal).toBe(0);
  });

  it('is looked at without news after 15 s, and then ever more seldom, up to five minutes', () => {
    const waiting = createWaiting({ callbackTimeoutMs: TIMEOUT_MS });
    const waits: number[] = [];
    for (let nowMs = 0; waits.length < 7; ) {
      waiting.enter(chunk(0), awaits(5, 3_600_000), nowMs);
      const nextMs = waiting.nextAtMs() ?? Number.NaN;
      waits.push((nextMs - nowMs) / 1_000);
      nowMs = nextMs;
      expect(waiting.takeDue(nowMs)).not.toBeNull();
    }
    expect(waits).toEqual([15, 30, 60, 120, 240, 300, 300]);
  });

  it('is looked at by its first deadline, and then for many deadlines at once', () => {
    const waiting = createWaiting({ callbackTimeoutMs: TIMEOUT_MS });
    waiting.enter(chunk(0), awaits(9, 5_000), 0);
    expect(waiting.takeDue(5_000)).not.toBeNull();
    waiting.enter(chunk(0), awaits(8, 5_010), 5_005);
    expect(waiting.nextAtMs()).toBe(35_005);
  });

  it('goes on at its pace when it comes back from an interruption, which may be long', () => {
    const waiting = createWaiting({ callbackTimeoutMs: TIMEOUT_MS });
    waiting.enter(chunk(0), awaits(5), 0);
    waiting.takeDue(15_000);
    const waits = waiting.enter(chunk(0), awaits(5), 15_000);
    const quick = createWaiting({ callbackTimeoutMs: TIMEOUT_MS });
    quick.comeBack(waits, 16_000);
    expect(quick.nextAtMs()).toBe(17_000);
    expect(quick.takeDue(17_000)?.ordinal).toBe(0);
    quick.enter(chunk(0), awaits(5), 17_000);
    expect(quick.nextAtMs()).toBe(77_000);
    const slow = createWaiting({ callbackTimeoutMs: TIMEOUT_MS });
    slow.comeBack(waits, 60_000);
    expect(slow.takeDue(60_000)?.ordinal).toBe(0);
  });

  it('is looked at at once when it comes back from an interruption before it was looked at', () => {
    const waiting = createWaiting({ callbackTimeoutMs: TIMEOUT_MS });
    waiting.comeBack(chunk(3), 77);
    expect(waiting.takeDue(77)?.ordinal).toBe(3);
    expect(waiting.nextAtMs()).toBeNull();
  });

  it('keeps a second between two looks, and none waits longer with news than an eighth of the timeout', () => {
    const step = fc.record({
      afterMs: fc.integer({ min: 0, max: 200_000 }),
      tells: fc.array(fc.nat(3)),
      came: fc.nat(500),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const waiting = createWaiting({ callbackTimeoutMs: TIMEOUT_MS });
        const items = [2_500, 2_500, 40, 1];
        const lookedAtMs = items.map(() => Number.NEGATIVE_INFINITY);
        const newsAtMs = new Map<number, number>();
        for (const [ordinal, left] of items.entries()) waiting.enter(chunk(ordinal), awaits(left, 10 ** 9), 0);
        let nowMs = 0;
        for (const { afterMs, tells, came } of steps) {
          nowMs += afterMs;
          for (const ordinal of tells) {
            waiting.tell(ordinal);
            if (!newsAtMs.has(ordinal)) newsAtMs.set(ordinal, nowMs);
          }
          for (let due = waiting.takeDue(nowMs); due !== null; due = waiting.takeDue(nowMs)) {
            const { ordinal } = due;
            expect(nowMs - (lookedAtMs[ordinal] ?? 0)).toBeGreaterThanOrEqual(1_000);
            lookedAtMs[ordinal] = nowMs;
            newsAtMs.delete(ordinal);
            items[ordinal] = Math.max(1, (items[ordinal] ?? 1) - came);
            waiting.enter(due, awaits(items[ordinal] ?? 1, 10 ** 9), nowMs);
          }
          for (const [ordinal, atMs] of newsAtMs) {
            expect(nowMs - Math.max(atMs, lookedAtMs[ordinal] ?? 0)).toBeLessThanOrEqual(GAP_MAX_MS);
          }
          expect(waiting.chunks()).toBe(items.length);
        }
      }),
    );
  });

  it('waits three quarters of the time that the rest should take, at most as long as it may', () => {
    const before = { firstAtMs: 0, items: 1_000, atMs: 0, gapMs: 1_000, patienceMs: 15_000 };
    expect(gapAfter(before, 900, 10_000, GAP_MAX_MS)).toBe(67_500);
    expect(gapAfter(before, 1, 10_000, GAP_MAX_MS)).toBe(1_000);
    expect(gapAfter(before, 999, 10_000, GAP_MAX_MS)).toBe(GAP_MAX_MS);
    expect(gapAfter(before, 1_000, 10_000, GAP_MAX_MS)).toBe(2_000);
  });
});

const ITEMS = 10_000;
const CHUNK_ITEMS = 2_500;
const EVENTS_MAX = 1_000;
/** Scheduled, started, completed, and the workflow task that hears of it. */
const LOOK_EVENTS = 6;
/** Started, fired or cancelled, and the workflow task. */
const TIMER_EVENTS = 5;
const SIGNAL_EVENTS = 4;
/** Four chunks at 200 calls/s: boxes of 3, 6, 12, 24 and 30 s; then start, end and checkpoints. */
const SUBMISSION_EVENTS = 4 * 5 * LOOK_EVENTS + 20;

/** A slice stays while callbacks keep coming, for a box at most. */
const SILENCE_MS = 2_000;
const BOX_MS = 30_000;

/** Runs the real waiting and the real pace of signals on a clock of its own; the answer is the cost. */
async function costOf(callbackAtMs: readonly number[]): Promise<{ events: number; lateMs: number }> {
  const waiting = createWaiting({ callbackTimeoutMs: TIMEOUT_MS });
  const chunks = Array.from({ length: ITEMS / CHUNK_ITEMS }, () => ({ came: 0, folded: 0, lastMs: 0 }));
  let events = SUBMISSION_EVENTS;
  let open = chunks.length;
  let endedAtMs = 0;
  let alarm: { readonly atMs: number; readonly timer: NodeJS.Timeout } | null = null;

  const arrivals = createArrivals(async (_account, _id, ordinals) => {
    events += SIGNAL_EVENTS;
    for (const ordinal of ordinals) waiting.tell(ordinal);
    go();
  });

  function go(): void {
    for (let due = waiting.takeDue(Date.now()); due !== null; due = waiting.takeDue(Date.now())) look(due, Date.now());
    const nextMs = waiting.nextAtMs();
    if (nextMs === null || (alarm !== null && alarm.atMs <= nextMs)) return;
    clearTimeout(alarm?.timer);
    events += TIMER_EVENTS;
    const timer = setTimeout(() => {
      alarm = null;
      go();
    }, nextMs - Date.now());
    alarm = { atMs: nextMs, timer };
  }

  function look(state: ChunkState, sinceMs: number): void {
    const standing = chunks[state.ordinal];
    if (standing === undefined) throw new Error('no such chunk');
    const quiet = Date.now() - Math.max(sinceMs, standing.lastMs) >= SILENCE_MS;
    if (!quiet && Date.now() - sinceMs < BOX_MS && standing.came < CHUNK_ITEMS) {
      setTimeout(() => look(state, sinceMs), 500);
      return;
    }
    events += LOOK_EVENTS;
    standing.folded = standing.came;
    if (standing.folded < CHUNK_ITEMS) waiting.enter(state, awaits(CHUNK_ITEMS - standing.folded), Date.now());
    else if (--open === 0) endedAtMs = Date.now();
    go();
  }

  for (const ordinal of chunks.keys()) waiting.enter(chunk(ordinal), awaits(CHUNK_ITEMS), Date.now());
  go();
  const coming = callbackAtMs.map((atMs, item) => ({ atMs, ordinal: item % chunks.length }));
  coming.sort((a, b) => b.atMs - a.atMs);
  // One timer at a time: fake timers are slow where there are many.
  function come(): void {
    for (let next = coming.at(-1); next !== undefined && next.atMs <= Date.now(); next = coming.at(-1)) {
      coming.pop();
      const standing = chunks[next.ordinal];
      if (standing === undefined) throw new Error('no such chunk');
      standing.came++;
      standing.lastMs = Date.now();
      arrivals.add('a', 'b', next.ordinal);
    }
    const next = coming.at(-1);
    if (next !== undefined) setTimeout(come, Math.ceil(next.atMs - Date.now()));
  }
  come();
  while (open > 0) await vi.advanceTimersByTimeAsync(1_000);
  arrivals.stop();
  return { events, lateMs: endedAtMs - Math.max(...callbackAtMs) };
}

describe('10,000 items that wait for callbacks', () => {
  beforeEach(() => {
    vi.useFakeTimers({ now: 0 });
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  const parts = fc.noBias(fc.integer({ min: 0, max: 999_999 }));
  const random = fc.sample(parts, { numRuns: ITEMS, seed: 1 }).map((part) => part / 1_000_000);
  const paces: Readonly<Record<string, (u: number, item: number) => number>> = {
    'all at once': () => 7_000,
    'within ten seconds': (u) => 10_000 * u,
    'evenly, within a minute': (u) => 60_000 * u,
    'evenly, as slowly as they may': (u) => 0.99 * TIMEOUT_MS * u,
    'mostly at both ends of a minute': (u) => 60_000 * (u < 0.5 ? u ** 20 : 1 - (1 - u) ** 20),
    'in ten bursts': (u) => 55_000 * Math.floor(10 * u) + 1,
    'most at once, the rest slowly': (u) => (u < 0.9 ? 3_000 : TIMEOUT_MS * 0.99 * 10 * (u - 0.9)),
    'ever more slowly': (u) => Math.min(0.99 * TIMEOUT_MS, -60_000 * Math.log(1 - u)),
    'chunk after chunk': (u, item) => ((item % 4) + u) * 0.24 * TIMEOUT_MS,
  };

  it.each(Object.entries(paces))('cost at most 1,000 history events when they come %s', async (_name, pace) => {
    const { events, lateMs } = await costOf(random.map(pace));
    expect(events).toBeLessThanOrEqual(EVENTS_MAX);
    expect(lateMs).toBeLessThanOrEqual(GAP_MAX_MS + BOX_MS);
  });
});
