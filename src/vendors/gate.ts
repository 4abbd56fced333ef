/** Admits as many calls as there are connections; the others wait here, the accounts taking turns. */
import { createFairQueue } from './fair-queue.ts';

export interface Gate<Call> {
  /** True: admitted. False: `admit` is called when a place is free, unless the call is over by then. */
  enter(call: Call): boolean;
  leave(): void;
  /** Calls inside. */
  admitted(): number;
  waiting(): readonly Call[];
}

export interface GateOptions<Call> {
  readonly places: number;
  readonly admit: (call: Call) => void;
  readonly isOver: (call: Call) => boolean;
  readonly accountOf: (call: Call) => string;
}

export function createGate<Call>({ places, admit, isOver, accountOf }: GateOptions<Call>): Gate<Call> {
  const queue = createFairQueue(isOver);
  let free = places;
  let admitting = false;

  return {
    waiting: queue.waiting,
    admitted: () => places - free,
    enter(call) {
      if (free > 0) {
        free -= 1;
        return true;
      }
      queue.add(accountOf(call), call);
      return false;
    },
    leave() {
      free += 1;
      // A call may leave while it is being admitted: in a loop, not ever deeper.
      if (admitting) return;
      admitting = true;
      try {
        for (let call = queue.next(); call !== null; call = free > 0 ? queue.next() : null) {
          free -= 1;
          admit(call);
        }
      } finally {
        admitting = false;
      }
    },
  };
}
