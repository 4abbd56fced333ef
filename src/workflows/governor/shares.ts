/** Shares what there is of a vendor among the workers that ask for it: as much as each wants, evenly where it is not enough. */
import type { Holder } from './state.ts';

/** A worker that was not seen for so long leaves its share to the others; longer where it was told to ask later. */
const SEEN_MS = 2_500;
const LATE_MS = 1_000;

/** Until when a worker counts that was told to ask again after `askAgainMs`. */
export function activeUntil(nowMs: number, askAgainMs: number): number {
  return nowMs + Math.max(SEEN_MS, askAgainMs + LATE_MS);
}

/** Those that share the calendar. */
export function activeHolders(holders: readonly Holder[], nowMs: number): readonly Holder[] {
  return holders.filter((it) => it.activeUntilMs > nowMs && demandOf(it) > 0);
}

export function demandOf({ held, waiting }: Holder): number {
  return held + waiting;
}

/** Slots ahead, of those that it held when it was last seen. */
export function heldNow({ held, lastSlotAtMs }: Holder, nowMs: number, everyMs: number): number {
  if (lastSlotAtMs <= nowMs) return 0;
  return Math.min(held, Math.floor((lastSlotAtMs - nowMs) / everyMs) + 1);
}

/**
 * Max-min fairness: the level up to which every demand is met, so that all of them together take `capacity`. Infinite
 * where there is enough for all.
 */
export function waterline(demands: readonly number[], capacity: number): number {
  let left = capacity;
  const rising = [...demands].sort((a, b) => a - b);
  for (const [i, demand] of rising.entries()) {
    const even = left / (rising.length - i);
    if (demand > even) return Math.max(0, even);
    left -= demand;
  }
  return Number.POSITIVE_INFINITY;
}

/** Workers that hold nothing and have waited longer since their last slot: their turn comes first. */
export function aheadInLine(me: Holder, active: readonly Holder[], nowMs: number, everyMs: number): number {
  const isAhead = (it: Holder) =>
    it.worker !== me.worker &&
    it.waiting > 0 &&
    (it.grantedAtMs < me.grantedAtMs || (it.grantedAtMs === me.grantedAtMs && it.worker < me.worker)) &&
    heldNow(it, nowMs, everyMs) === 0;
  return active.filter(isAhead).length;
}
