/** Which item of a chunk is next: those never begun, in input order, and those that wait for their next attempt. */
import { createDueQueue } from './due-queue.ts';
import type { Rows } from './rows.ts';

/** An item under way within a slice. */
export interface Task {
  readonly position: number;
  /** Attempts that count against the retry policy, and calls made. */
  readonly counted: number;
  readonly attempts: number;
  /** An earlier attempt may have had its effect. */
  readonly doubt: boolean;
  /** Epoch ms before which it must not be tried; of what a vendor has taken: when its callback is overdue. */
  readonly dueMs: number;
  /** A vendor has taken it and owes a callback. */
  readonly submitted?: { readonly vendorRef: string | null };
}

export interface WorkQueue {
  /** The next item that may begin now; null where none may. */
  take(nowMs: number, probing: boolean): Task | null;
  /** The next item whose callback was overdue at `lookedAtMs`. */
  takeOverdue(lookedAtMs: number): Task | null;
  putOff(task: Task): void;
  hasFresh(): boolean;
  /** When the soonest of those that wait is due; null where none waits. */
  nextDueMs(): number | null;
  /** When the next callback is overdue; null where none is awaited. */
  nextOverdueMs(): number | null;
  /** Ends the queue: those that wait. */
  drain(): readonly Task[];
}

export function createWorkQueue(rows: Rows, mayBegin: (position: number) => boolean): WorkQueue {
  const fresh: number[] = [];
  const waiting = createDueQueue<Task>();
  const awaited = createDueQueue<Task>();
  const putOff = (task: Task) => (task.submitted === undefined ? waiting : awaited).add(task);
  for (const position of rows.open()) {
    const { notBefore, attempts, doubt, submitted } = rows.standing(position);
    const task = { position, counted: attempts, attempts, doubt, dueMs: notBefore };
    if (submitted !== undefined) putOff({ ...task, attempts: attempts + 1, submitted });
    else if (rows.isFresh(position) || (attempts === 0 && !doubt && notBefore === 0)) fresh.push(position);
    else putOff(task);
  }
  let next = 0;

  function takeFresh(): Task | null {
    const position = fresh[next];
    if (position === undefined || !mayBegin(position)) return null;
    next++;
    return { position, counted: 0, attempts: 0, doubt: rows.standing(position).doubt, dueMs: 0 };
  }

  return {
    take(nowMs, probing) {
      // A probe asks with an item that never failed, where there is one: a bad item must not keep a vendor closed.
      const due = probing && next < fresh.length ? null : waiting.takeDue(nowMs);
      return due ?? takeFresh();
    },
    takeOverdue: (lookedAtMs) => awaited.takeDue(lookedAtMs),
    putOff,
    hasFresh: () => next < fresh.length,
    nextDueMs: () => waiting.next()?.dueMs ?? null,
    nextOverdueMs: () => awaited.next()?.dueMs ?? null,
    drain: () => [...waiting.drain(), ...awaited.drain()],
  };
}
