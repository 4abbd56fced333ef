/** When a running slice looks for callbacks: soon at first, then every second or three, and no longer than answers keep coming. */
import type { Log } from '../../model/log.ts';
import { type CallbackSource, type Callbacks, openCallbacks } from './callbacks.ts';

export interface Inbox {
  /** When the last look that was finished had begun (epoch ms): who was overdue by then has no answer. */
  lookedAtMs(): number;
  /** Answers may come any moment: it is worth to wait for them. */
  hopeful(): boolean;
  /** The vendor has taken an item. */
  expect(): void;
  /** Nothing is decided by a look any more. */
  stop(): void;
  /** The rows are committed: their answers are of no more use. */
  clear(): Promise<void>;
}

export interface InboxRequest extends Omit<CallbackSource, 'readCallback'> {
  /** Absent where answers come with the call. */
  readonly readCallback: CallbackSource['readCallback'] | undefined;
  readonly onLook: () => void;
  readonly log: Log;
}

const FIRST_LOOK_MS = 100;
const LOOK_EVERY_MS = 1_000;
/** Where many are awaited: nobody sees an answer before the slice commits, and a look costs by the answers there are. */
const MANY = 500;
const LOOK_FOR_MANY_EVERY_MS = 3_000;
/** A slice goes when so many looks have brought no answer: it is called again when one comes. */
const QUIET_LOOKS = 2;
/** A look at very many answers may take this share of the time, no more. */
const LOOKING_SHARE = 5;

/** What has come so far is folded in when it resolves: it must not be submitted again. */
export async function openInbox(request: InboxRequest): Promise<Inbox> {
  const { readCallback } = request;
  if (readCallback === undefined) return NO_INBOX;
  const callbacks = openCallbacks({ ...request, readCallback });
  const lookedAtMs = Date.now();
  const found = await callbacks.fold(() => false);
  return watch(request, callbacks, { lookedAtMs, found });
}

function watch(
  { rows, onLook, log }: InboxRequest,
  callbacks: Callbacks,
  first: { readonly lookedAtMs: number; readonly found: number },
): Inbox {
  let { lookedAtMs } = first;
  let newsAtMs = first.found > 0 ? Date.now() : 0;
  let pauseMs = FIRST_LOOK_MS;
  let stopped = false;
  let timer = setTimeout(look, pauseMs);
  const everyMs = () => (rows.awaiting() > MANY ? LOOK_FOR_MANY_EVERY_MS : LOOK_EVERY_MS);

  async function look(): Promise<void> {
    const begunAtMs = Date.now();
    let found = 0;
    if (rows.awaiting() > 0) {
      try {
        found = await callbacks.fold(() => stopped);
        lookedAtMs = begunAtMs;
      } catch (cause) {
        log('warn', 'callbacks could not be looked for', { cause });
      }
    }
    if (stopped) return;
    if (found > 0) newsAtMs = Date.now();
    pauseMs = found > 0 ? everyMs() : Math.min(everyMs(), 2 * pauseMs);
    timer = setTimeout(look, Math.max(pauseMs, LOOKING_SHARE * (Date.now() - begunAtMs)));
    onLook();
  }

  return {
    lookedAtMs: () => lookedAtMs,
    hopeful: () => rows.awaiting() > 0 && Date.now() - newsAtMs < QUIET_LOOKS * everyMs(),
    expect() {
      newsAtMs = Date.now();
      if (rows.awaiting() === 1) pauseMs = FIRST_LOOK_MS;
    },
    stop() {
      stopped = true;
      clearTimeout(timer);
    },
    clear: callbacks.clear,
  };
}

/** For targets whose answers come with the call. */
const NO_INBOX: Inbox = {
  lookedAtMs: () => 0,
  hopeful: () => false,
  expect: () => undefined,
  stop: () => undefined,
  clear: () => Promise.resolve(),
};
