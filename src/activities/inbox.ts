/** When a running slice looks for callbacks: soon at first, then every second, and no longer than answers keep coming. */
import type { Log } from '../model/log.ts';

export interface Inbox {
  /** When the last look that was finished had begun (epoch ms): who was overdue by then has no answer. */
  lookedAtMs(): number;
  /** Answers may come any moment: it is worth to wait for them. */
  hopeful(): boolean;
  /** The vendor has taken an item. */
  expect(): void;
  /** Nothing is decided by a look any more. */
  stop(): void;
}

export interface InboxRequest {
  /** Resolves to the answers found. */
  readonly look: (stopped: () => boolean) => Promise<number>;
  /** Items that the vendor owes an answer for. */
  readonly awaiting: () => number;
  /** What the look before the slice began found, and when that was. */
  readonly found: number;
  readonly lookedAtMs: number;
  readonly onLook: () => void;
  readonly log: Log;
}

const FIRST_LOOK_MS = 100;
const LOOK_EVERY_MS = 1_000;
/** A slice goes when this long has brought no answer: it is called again when one comes. */
const QUIET_MS = 2_000;
/** A look at very many answers may take this share of the time, no more. */
const LOOKING_SHARE = 5;

export function openInbox(request: InboxRequest): Inbox {
  let { lookedAtMs } = request;
  let newsAtMs = request.found > 0 ? Date.now() : 0;
  let pauseMs = FIRST_LOOK_MS;
  let stopped = false;
  let timer = setTimeout(look, pauseMs);

  async function look(): Promise<void> {
    const begunAtMs = Date.now();
    let found = 0;
    if (request.awaiting() > 0) {
      try {
        found = await request.look(() => stopped);
        lookedAtMs = begunAtMs;
      } catch (cause) {
        request.log('warn', 'callbacks could not be looked for', { cause });
      }
    }
    if (stopped) return;
    if (found > 0) newsAtMs = Date.now();
    pauseMs = found > 0 ? LOOK_EVERY_MS : Math.min(LOOK_EVERY_MS, 2 * pauseMs);
    timer = setTimeout(look, Math.max(pauseMs, LOOKING_SHARE * (Date.now() - begunAtMs)));
    request.onLook();
  }

  return {
    lookedAtMs: () => lookedAtMs,
    hopeful: () => request.awaiting() > 0 && Date.now() - newsAtMs < QUIET_MS,
    expect() {
      newsAtMs = Date.now();
      if (request.awaiting() === 1) pauseMs = FIRST_LOOK_MS;
    },
    stop() {
      stopped = true;
      clearTimeout(timer);
    },
  };
}

/** For targets whose answers come with the call. */
export const NO_INBOX: Inbox = {
  lookedAtMs: () => 0,
  hopeful: () => false,
  expect: () => undefined,
  stop: () => undefined,
};
