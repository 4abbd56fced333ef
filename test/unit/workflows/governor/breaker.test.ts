import { beforeEach, describe, expect, test } from 'vitest';
import type { BookAnswer, BookRequest, CallReport } from '../../../../src/model/governor.ts';
import { book } from '../../../../src/workflows/governor/book.ts';
import { remember, standingOf } from '../../../../src/workflows/governor/govern.ts';
import { freshState, type GovernorState } from '../../../../src/workflows/governor/state.ts';
import { bookingOf, QUIET_REPORT, slotTimes } from '../../../fixtures/governors.ts';

const BEGAN_MS = 1_763_700_000_000;
let state: GovernorState;
let nowMs = BEGAN_MS;

beforeEach(() => {
  nowMs = BEGAN_MS;
  state = remember(freshState(nowMs), { firstEver: true, budget: null }, nowMs);
});

function ask(worker: string, report: Partial<CallReport> = {}, over: Partial<BookRequest> = {}): BookAnswer {
  const request = bookingOf(worker, { sentAtMs: nowMs, report: { ...QUIET_REPORT, ...report }, ...over });
  const booked = book(state, request, nowMs);
  state = booked.state;
  return booked.answer;
}

function later(ms: number): void {
  nowMs += ms;
}

const DOWN = { failed: 20, down: true };

/** Opened, and its first probe is out. */
function probed(): number {
  ask('a', DOWN);
  later(1_000);
  const [slot = 0] = slotTimes(ask('a'));
  return slot;
}

describe('the breaker opens', () => {
  test('where a worker takes the vendor to be down', () => {
    expect(ask('a').breaker).toBe('closed');
    const answer = ask('a', DOWN);
    expect(answer).toMatchObject({ breaker: 'open', slots: [], closedUntilMs: nowMs + 1_000 });
    expect(ask('b')).toMatchObject({ breaker: 'open', slots: [] });
    expect(standingOf(state, nowMs)).toMatchObject({
      breaker: 'open',
      breakerSinceMs: nowMs,
      probeAtMs: nowMs + 1_000,
    });
  });

  test('where nothing is answered over two reports and a second', () => {
    expect(ask('a', { failed: 6 }).breaker).toBe('closed');
    later(500);
    expect(ask('b', { failed: 6 }).breaker).toBe('closed');
    later(500);
    expect(ask('a', { failed: 1 }).breaker).toBe('open');
  });

  test('not where others are answered: the link of one worker is down', () => {
    ask('b', { answered: 10 });
    later(100);
    expect(ask('a', DOWN).breaker).toBe('closed');
    later(2_100);
    expect(ask('a', DOWN).breaker).toBe('open');
  });

  test('not for failures between answers', () => {
    for (let i = 0; i < 30; i++) {
      expect(ask('a', { failed: 9, answered: 1 }).breaker).toBe('closed');
      later(500);
    }
  });

  test('not for a vendor that only limits', () => {
    for (let i = 0; i < 30; i++) {
      expect(ask('a', { limited: 20 }).breaker).toBe('closed');
      later(500);
    }
  });
});

describe('while it is open', () => {
  test('one probe goes out when its time has come, to whoever wants one first', () => {
    ask('a', DOWN);
    later(900);
    expect(ask('b').slots).toEqual([]);
    later(100);
    expect(ask('b', {}, { wanted: 0 }).slots).toEqual([]);
    const answer = ask('c');
    expect(slotTimes(answer)).toHaveLength(1);
    // Whoever probes must not give up its slot.
    expect(answer).toMatchObject({ breaker: 'half_open', closedUntilMs: 0 });
    for (const worker of ['a', 'b', 'c']) {
      later(100);
      const other = ask(worker, {}, { inFlight: worker === 'c' ? 1 : 0 });
      expect(other).toMatchObject({ breaker: 'half_open', slots: [] });
      expect(other.closedUntilMs).toBeGreaterThan(nowMs);
    }
  });

  test('failed probes go out ever more seldom: after 1, 2, 4, 5, 5 s', () => {
    ask('a', DOWN);
    const waits = [];
    for (let i = 0; i < 5; i++) {
      const openedMs = nowMs;
      let slots: number[] = [];
      while (slots.length === 0) {
        later(100);
        slots = slotTimes(ask('a'));
      }
      waits.push(nowMs - openedMs);
      later(200);
      expect(ask('a', { failed: 1, down: true }).breaker).toBe('open');
    }
    expect(waits).toEqual([1_000, 2_000, 4_000, 5_000, 5_000]);
  });

  test('an answered probe closes it, and calls start slowly', () => {
    const slotMs = probed();
    later(slotMs - nowMs + 50);
    const answer = ask('a', { answered: 1 }, { wanted: 1_000 });
    expect(answer).toMatchObject({ breaker: 'closed', closedUntilMs: 0 });
    const within = slotTimes(answer).filter((slot) => slot < nowMs + 1_000);
    expect(within.length).toBeGreaterThan(5);
    expect(within.length).toBeLessThan(20);
    expect(standingOf(state, nowMs)).toMatchObject({ breaker: 'closed', probeAtMs: null });
  });

  test('one that was limited tells as much: the vendor is there', () => {
    const slotMs = probed();
    later(slotMs - nowMs + 50);
    expect(ask('a', { limited: 1 }).breaker).toBe('closed');
  });

  test('what others tell of calls from before says nothing', () => {
    const slotMs = probed();
    later(slotMs - nowMs + 50);
    expect(ask('b', { answered: 5 }).breaker).toBe('half_open');
    expect(ask('b', { failed: 5, down: true }).breaker).toBe('half_open');
  });

  test('a probe whose slot was missed is followed by another at once, one under way is waited for', () => {
    const slotMs = probed();
    later(slotMs - nowMs + 300);
    expect(ask('a', {}, { inFlight: 1 }).slots).toEqual([]);
    later(300);
    expect(slotTimes(ask('a', { unused: 1 }))).toHaveLength(1);
  });

  test('a probe that is lost with its worker is followed by another after ten seconds', () => {
    probed();
    later(9_000);
    expect(ask('b').slots).toEqual([]);
    later(1_200);
    expect(slotTimes(ask('b'))).toHaveLength(1);
  });

  test('the failures that others still tell of do not open it again while one is answered', () => {
    const slotMs = probed();
    later(slotMs - nowMs + 50);
    ask('a', { answered: 1 });
    later(100);
    expect(ask('b', DOWN).breaker).toBe('closed');
  });

  test('a vendor without windows is probed too, and free again afterwards', () => {
    const budget = { windows: [], concurrencyMax: null };
    ask('a', {}, { budget });
    expect(ask('a', DOWN, { budget }).slots).toEqual([]);
    later(1_000);
    const probe = ask('a', {}, { budget });
    expect(slotTimes(probe)).toHaveLength(1);
    later(200);
    expect(ask('a', { answered: 1 }, { budget }).slots).toBe('free');
  });
});

describe('a vendor that asks to be left alone', () => {
  test('gets no call before: the calendar goes on after that', () => {
    const untilMs = nowMs + 1_500;
    const answer = ask('a', { limited: 1, closedUntilMs: untilMs }, { wanted: 100 });
    expect(answer.closedUntilMs).toBe(untilMs);
    expect(slotTimes(answer).every((slot) => slot >= untilMs)).toBe(true);
    later(1_000);
    expect(Math.min(...slotTimes(ask('b', {}, { wanted: 100 })))).toBeGreaterThanOrEqual(untilMs);
  });

  test('is left alone for an hour at most', () => {
    expect(ask('a', { limited: 1, closedUntilMs: nowMs + 86_400_000 }).closedUntilMs).toBe(nowMs + 3_600_000);
  });

  test('is not asked for again and again meanwhile', () => {
    let asked = 0;
    ask('a', { limited: 1, closedUntilMs: nowMs + 60_000 });
    for (const endMs = nowMs + 50_000; nowMs < endMs; asked++) later(ask('a').askAgainMs);
    expect(asked).toBeLessThan(12);
  });

  test('is asked for again once the clock that was ahead has gone back', () => {
    later(600_000);
    ask('a', {}, { wanted: 50 });
    later(-600_000);
    const answer = ask('a', {}, { wanted: 50 });
    expect(slotTimes(answer)).toEqual([]);
    later(6_000);
    expect(slotTimes(ask('a', {}, { wanted: 50 })).length).toBeGreaterThan(0);
  });
});

test('who holds the probe is not held back before it, though it asks once more', () => {
  const slot = probed();
  later(20);
  expect(slot).toBeGreaterThan(nowMs);
  expect(ask('a', { failed: 1 }, { held: 1, inFlight: 3 })).toMatchObject({ breaker: 'half_open', closedUntilMs: 0 });
  expect(ask('b').closedUntilMs).toBeGreaterThan(nowMs);
});
