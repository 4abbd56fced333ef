/** Admits as many calls as there are connections; the others wait here, first come, first served. */

export interface Gate<Call> {
  /** True: admitted. False: `admit` is called when a place is free, unless the call is over by then. */
  enter(call: Call): boolean;
  leave(): void;
  /** In the order of coming. */
  waiting(): readonly Call[];
}

export interface GateOptions<Call> {
  readonly places: number;
  readonly admit: (call: Call) => void;
  readonly isOver: (call: Call) => boolean;
}

/** Left behind in front of the queue before it is cut. */
const PASSED_MAX = 1_024;

export function createGate<Call>({ places, admit, isOver }: GateOptions<Call>): Gate<Call> {
  let free = places;
  let queue: Call[] = [];
  let head = 0;
  let admitting = false;

  function next(): Call | null {
    while (head < queue.length) {
      const call = queue[head++];
      if (call !== undefined && !isOver(call)) return call;
    }
    queue = [];
    head = 0;
    return null;
  }

  return {
    waiting: () => queue.slice(head).filter((call) => !isOver(call)),
    enter(call) {
      if (free > 0) {
        free -= 1;
        return true;
      }
      if (head > PASSED_MAX) {
        queue = queue.slice(head);
        head = 0;
      }
      queue.push(call);
      return false;
    },
    leave() {
      free += 1;
      // A call may leave while it is being admitted: in a loop, not ever deeper.
      if (admitting) return;
      admitting = true;
      try {
        for (let call = next(); call !== null; call = free > 0 ? next() : null) {
          free -= 1;
          admit(call);
        }
      } finally {
        admitting = false;
      }
    },
  };
}
