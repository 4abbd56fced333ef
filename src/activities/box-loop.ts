/** Begins piece after piece of a slice's work, so many at once, until none may begin any more or the slice is to end. */
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Control } from './control.ts';
import type { Lease } from './lease.ts';

export interface BoxLoop {
  readonly control: Control;
  readonly lease: Lease;
  readonly boxMs: number;
  /** Pieces in flight, at most. */
  readonly limit: () => number;
  /** True: nothing more is to begin in this slice. */
  readonly mustEnd: () => boolean;
  /** Begins the next piece; null where none may begin now. */
  readonly begin: () => Promise<void> | null;
  /** Nothing more is to begin: pieces that only wait must come back. Called once or more. */
  readonly onClosing?: () => void;
  /** Epoch ms at which the next piece may begin; 0 = now; null = none is left. */
  readonly nextDueMs: () => number | null;
}

/** Pieces without I/O give the event loop back after this long, so that heartbeats go out. */
const BURST_MS = 10;
/** How soon a piece is looked at again that could not begin though it was due (the lease was being renewed). */
const LOOK_AGAIN_MS = 50;

/**
 * Resolves when nothing is in flight; sooner only where the control's signal is aborted: what is in flight then has to
 * come to nothing by itself. Rejects as the first piece that does.
 */
export async function workThroughBox(box: BoxLoop): Promise<void> {
  const { control, lease } = box;
  const endMs = Date.now() + box.boxMs;
  const isCalled = () => control.signal.aborted || control.calledHome() || control.endingSoon();
  const closing = () => isCalled() || Date.now() >= endMs || box.mustEnd();
  let active = 0;
  const broken: { readonly error: unknown }[] = [];
  let wake = () => {};
  control.onWake(() => wake());
  control.signal.addEventListener('abort', () => wake(), { once: true });

  function finish(): void {
    active--;
    wake();
  }

  async function fill(): Promise<void> {
    const burstEnd = performance.now() + BURST_MS;
    while (active < box.limit() && !closing() && lease.held()) {
      const piece = box.begin();
      if (piece === null) return;
      active++;
      piece.then(
        () => finish(),
        (error: unknown) => {
          broken.push({ error });
          finish();
        },
      );
      if (performance.now() > burstEnd) return await nextTurn();
    }
  }

  /** Until something ends, reaches us from outside, or may begin. */
  function rest(dueMs: number): Promise<void> {
    return new Promise((resolve) => {
      const wakeMs = closing() ? endMs : Math.min(endMs, Math.max(dueMs, Date.now() + LOOK_AGAIN_MS));
      const timer = setTimeout(() => wake(), Math.max(LOOK_AGAIN_MS, wakeMs - Date.now()));
      wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  while (!control.signal.aborted) {
    await fill();
    for (const { error } of broken) throw error;
    if (closing()) box.onClosing?.();
    const dueMs = box.nextDueMs() ?? Number.POSITIVE_INFINITY;
    if (active === 0 && (closing() || dueMs >= endMs)) return;
    const mayBegin = active < box.limit() && dueMs <= Date.now() && lease.held() && !closing();
    if (!mayBegin && !control.signal.aborted) await rest(dueMs);
  }
}
