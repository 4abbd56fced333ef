/** Holds a run's failures against its policy, halts it, and deals out what chunks may add before they come home to be counted. */
import { CancellationScope } from '@temporalio/workflow';
import {
  allowanceOf,
  type FailureAllowance,
  type FailurePolicy,
  type Halt,
  isSpent,
  type Standing,
  since,
  spend,
  standingOf,
  tripOf,
} from '../model/failure-policy.ts';
import type { Progress, Tally } from '../model/operation.ts';
import type { Plan } from '../model/plan.ts';
import type { ChunkState, OperationInput, SliceLimit } from '../model/workflow-contract.ts';
import { tellHalt } from './activities.ts';

/** What of it is shown, kept in the checkpoint and carried on. */
type Kept = Pick<Progress, 'halt' | 'countedFrom'>;

interface Grant {
  readonly allowance: FailureAllowance;
  /** Standing of the chunk when it was given. */
  readonly from: Standing;
}

/** Chunks in work at once. */
export interface Crowd {
  readonly plan: Plan;
  readonly window: number;
}

/** The run as its ledger knows it. */
export interface Watched {
  /** null: nothing limits it. */
  readonly policy: () => FailurePolicy | null;
  readonly tally: () => Tally;
  /** The chunks in work, as they last told. */
  readonly open: ReadonlyMap<number, ChunkState>;
  /** False where nothing is left to halt. */
  readonly mayHalt: () => boolean;
  /** What is kept of the watch is another one. */
  readonly changed: () => void;
}

export function createFailureWatch({ ref, run, base, carried }: OperationInput, watched: Watched) {
  const { policy, tally, open } = watched;
  const atStart = standingOf(base);
  const grants = new Map<number, Grant>();
  let halted: Halt | null = null;
  /** null: nothing counts until work goes on. */
  let from: Standing | null = atStart;
  let telling: Promise<void> | null = null;
  let onHalt: (halt: Halt) => void = () => undefined;
  show(carried ?? {});

  function show(kept: Kept): void {
    halted = kept.halt ?? null;
    from = kept.countedFrom === undefined ? atStart : kept.countedFrom;
  }

  const counted = (): Standing => since(from ?? standingOf(tally()), standingOf(tally()));

  function halt(trip: Omit<Halt, 'at'>): void {
    if (!watched.mayHalt()) return;
    halted = { ...trip, at: new Date().toISOString() };
    onHalt(halted);
    watched.changed();
    tellPause();
  }

  /** Whether there was anything left to stop is known at the end alone. */
  function tellPause(): void {
    if (halted?.action === 'pause') tell(halted);
  }

  /** In a scope of its own: it may be called from a signal's, which an operator's own cancel ends. */
  function tell(halt: Halt): void {
    const told = CancellationScope.nonCancellable(() => tellHalt({ version: 1, ref, run, halt }));
    telling = Promise.all([telling, told.catch(() => undefined)]).then(() => undefined);
  }

  return {
    halt,
    show,
    kept: (): Kept => ({
      ...(halted === null ? {} : { halt: halted }),
      ...(from === atStart ? {} : { countedFrom: from }),
    }),

    /** `listener` is told whenever the service itself halts the operation. */
    listen(listener: (halt: Halt) => void): void {
      onHalt = listener;
    },

    /** Resolves once the audit trail says of every halt; null where there was none. */
    told: () => telling,

    /** What came too late to spare anything has halted nothing. */
    end(early: boolean): void {
      show(halted === null || !early ? {} : { halt: halted });
      if (halted?.action === 'stop') tell(halted);
    },

    /** As a lost workflow left it, which may not have come to tell. */
    adopt(kept: Kept): void {
      show(kept);
      tellPause();
    },

    /** Asked after every change: what was decided last may be one failure too many. */
    judge(): void {
      const limits = policy();
      // What is halted already is not halted again before it was resumed.
      if (limits === null || halted !== null || from === null) return;
      const trip = tripOf(limits, counted());
      if (trip !== null) halt(trip);
    },

    /** Somebody has looked at it and resumes it: it must not be halted again by the same failures. True: it was halted. */
    lift(): boolean {
      if (halted?.action !== 'pause') return false;
      halted = null;
      from = null;
      watched.changed();
      return true;
    },

    /** Work goes on. What was in flight when it was halted has been counted by now. */
    countAfresh(): void {
      from ??= standingOf(tally());
    },

    /**
     * What the chunk may add before it comes home to be counted; undefined: anything; null: nothing before the others
     * have come home. To be asked anew each time.
     */
    allow(chunk: ChunkState, { plan, window }: Crowd): FailureAllowance | undefined | null {
      const limits = policy();
      if (limits === null) return undefined;
      grants.delete(chunk.ordinal);
      const granted = [...grants].map(([ordinal, grant]) => {
        const told = open.get(ordinal)?.tally;
        return told === undefined ? grant.allowance : leftOf(grant.allowance, grant.from, told);
      });
      const inFlight = plan.sliceConcurrency * (plan.batchItemsMax ?? 1);
      const allowance = allowanceOf(limits, counted(), { window, inFlight, granted });
      if (allowance !== null) grants.set(chunk.ordinal, { allowance, from: standingOf(chunk.tally) });
      return allowance;
    },

    cameHome(ordinal: number): void {
      grants.delete(ordinal);
    },
  };
}

function leftOf(allowance: FailureAllowance, from: Standing, now: Tally): FailureAllowance {
  return spend(allowance, since(from, standingOf(now)));
}

/** A chunk's own, slice by slice, since it was given `allowance` at `start`. */
export function createChunkBudget(allowance: FailureAllowance | undefined, start: Tally) {
  const from = standingOf(start);
  const left = (now: Tally) => (allowance === undefined ? undefined : leftOf(allowance, from, now));
  return {
    left,
    limit: ({ tally }: ChunkState): SliceLimit | null => limitOf(left(tally), tally),
    isSpent: ({ tally }: ChunkState): boolean =>
      allowance !== undefined && isSpent(allowance, since(from, standingOf(tally))),
  };
}

export function limitOf(allowance: FailureAllowance | undefined, known: Tally): SliceLimit | null {
  return allowance === undefined ? null : { allowance, from: standingOf(known) };
}
