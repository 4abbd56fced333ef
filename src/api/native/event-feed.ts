/** Watches operations for those who follow their events: one reader for an operation, however many follow it. */
import { setTimeout as sleep } from 'node:timers/promises';
import { isTrancheError, TrancheError } from '../../model/errors.ts';
import type { OperationView } from '../../operations/operations.ts';
import { createPlaces } from '../places.ts';

export interface EventFeedOptions {
  readonly read: (account: string, id: string) => Promise<OperationView>;
  /** Between two reads of one operation: what bounds the events a second. */
  readonly intervalMs: number;
  /** Over all operations; one more is refused. */
  readonly followersMax: number;
  /** … and of one account; absent = no bound of its own. */
  readonly followersPerAccountMax?: number;
}

export interface EventFeed {
  /** Throws `unavailable` where too many follow already. */
  follow(account: string, id: string): Follower;
}

/** Keeps nothing for a reader that is slow: what it missed, the newest view says. */
export interface Follower {
  /** The newest view so far; null before the first. */
  latest(): OperationView | null;
  /** True once the operation is not there any more. */
  isGone(): boolean;
  /** Resolves when the newest view is another than `seen`, when the time is over, or when the signal is aborted. */
  news(seen: OperationView | null, withinMs: number, signal: AbortSignal): Promise<void>;
  leave(): void;
}

interface Watched {
  latest: OperationView | null;
  gone: boolean;
  followers: number;
  readonly waiting: Set<() => void>;
  readonly stop: AbortController;
}

export function createEventFeed(options: EventFeedOptions): EventFeed {
  const { read, intervalMs, followersMax, followersPerAccountMax = followersMax } = options;
  const watched = new Map<string, Watched>();
  const followers = createPlaces(followersMax, followersPerAccountMax);

  async function watch(it: Watched, account: string, id: string): Promise<void> {
    const { signal } = it.stop;
    while (!signal.aborted && !it.gone) {
      try {
        const view = await read(account, id);
        if (isNews(it.latest, view)) it.latest = view;
      } catch (error) {
        // Whatever else it is, it passes; followers have the last view until then.
        it.gone = isTrancheError(error) && (error.code === 'not_found' || error.code === 'gone');
      }
      for (const wake of it.waiting) wake();
      await sleep(paceMs(intervalMs, watched.size), undefined, { signal }).catch(() => {});
    }
  }

  function open(name: string, account: string, id: string): Watched {
    const it = { latest: null, gone: false, followers: 0, waiting: new Set<() => void>(), stop: new AbortController() };
    watched.set(name, it);
    void watch(it, account, id);
    return it;
  }

  return {
    follow(account, id) {
      if (!followers.take(account)) throw new TrancheError('unavailable', 'Too many follow events now; come back.');
      const name = `${account}/${id}`;
      const it = watched.get(name) ?? open(name, account, id);
      it.followers++;
      let left = false;
      return {
        latest: () => it.latest,
        isGone: () => it.gone,
        news: (seen, withinMs, signal) => nextNews(it, seen, withinMs, signal),
        leave() {
          if (left) return;
          left = true;
          followers.leave(account);
          it.followers--;
          if (it.followers > 0) return;
          it.stop.abort();
          watched.delete(name);
        },
      };
    },
  };
}

/** A read of an operation that goes on is a query of its workflow: about 10 ms of the cluster. */
const FULL_PACE_MAX = 50;

/** Between two reads of one operation: beyond so many of them at once all are read less often, not more reads made. */
export function paceMs(intervalMs: number, operations: number): number {
  return intervalMs * Math.max(1, operations / FULL_PACE_MAX);
}

function isNews(before: OperationView | null, view: OperationView): boolean {
  if (before === null || before.run !== view.run) return true;
  return before.revision !== view.revision || before.state !== view.state;
}

function nextNews(it: Watched, seen: OperationView | null, withinMs: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      it.waiting.delete(look);
      signal.removeEventListener('abort', done);
      resolve();
    };
    const look = () => {
      if (it.gone || it.latest !== seen) done();
    };
    const timer = setTimeout(done, withinMs);
    it.waiting.add(look);
    signal.addEventListener('abort', done, { once: true });
    if (signal.aborted) done();
    else look();
  });
}
