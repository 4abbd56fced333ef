/** `Prefer: wait=N`: a status read that answers when there is news, instead of being asked again and again. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { OperationView } from '../../operations/operations.ts';
import type { ApiLimits } from '../limits.ts';
import { createPlaces } from '../places.ts';
import { matchesEntityTag } from '../render.ts';

/** Seconds asked for; null where the header asks for no wait. Unknown preferences are ignored, as RFC 7240 wants. */
export function readWaitSeconds(prefer: string | undefined): number | null {
  const seconds = /(?:^|[,;])\s*wait\s*=\s*"?(\d{1,9})"?\s*(?:$|[,;])/i.exec(prefer ?? '')?.[1];
  return seconds === undefined ? null : Number(seconds);
}

type WaitLimits = Pick<ApiLimits, 'waitIntervalMs' | 'waitersMax' | 'waitersPerAccountMax'>;

export type AwaitNews = (request: {
  readonly account: string;
  readonly read: () => Promise<OperationView>;
  /** The validators that the client has; without any, only the end is news. */
  readonly ifNoneMatch: string | undefined;
  readonly seconds: number;
  readonly signal: AbortSignal;
}) => Promise<OperationView>;

/** Never throws for having waited: when time, client or server are gone, the last view is the answer. */
export function createAwaitNews(limits: WaitLimits): AwaitNews {
  const waiters = createPlaces(limits.waitersMax, limits.waitersPerAccountMax);
  return async ({ account, read, ifNoneMatch, seconds, signal }) => {
    const deadline = performance.now() + seconds * 1_000;
    let view = await read();
    if (!waiters.take(account)) return view;
    try {
      while (!isNews(view, ifNoneMatch) && !signal.aborted) {
        const leftMs = deadline - performance.now();
        if (leftMs <= 0) break;
        await sleep(Math.min(limits.waitIntervalMs, leftMs), undefined, { signal }).catch(() => {});
        if (!signal.aborted) view = await read();
      }
      return view;
    } finally {
      waiters.leave(account);
    }
  };
}

function isNews(view: OperationView, ifNoneMatch: string | undefined): boolean {
  if (view.state === 'ended') return true;
  return ifNoneMatch !== undefined && !matchesEntityTag(ifNoneMatch, view);
}
