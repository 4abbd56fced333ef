/** Calls back: so many at a time, in order or shuffled, again and again until somebody takes it. */
import { Agent, request } from 'undici';

/** What became of the callbacks so far, as `GET /callbacks` shows it. */
export interface CallbackCounts {
  /** Waiting for their time, for a place or for another try. */
  readonly pending: number;
  /** Calls made, repeated ones included. */
  readonly sent: number;
  /** Answered with 2xx. */
  readonly taken: number;
  /** Answered in a way that no other try would change. */
  readonly refused: number;
  /** Tried as often as it makes sense. */
  readonly givenUp: number;
  /** Answers to callbacks with broken tokens, by status. */
  readonly forged: Readonly<Record<string, number>>;
}

export interface Callback {
  readonly url: string;
  readonly body: string;
  readonly delayMs: number;
  /** Sent once, whatever is said. */
  readonly isForged: boolean;
}

export interface CallbackSender {
  /** Resolves when its first call was answered, or could not be made. Never rejects. */
  send(callback: Callback): Promise<void>;
  shuffle(random: (() => number) | null): void;
  counts(): CallbackCounts;
  /** Forgets what is pending. */
  clear(): void;
  close(): Promise<void>;
}

const IN_FLIGHT_MAX = 64;
const CALL_MAX_MS = 10_000;
const TRIES_MAX = 60;
/** Sent entries left behind in front of the queue before it is cut. */
const PASSED_MAX = 1_024;
const AGAIN_MIN_MS = 100;
const AGAIN_MAX_MS = 2_000;

interface Waiting extends Callback {
  readonly tries: number;
  readonly answered: () => void;
}

export function createCallbackSender(): CallbackSender {
  const agent = new Agent({ connections: IN_FLIGHT_MAX, pipelining: 1 });
  const timers = new Set<NodeJS.Timeout>();
  let due: Waiting[] = [];
  let head = 0;
  let inFlight = 0;
  let random: (() => number) | null = null;
  let counts = { sent: 0, taken: 0, refused: 0, givenUp: 0 };
  let forged: Record<string, number> = {};

  function later(waiting: Waiting, delayMs: number): void {
    const timer = setTimeout(() => {
      timers.delete(timer);
      due.push(waiting);
      pump();
    }, delayMs);
    timers.add(timer);
  }

  function pump(): void {
    while (inFlight < IN_FLIGHT_MAX) {
      const next = takeNext();
      if (next === undefined) return;
      inFlight += 1;
      void call(next).finally(() => {
        inFlight -= 1;
        pump();
      });
    }
  }

  function takeNext(): Waiting | undefined {
    if (random === null) return takeFirst();
    const at = head + Math.floor(random() * (due.length - head));
    const chosen = due[at];
    const first = due[head];
    if (chosen !== undefined && first !== undefined) {
      due[at] = first;
      due[head] = chosen;
    }
    return takeFirst();
  }

  /** Cut now and then: to shift each off a long array would cost its length every time. */
  function takeFirst(): Waiting | undefined {
    const first = due[head];
    if (first !== undefined) head += 1;
    if (head > PASSED_MAX || first === undefined) {
      due = due.slice(head);
      head = 0;
    }
    return first;
  }

  async function call(waiting: Waiting): Promise<void> {
    counts.sent += 1;
    const status = await post(waiting);
    waiting.answered();
    if (waiting.isForged) forged[status] = (forged[status] ?? 0) + 1;
    else if (status >= 200 && status < 300) counts.taken += 1;
    else if (status >= 400 && status < 500 && status !== 408 && status !== 429) counts.refused += 1;
    else if (waiting.tries >= TRIES_MAX) counts.givenUp += 1;
    else later({ ...waiting, tries: waiting.tries + 1 }, Math.min(AGAIN_MAX_MS, AGAIN_MIN_MS * 2 ** waiting.tries));
  }

  /** 0 where nobody answered. */
  async function post({ url, body }: Waiting): Promise<number> {
    try {
      const headers = { 'content-type': 'application/json' };
      const signal = AbortSignal.timeout(CALL_MAX_MS);
      const answer = await request(url, { dispatcher: agent, method: 'POST', headers, body, signal });
      await answer.body.dump();
      return answer.statusCode;
    } catch {
      return 0;
    }
  }

  return {
    send: (callback) =>
      new Promise((answered) => {
        later({ ...callback, tries: 1, answered }, callback.delayMs);
      }),
    shuffle(next) {
      random = next;
    },
    counts: () => ({ pending: timers.size + due.length - head + inFlight, ...counts, forged }),
    clear() {
      for (const timer of timers) clearTimeout(timer);
      timers.clear();
      due = [];
      head = 0;
      counts = { sent: 0, taken: 0, refused: 0, givenUp: 0 };
      forged = {};
    },
    async close() {
      for (const timer of timers) clearTimeout(timer);
      timers.clear();
      due = [];
      head = 0;
      await agent.destroy();
    },
  };
}
