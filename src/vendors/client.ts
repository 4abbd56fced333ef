/** Calls one vendor over warm keep-alive connections: own pace, place, slot, lease check, dispatch, classified answer. */
import { type Call, type Called, NOT_CALLED, whenTaken } from './call.ts';
import { abortedCall, classifyAnswer, classifyFailure, timedOut, unreachable } from './classify.ts';
import { type Connection, createConnection } from './connection.ts';
import { createGate } from './gate.ts';
import { createTraceparent } from './traceparent.ts';
import type { Slot, SlotSource, VendorClient } from './vendor.ts';

export interface VendorClientOptions {
  /** The vendor's name in the slot source. */
  readonly name: string;
  /** `http://host:port`, with a path prefix where the vendor has one. */
  readonly baseUrl: string;
  /** Calls in flight at once, at most, from this process. Each has a connection of its own (no pipelining). */
  readonly connections: number;
  readonly slots: SlotSource;
  readonly connectTimeoutMs?: number;
  /** Each call says when it left, for proofs and for the vendor's log. */
  readonly sendTimes?: boolean;
}

const CONNECT_TIMEOUT_MS = 5_000;
/** How late a time-out may come. */
const SWEEP_MS = 25;
/** Connections kept ready for calls that wait for their slots, at most. */
const WARM_MAX = 8;
const WARM_AGAIN_MS = 1_000;

export function createVendorClient(options: VendorClientOptions): VendorClient {
  const { name, slots, connections: places, connectTimeoutMs = CONNECT_TIMEOUT_MS, sendTimes = false } = options;
  const base = new URL(options.baseUrl);
  const gate = createGate<Call>({
    places,
    admit: takeSlot,
    isOver: (call) => call.over,
    accountOf: (call) => call.context.account,
  });
  const watched = new WeakSet<AbortSignal>();
  const traceparent = createTraceparent();
  let sweeper: NodeJS.Timeout | undefined;
  let warming: NodeJS.Timeout | undefined;
  /** Its last word was to hang up, or not to be there: one connection is tried, not all. */
  let hungUp = false;
  let closed = false;
  // One client per connection, the last used first: undici's own pool looks through all of them at every call.
  const lanes: Lane[] = [];
  const free: Lane[] = [];

  /** A caller's own pace comes first: while it waits, others have the connection and the vendor's slot. */
  function begin(call: Call): void {
    const { pace, waiting, account } = call.context;
    if (pace === undefined) enter(call);
    else whenTaken(pace.take(name, waiting, account), call, paced, fail);
  }

  function paced(call: Call, slot: Slot | null): void {
    call.ownSlot = slot;
    if (slot === null) settle(call, NOT_CALLED);
    else enter(call);
  }

  function enter(call: Call): void {
    const { waiting } = call.context;
    if (waiting.aborted) settle(call, NOT_CALLED);
    else if (gate.enter(call)) takeSlot(call);
    else watch(waiting);
  }

  function takeSlot(call: Call): void {
    const taking = slots.take(name, call.context.waiting, call.context.account);
    if (taking instanceof Promise) warmAhead();
    whenTaken(taking, call, dispatch, leaveFailed);
  }

  /** A slot stands for a few ms, less than it may take to connect: the next calls find their connections made. */
  function warmAhead(): void {
    if (closed) return;
    let ahead = Math.min(hungUp ? 1 : WARM_MAX, gate.admitted() - (lanes.length - free.length));
    while (free.length < ahead) free.unshift(openLane());
    for (let at = free.length - 1; at >= 0 && ahead > 0; at--) if (free[at]?.connection.isReady()) ahead--;
    for (let at = free.length - 1; at >= 0 && ahead > 0; at--) {
      const connection = free[at]?.connection;
      if (connection?.isReady() !== false) continue;
      connection.warm();
      ahead--;
    }
  }

  /** A vendor that hangs up at once is not called up all the time. */
  function warmLater(): void {
    hungUp = true;
    if (warming !== undefined) return;
    warming = setTimeout(() => {
      warming = undefined;
      warmAhead();
    }, WARM_AGAIN_MS).unref();
  }

  function dispatch(call: Call, slot: Slot | null): void {
    const { signal, waiting, timeoutMs } = call.context;
    call.vendorSlot = slot;
    if (slot === null || waiting.aborted || signal.aborted || !maySend(call)) {
      settle(call, NOT_CALLED);
      gate.leave();
      return;
    }
    call.expiresAtMs = performance.now() + timeoutMs;
    sweeper ??= setInterval(expireLate, SWEEP_MS);
    watch(signal);
    const lane = takeLane();
    lane.call = call;
    call.connection = lane.connection;
    if (lane.connection.isReady()) send(lane, call);
    else lane.connection.warm((error) => sendOn(lane, error));
    warmAhead();
  }

  /** The last one used of those that are connected; one that must connect first where there is none. */
  function takeLane(): Lane {
    const at = free.findLastIndex(({ connection }) => connection.isReady());
    return (at < 0 ? free.pop() : free.splice(at, 1)[0]) ?? openLane();
  }

  /** The slot may have passed while the connection was made. It is kept for the next call: undici would close it with the call. */
  function sendOn(lane: Lane, error: Error | null): void {
    const { call } = lane;
    if (call === null) return;
    if (error !== null) settle(call, classifyFailure(error, false));
    else if (!call.over && !maySend(call)) settle(call, NOT_CALLED);
    if (call.over) release(lane);
    else send(lane, call);
  }

  function send({ connection }: Lane, { request, context }: Call): void {
    connection.send(request, traceparent(context.traceId));
  }

  function maySend({ context, vendorSlot }: Call): boolean {
    return context.mayCall() && vendorSlot?.stands() !== false;
  }

  function openLane(): Lane {
    const lane: Lane = {
      call: null,
      connection: createConnection(
        base,
        { connectTimeoutMs, sendTimes },
        {
          maySend() {
            const { call } = lane;
            if (call === null || call.over) return false;
            // Its connection was lost just now, and another one had to be made: the slot may be over.
            if (!maySend(call)) {
              settle(call, NOT_CALLED);
              return false;
            }
            call.sent = true;
            return true;
          },
          // undici is in the middle of it.
          onDisconnect: () => setImmediate(warmAhead),
          onWasted: warmLater,
          onAnswer(status, retryAfter, body, isFree) {
            hungUp = false;
            if (lane.call !== null) settle(lane.call, classifyAnswer(status, retryAfter, body, Date.now()));
            if (isFree) release(lane);
          },
          onFailure(error) {
            if (lane.call !== null) settle(lane.call, classifyFailure(error, lane.call.sent));
            // undici is in the middle of tearing the connection down, or of the very `send`.
            queueMicrotask(() => release(lane));
          },
        },
      ),
    };
    lanes.push(lane);
    return lane;
  }

  /** In the same turn as the answer: undici then goes on with the connection instead of putting it to rest first. */
  function release(lane: Lane): void {
    lane.call = null;
    free.push(lane);
    gate.leave();
  }

  /** One listener per signal and one timer per client: a slice's calls share their signals, and few calls are cut. */
  function watch(signal: AbortSignal): void {
    if (watched.has(signal)) return;
    watched.add(signal);
    signal.addEventListener('abort', () => endUnder(signal), { once: true });
  }

  function endUnder(signal: AbortSignal): void {
    for (const call of gate.waiting()) if (call.context.waiting === signal) settle(call, NOT_CALLED);
    for (const { call } of lanes) {
      if (call?.context.signal === signal) giveUp(call, call.sent ? abortedCall(true) : NOT_CALLED);
    }
  }

  function expireLate(): void {
    const nowMs = performance.now();
    for (const { call } of lanes) {
      if (call !== null && call.expiresAtMs <= nowMs) giveUp(call, call.sent ? timedOut() : unreachable('time-out'));
    }
    if (free.length < lanes.length) return;
    clearInterval(sweeper);
    sweeper = undefined;
  }

  /** Its place is free only when the connection is. */
  function giveUp(call: Call, result: Called): void {
    if (call.over) return;
    settle(call, result);
    call.connection?.cut();
  }

  function settle(call: Call, result: Called): void {
    if (call.over) return;
    call.over = true;
    if (result.kind === 'not_called') giveSlotsBack(call);
    else {
      call.ownSlot?.done(result);
      call.vendorSlot?.done(result);
    }
    call.resolve(result);
  }

  function fail(call: Call, cause: unknown): void {
    call.over = true;
    giveSlotsBack(call);
    call.reject(cause);
  }

  function leaveFailed(call: Call, cause: unknown): void {
    fail(call, cause);
    gate.leave();
  }

  return {
    call: (request, context) =>
      new Promise((resolve, reject) => {
        begin({
          request,
          context,
          resolve,
          reject,
          ownSlot: null,
          vendorSlot: null,
          connection: null,
          sent: false,
          over: false,
          expiresAtMs: 0,
        });
      }),
    async close() {
      closed = true;
      clearTimeout(warming);
      await Promise.all(lanes.map(({ connection }) => connection.close()));
    },
  };
}

interface Lane {
  call: Call | null;
  readonly connection: Connection;
}

function giveSlotsBack(call: Call): void {
  call.ownSlot?.giveBack();
  call.vendorSlot?.giveBack();
}
