import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { BookAnswer, CallWindow } from '../../../../src/model/governor.ts';
import { book } from '../../../../src/workflows/governor/book.ts';
import { remember, setBudget } from '../../../../src/workflows/governor/govern.ts';
import { freshState, type GovernorState } from '../../../../src/workflows/governor/state.ts';
import { bookingOf } from '../../../fixtures/governors.ts';

const BEGAN_MS = 1_763_700_000_000;
const STEP_MS = 50;

interface Member {
  readonly name: string;
  /** Null: it is dead. Its clock is off by so much. */
  clockMs: number | null;
  askAtMs: number;
  frozenUntilMs: number;
  places: number;
  placesUntilMs: number;
  /** Ends of calls in flight. */
  inFlight: number[];
  most: number;
  held: number;
}

interface Trouble {
  /** Of answers, by turns: 1 of so many is lost; 0 = none. */
  readonly lostEvery: number;
  readonly freezeEveryMs: number;
  readonly killAtMs: number;
  readonly callMs: number;
  /** A worker that does not tell which answer it has. */
  readonly echoes: boolean;
  /** Calls begin during half of so long only; 0 = all the time. */
  readonly idleMs: number;
}

const CALM: Trouble = { lostEvery: 0, freezeEveryMs: 0, killAtMs: 0, callMs: 400, echoes: true, idleMs: 0 };

interface Played {
  readonly mostAtOnce: number;
  readonly members: readonly Member[];
  /** Share of the places that calls were in, over the last two thirds. */
  readonly used: number;
}

function play(places: number, size: number, seconds: number, trouble: Partial<Trouble> = {}): Played {
  const { lostEvery, freezeEveryMs, killAtMs, callMs, echoes, idleMs } = { ...CALM, ...trouble };
  let state = remember(freshState(BEGAN_MS), { firstEver: true, budget: null }, BEGAN_MS);
  const windows: CallWindow[] = [];
  const members: Member[] = Array.from({ length: size }, (_, i) => ({
    name: `w${i}`,
    clockMs: ((i * 3) % 9) - 4,
    askAtMs: BEGAN_MS + i * 40,
    frozenUntilMs: 0,
    places: 0,
    placesUntilMs: 0,
    inFlight: [],
    most: 0,
    held: 0,
  }));
  let asked = 0;
  let mostAtOnce = 0;
  let taken = 0;
  let steps = 0;

  function ask(member: Member, nowMs: number): void {
    asked++;
    const booked = book(
      state,
      bookingOf(member.name, {
        sentAtMs: nowMs + (member.clockMs ?? 0),
        wanted: 50,
        inFlight: member.inFlight.length,
        ...(echoes ? { placesUntilMs: member.placesUntilMs } : {}),
        budget: { windows, concurrencyMax: places },
      }),
      nowMs,
    );
    state = JSON.parse(JSON.stringify(booked.state)) as GovernorState;
    member.askAtMs = nowMs + booked.answer.askAgainMs;
    if (lostEvery > 0 && asked % lostEvery === 0) return;
    heed(member, booked.answer);
  }

  function heed(member: Member, answer: BookAnswer): void {
    member.places = answer.places ?? Number.POSITIVE_INFINITY;
    member.placesUntilMs = answer.placesUntilMs;
  }

  function work(member: Member, nowMs: number): void {
    const mine = nowMs + (member.clockMs ?? 0);
    if (idleMs > 0 && (nowMs - BEGAN_MS + members.indexOf(member) * 370) % idleMs < idleMs / 2) return;
    while (member.inFlight.length < member.places && mine < member.placesUntilMs) {
      member.inFlight.push(nowMs + callMs * (0.5 + ((steps * 7 + member.inFlight.length) % 10) / 10));
    }
    member.most = Math.max(member.most, member.inFlight.length);
  }

  for (let nowMs = BEGAN_MS; nowMs < BEGAN_MS + seconds * 1000; nowMs += STEP_MS, steps++) {
    for (const [i, member] of members.entries()) {
      member.inFlight = member.inFlight.filter((endMs) => endMs > nowMs);
      if (killAtMs > 0 && i === 0 && nowMs >= BEGAN_MS + killAtMs) member.clockMs = null;
      if (freezeEveryMs > 0 && (nowMs - BEGAN_MS + i * 1_700) % freezeEveryMs === 0)
        member.frozenUntilMs = nowMs + 4_500;
      if (member.clockMs === null || nowMs < member.frozenUntilMs) continue;
      // What it decided before a freeze it does after it: work comes before the question.
      work(member, nowMs);
      if (nowMs >= member.askAtMs) ask(member, nowMs);
    }
    const now = members.reduce((sum, { inFlight }) => sum + inFlight.length, 0);
    mostAtOnce = Math.max(mostAtOnce, now);
    if (nowMs > BEGAN_MS + seconds * 333) taken += now;
  }
  return { mostAtOnce, members, used: taken / (places * steps * 0.667) };
}

describe('places for calls in flight', () => {
  test('are never more than the budget says, whatever is lost, frozen or killed', () => {
    const troubles = fc.record({
      lostEvery: fc.constantFrom(0, 2, 3, 7),
      freezeEveryMs: fc.constantFrom(0, 6_000, 11_000),
      killAtMs: fc.constantFrom(0, 3_000, 9_050),
      callMs: fc.constantFrom(60, 400, 5_000, 20_000),
      echoes: fc.boolean(),
      idleMs: fc.constantFrom(0, 800, 2_600),
    });
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 12 }),
        fc.integer({ min: 1, max: 6 }),
        troubles,
        (places, size, trouble) => {
          expect(play(places, size, 45, trouble).mostAtOnce).toBeLessThanOrEqual(places);
        },
      ),
      { numRuns: 150 },
    );
  });

  test.each([
    [1, 4, 0.4],
    [3, 4, 0.5],
    [4, 4, 0.8],
    [10, 4, 0.8],
    [50, 3, 0.8],
  ])('%i of them, with %i workers: every worker gets some, and they are used', (places, size, share) => {
    const { members, used } = play(places, size, 60);
    for (const { most } of members) expect(most).toBeGreaterThan(0);
    expect(used).toBeGreaterThan(share);
  });

  test('are all for a worker alone', () => {
    expect(play(7, 1, 20).members[0]?.most).toBe(7);
  });

  test('of a worker that is gone are free after its calls must have ended', () => {
    const { members, mostAtOnce } = play(4, 2, 60, { killAtMs: 2_000 });
    expect(mostAtOnce).toBeLessThanOrEqual(4);
    expect(members[1]?.places).toBe(4);
  });

  test('are renewed with each booking, soon enough while calls are in flight', () => {
    const began = remember(freshState(BEGAN_MS), { firstEver: true, budget: null }, BEGAN_MS);
    const budget = { windows: [], concurrencyMax: 5 };
    const { answer } = book(began, bookingOf('a', { wanted: 0, inFlight: 2, budget }), BEGAN_MS);
    expect(answer.askAgainMs).toBeLessThanOrEqual(1_000);
    expect(answer.placesUntilMs).toBe(BEGAN_MS + 3_000);
    expect(answer.slots).toBe('free');
  });

  test('are none until a lost governor’s leases are over', () => {
    const began = remember(freshState(BEGAN_MS), { firstEver: false, budget: null }, BEGAN_MS);
    const budget = { windows: [], concurrencyMax: 5 };
    const early = book(began, bookingOf('a', { budget }), BEGAN_MS + 3_000);
    expect(early.answer).toMatchObject({ places: 0, slots: [] });
    expect(book(early.state, bookingOf('a', { budget }), BEGAN_MS + 5_100).answer).toMatchObject({
      places: 5,
      slots: 'free',
    });
  });

  test('are as many as a budget says that is set while calls are made', () => {
    const began = remember(freshState(BEGAN_MS), { firstEver: true, budget: null }, BEGAN_MS);
    const ten = { windows: [], concurrencyMax: 10 };
    const first = book(began, bookingOf('a', { budget: ten }), BEGAN_MS);
    expect(first.answer.places).toBe(10);
    const { state } = setBudget(first.state, { windows: [], concurrencyMax: 3 }, BEGAN_MS + 100);
    expect(book(state, bookingOf('a', { budget: ten, inFlight: 8 }), BEGAN_MS + 200).answer.places).toBe(3);
    const none = setBudget(state, { windows: [{ calls: 5, seconds: 1 }], concurrencyMax: null }, BEGAN_MS + 300);
    expect(book(none.state, bookingOf('a', { budget: ten }), BEGAN_MS + 400).answer.places).toBeNull();
  });
});
