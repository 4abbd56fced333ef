/** Kills this process at a named crash point, as abruptly as power does: nothing of it runs on. */
import type { CrashOrder } from './diagnosis-settings.ts';
import { armCrashPoints } from './model/crash-point.ts';

/** The `nth` time counts from now. Null: nowhere any more. */
export function crashAt(order: CrashOrder | null): void {
  let times = 0;
  armCrashPoints((point) => {
    if (point !== order?.point || ++times !== order.nth) return;
    process.kill(process.pid, 'SIGKILL');
    // Where the signal takes its time, not a line more is run.
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
  });
}
