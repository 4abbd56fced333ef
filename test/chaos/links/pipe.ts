/** One direction of one connection: passes bytes on in order, as late and as slowly as the link's fault says. */
import type { Socket } from 'node:net';
import type { LinkFault, Way } from './fault.ts';

export interface Pipe {
  /** The link's fault has begun or is over. */
  changed(): void;
  /** Something was swallowed: what comes later would be torn. */
  isTorn(): boolean;
}

export interface PipeDeps {
  readonly from: Socket;
  readonly to: Socket;
  readonly way: 'up' | 'down';
  readonly fault: () => LinkFault | null;
}

const QUEUED_BYTES_MAX = 256 * 1024;
const TICK_MS = 50;

export function createPipe({ from, to, way, fault }: PipeDeps): Pipe {
  const queue: { readonly bytes: Buffer; readonly dueAt: number }[] = [];
  let queuedBytes = 0;
  let ended = false;
  let torn = false;
  let timer: NodeJS.Timeout | null = null;

  const wakeIn = (ms: number): void => {
    timer ??= setTimeout(() => {
      timer = null;
      pump();
    }, ms);
  };

  function pump(): void {
    for (let head = queue[0]; head !== undefined && !to.destroyed; head = queue[0]) {
      const now = fault();
      if (affects(now, 'hold', way)) return;
      const waitMs = head.dueAt - performance.now();
      if (waitMs > 0) {
        wakeIn(waitMs);
        return;
      }
      queue.shift();
      const share =
        now?.kind === 'trickle' ? Math.max(1, Math.floor((now.bytesPerSecond * TICK_MS) / 1_000)) : head.bytes.length;
      if (share < head.bytes.length) queue.unshift({ bytes: head.bytes.subarray(share), dueAt: 0 });
      const sent = head.bytes.subarray(0, share);
      queuedBytes -= sent.length;
      const room = to.write(sent);
      if (!room) from.pause();
      if (now?.kind === 'trickle') {
        wakeIn(TICK_MS);
        return;
      }
    }
    if (queuedBytes < QUEUED_BYTES_MAX && !to.writableNeedDrain) from.resume();
    if (ended && queue.length === 0 && !torn) to.end();
  }

  from.on('data', (bytes: Buffer) => {
    const now = fault();
    if (affects(now, 'hole', way)) {
      torn = true;
      return;
    }
    queue.push({ bytes, dueAt: performance.now() + (now?.kind === 'delay' ? now.delayMs : 0) });
    queuedBytes += bytes.length;
    if (queuedBytes >= QUEUED_BYTES_MAX) from.pause();
    pump();
  });
  from.on('end', () => {
    if (affects(fault(), 'hole', way)) torn = true;
    ended = true;
    pump();
  });
  to.on('drain', pump);
  to.once('close', () => {
    if (timer !== null) clearTimeout(timer);
    queue.length = 0;
  });
  return { changed: pump, isTorn: () => torn };
}

export function affects(fault: LinkFault | null, kind: 'hold' | 'hole', way: 'up' | 'down'): boolean {
  return fault !== null && fault.kind === kind && reaches(fault.way, way);
}

function reaches(fault: Way, way: 'up' | 'down'): boolean {
  return fault === 'both' || fault === way;
}
