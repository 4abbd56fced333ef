/** A process dies at each named crash point once, another takes over, and the history checker finds nothing. */
import { beforeAll, describe, expect, it } from 'vitest';
import { CRASH_POINTS } from '../../../src/model/crash-point.ts';
import { type Entry, lineOf } from '../../chaos/crashes/ledger.ts';
import { numbersOf, REACHABLE } from '../../chaos/crashes/plan.ts';
import { pointsWithoutWay } from '../../chaos/crashes/scenarios/index.ts';
import { sit } from '../../chaos/crashes/sitting.ts';
import { NO_POSTGRES, postgresIsWithinReach } from '../../fixtures/postgres.ts';
import { tell } from '../../fixtures/stack/faults.ts';

const SEED = Number(process.env['FAULT_SEED'] ?? Date.now() % 1_000_000);
const LANES = 3;
/** Four minutes where nothing else runs. */
const WITHIN_MS = 12 * 60_000;
const isReady = await postgresIsWithinReach();

const entries = new Map<string, Entry>();

it('every crash point has a history that gets there', () => {
  expect(pointsWithoutWay()).toEqual([]);
});

describe.skipIf(!isReady)(`each crash point once${isReady ? '' : ` (${NO_POSTGRES})`}`, () => {
  beforeAll(async () => {
    tell(`crash points: FAULT_SEED=${SEED}`);
    const onEntry = (entry: Entry): void => {
      entries.set(entry.point, entry);
      tell(lineOf(entry));
    };
    const numbers = numbersOf(SEED, REACHABLE.length, []);
    await sit({ seed: SEED, numbers, lanes: LANES, withinMs: WITHIN_MS, onEntry, onNote: tell });
  }, WITHIN_MS + 180_000);

  it.each(CRASH_POINTS)('%s: nothing is lost, doubled or untrue', (point) => {
    expect(entries.get(point)).toMatchObject({ reached: true, fault: null, violations: [] });
  });
});
