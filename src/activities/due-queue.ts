/** Items that wait for their next attempt, soonest first: a binary heap, since a throttled vendor may fill it. */

export interface Due {
  readonly dueMs: number;
}

export interface DueQueue<T extends Due> {
  add(entry: T): void;
  next(): T | null;
  takeDue(nowMs: number): T | null;
  drain(): T[];
}

export function createDueQueue<T extends Due>(): DueQueue<T> {
  let heap: T[] = [];
  const dueAt = (i: number): number => heap[i]?.dueMs ?? Number.POSITIVE_INFINITY;

  function swap(a: number, b: number): void {
    const [x, y] = [heap[a], heap[b]];
    if (x === undefined || y === undefined) return;
    heap[a] = y;
    heap[b] = x;
  }

  function rise(i: number): void {
    for (let parent = (i - 1) >> 1; i > 0 && dueAt(i) < dueAt(parent); parent = (i - 1) >> 1) {
      swap(i, parent);
      i = parent;
    }
  }

  function sink(i: number): void {
    for (;;) {
      const left = 2 * i + 1;
      const soonest = dueAt(left + 1) < dueAt(left) ? left + 1 : left;
      if (dueAt(soonest) >= dueAt(i)) return;
      swap(i, soonest);
      i = soonest;
    }
  }

  return {
    add(entry) {
      heap.push(entry);
      rise(heap.length - 1);
    },
    next: () => heap[0] ?? null,
    takeDue(nowMs) {
      const top = heap[0];
      if (top === undefined || top.dueMs > nowMs) return null;
      swap(0, heap.length - 1);
      heap.pop();
      sink(0);
      return top;
    },
    drain() {
      const all = heap;
      heap = [];
      return all;
    },
  };
}
