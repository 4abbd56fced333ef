/** What an operation is to its owner, in as few words as will do: where it may stand, and what may be asked of it there. */

/** `open`: its items are being applied, or it has ended since we looked. `held`: paused before its time has come. */
export type Standing = 'scheduled' | 'held' | 'open' | 'paused' | 'ended' | 'purged';

export interface Modelled {
  readonly key: string;
  readonly items: number;
  /** Their vendor always refuses them. */
  readonly bad: number;
  standing: Standing;
  run: number;
  /** Somebody cancelled it in this run or one before: what was not begun stays undone. */
  wasCancelled: boolean;
  /** Counts of its last end, as it was shown. */
  last: string | null;
}

/** All that the account has; at most so many, so that commands meet. */
export interface Model {
  readonly operations: Modelled[];
}
export const OPERATIONS_MAX = 3;

export type Verb = 'pause' | 'resume' | 'cancel' | 'retry' | 'reschedule' | 'purge';

/** Whether the verb is taken, for sure or perhaps; else it is refused: 409, or 410 of what is purged. */
const TAKEN: Readonly<Record<Verb, Readonly<Partial<Record<Standing, 'yes' | 'maybe'>>>>> = {
  pause: { scheduled: 'yes', held: 'yes', open: 'maybe', paused: 'yes' },
  resume: { scheduled: 'yes', held: 'yes', open: 'maybe', paused: 'yes' },
  cancel: { scheduled: 'yes', held: 'yes', open: 'maybe', paused: 'yes', ended: 'maybe' },
  retry: { ended: 'maybe', open: 'maybe' },
  reschedule: { scheduled: 'yes', held: 'yes' },
  purge: { ended: 'yes', open: 'maybe', purged: 'yes' },
};

export function isTaken(verb: Verb, { standing }: Modelled): 'yes' | 'maybe' | 'no' {
  return TAKEN[verb][standing] ?? 'no';
}

/** The states that a reader may be shown. */
export const SHOWN: Readonly<Record<Exclude<Standing, 'purged'>, readonly string[]>> = {
  scheduled: ['scheduled'],
  held: ['scheduled'],
  open: ['queued', 'running', 'ended'],
  paused: ['paused'],
  ended: ['ended'],
};
