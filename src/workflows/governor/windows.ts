/** Counts the booked slots of each window of a budget in buckets, so that a minute or a day costs as little as a second. */
import { type CallWindow, SPREAD_MS } from '../../model/governor.ts';

/** Slots booked per stretch of time; `buckets` hold `[number of the stretch, slots]`, rising. */
export interface Track {
  readonly seconds: number;
  readonly bucketMs: number;
  readonly buckets: readonly Bucket[];
}
export type Bucket = readonly [at: number, slots: number];

/** Longer windows are kept by counting, shorter ones by spacing. */
export const SHORT_WINDOW_MAX_S = 10;
/** A bucket counts in full until all of it has left: a share of 1/128 of a long window's calls is lost at most. */
const LONG_BUCKETS = 128;
/** Short windows are counted to be shown only. */
const SHORT_BUCKETS = 16;

/** One track for each length, with what the former ones have counted. */
export function tracksOf(windows: readonly CallWindow[], former: readonly Track[]): readonly Track[] {
  const lengths = [...new Set(windows.map(({ seconds }) => seconds))];
  return lengths.map((seconds) => former.find((track) => track.seconds === seconds) ?? freshTrack(seconds));
}

function freshTrack(seconds: number): Track {
  const buckets = seconds > SHORT_WINDOW_MAX_S ? LONG_BUCKETS : SHORT_BUCKETS;
  return { seconds, bucketMs: Math.ceil((seconds * 1000) / buckets), buckets: [] };
}

/** From when on a bucket's slots share no window with another slot, however late their calls leave. */
function goneAtMs({ seconds, bucketMs }: Track, [at]: Bucket): number {
  return (at + 1) * bucketMs + seconds * 1000 + SPREAD_MS;
}

/** How many slots may be booked at `atMs`; where none may, from when on some may. */
export function roomAt(track: Track, calls: number, atMs: number): { readonly slots: number; readonly fromMs: number } {
  const standing = track.buckets.filter((bucket) => goneAtMs(track, bucket) > atMs);
  let used = standing.reduce((sum, [, slots]) => sum + slots, 0);
  if (used < calls) return { slots: calls - used, fromMs: atMs };
  for (const bucket of standing) {
    used -= bucket[1];
    if (used < calls) return { slots: 0, fromMs: goneAtMs(track, bucket) };
  }
  return { slots: 0, fromMs: Number.POSITIVE_INFINITY };
}

/** Adds `count` slots, `everyMs` apart; none lies before one that was added earlier. */
export function addSlots(track: Track, firstAtMs: number, everyMs: number, count: number): Track {
  const buckets = [...track.buckets];
  let left = count;
  for (let atMs = firstAtMs; left > 0; ) {
    const at = Math.floor(atMs / track.bucketMs);
    const slots = Math.min(left, Math.max(1, Math.ceil(((at + 1) * track.bucketMs - atMs) / everyMs)));
    const last = buckets.at(-1);
    if (last?.[0] === at) buckets[buckets.length - 1] = [at, last[1] + slots];
    else buckets.push([at, slots]);
    left -= slots;
    atMs += slots * everyMs;
  }
  return { ...track, buckets };
}

export function withoutGone(track: Track, nowMs: number): Track {
  const first = track.buckets[0];
  if (first === undefined || goneAtMs(track, first) > nowMs) return track;
  return { ...track, buckets: track.buckets.filter((bucket) => goneAtMs(track, bucket) > nowMs) };
}

/** What stands in the window that ends now. */
export function usedIn({ seconds, bucketMs, buckets }: Track, nowMs: number): number {
  const inWindow = ([at]: Bucket) => at * bucketMs <= nowMs && (at + 1) * bucketMs > nowMs - seconds * 1000;
  return buckets.filter(inWindow).reduce((sum, [, slots]) => sum + slots, 0);
}
