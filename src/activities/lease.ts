/** The right of a slice to act: renewed by every heartbeat that the server acknowledges, gone soon after the last one. */
import type { ActivityDeps } from './deps.ts';

/** The lease ends this long before the server would replace the slice: clocks of two hosts may differ. */
const MARGIN_MAX_MS = 700;
const MARGIN_SHARE = 0.2;
const BEATS_PER_TIMEOUT = 3;
const GRPC_INVALID_ARGUMENT = 3;
const GRPC_NOT_FOUND = 5;
const GRPC_FAILED_PRECONDITION = 9;

export interface Lease {
  /** By the monotonic and the wall clock: a frozen process has lost it when it thaws, a suspended machine too. */
  held(): boolean;
  /** One heartbeat now. Resolves to `held()`. */
  renew(): Promise<boolean>;
  stop(): void;
}

export interface LeaseRequest {
  readonly taskToken: Uint8Array;
  readonly heartbeatTimeoutMs: number;
  /** When the server handed out this attempt, at the earliest; epoch ms. */
  readonly grantedAtMs: number;
  readonly beat: ActivityDeps['heartbeat'];
  /** The SDK's own heartbeat: without it the SDK would time the activity out by itself. */
  readonly beatSdk: () => void;
  /** The workflow wants the slice home. */
  readonly onCalledHome: () => void;
  /** The server has given the slice to somebody else, or has forgotten it. Final. */
  readonly onLost: () => void;
  readonly onRenewed: () => void;
}

export function startLease(request: LeaseRequest): Lease {
  const { heartbeatTimeoutMs } = request;
  const validMs = heartbeatTimeoutMs - Math.min(MARGIN_MAX_MS, heartbeatTimeoutMs * MARGIN_SHARE);
  let sent = { wall: request.grantedAtMs, mono: performance.now() - Math.max(0, Date.now() - request.grantedAtMs) };
  const startedMono = performance.now();
  let lost = false;
  let stopped = false;
  let beating: Promise<void> | null = null;

  const held = () => !lost && performance.now() - sent.mono < validMs && Math.abs(Date.now() - sent.wall) < validMs;

  async function beat(): Promise<void> {
    const sending = { wall: Date.now(), mono: performance.now() };
    try {
      // The SDK gives up on its own later than that: a short slice costs no second heartbeat.
      if (sending.mono - startedMono >= heartbeatTimeoutMs) request.beatSdk();
      const wanted = await request.beat(request.taskToken);
      if (stopped) return;
      sent = sending;
      if (wanted) request.onCalledHome();
      request.onRenewed();
    } catch (error) {
      if (stopped || !isRefusal(error)) return;
      lost = true;
      request.onLost();
    }
  }

  const renew = async () => {
    beating ??= beat().finally(() => {
      beating = null;
    });
    await beating;
    return held();
  };
  // Handed out long ago: it may be somebody else's by now.
  if (!held()) void renew();
  const timer = setInterval(() => void renew(), heartbeatTimeoutMs / BEATS_PER_TIMEOUT);
  return {
    held,
    renew,
    stop() {
      stopped = true;
      clearInterval(timer);
    },
  };
}

/** Anything else (server away, overloaded) may pass: the lease runs out by itself if it does not. */
function isRefusal(error: unknown): boolean {
  const code = (error as { code?: unknown }).code;
  return code === GRPC_NOT_FOUND || code === GRPC_INVALID_ARGUMENT || code === GRPC_FAILED_PRECONDITION;
}
