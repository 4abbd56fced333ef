/** What one kind of history is: work that gets to certain crash points, and what must have become of it in the end. */

import type { CrashPoint } from '../../../src/model/crash-point.ts';
import type { Counts } from '../../../src/model/operation.ts';
import type { Random } from '../random.ts';
import type { Customer } from './customer.ts';
import type { Lane } from './lane.ts';
import type { PartMode } from './part.ts';

/** Where a history takes place. */
export interface Scene {
  readonly lane: Lane;
  readonly customer: Customer;
  /** Nothing else in the campaign has it: begins keys, addresses and the like. */
  readonly tag: string;
  readonly random: Random;
  /** From now on the point kills. */
  arm(): Promise<void>;
  /** Another API serves, which does not find Temporal; whoever follows it does. */
  withoutTemporal(): Promise<void>;
  /** What an operator does to a workflow behind the service's back. */
  readonly operator: Operator;
  /** From now on the vendor of products allows so many calls in any second, over all workers. */
  allow(callsPerSecond: number): Promise<void>;
}

export interface Operator {
  terminate(id: string): Promise<void>;
  /** As though it had never been started. */
  forget(id: string): Promise<void>;
}

/** One operation at the end of its history. */
export interface Told {
  readonly id: string;
  readonly run: number;
  /** Counts that must be just so; others may be anything that adds up. Null: it was purged, and is gone. */
  readonly counts: Partial<Counts> | null;
  /** Of contacts: the operation's rows are found in the table by it. */
  readonly rowsTag?: string;
}

export interface Scenario {
  readonly name: string;
  /** How many times it gets to each point for sure, whatever else happens. */
  readonly reaches: Readonly<Partial<Record<CrashPoint, number>>>;
  play(scene: Scene): Promise<readonly Told[]>;
}

const API_POINTS = /^(submit|retry|control|reconciler|purge|sweep)\.|^callback\.stored$/;

/** Who gets there. */
export function partOf(point: CrashPoint): PartMode {
  return API_POINTS.test(point) ? 'api' : 'worker';
}
