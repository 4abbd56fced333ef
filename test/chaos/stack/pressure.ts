/** Notes when the machine had no time for the service's processes: what is late then is nobody's fault. Linux alone. */
import { readFileSync } from 'node:fs';

export interface PressureWatch {
  stop(): void;
}

export interface PressureDeps {
  /** Of the processes that run now; null where one does not. */
  readonly pids: () => readonly (number | null)[];
  /** A span in which one of them mostly waited for a processor. Epoch ms. */
  readonly onStall: (fromMs: number, toMs: number, waited: number) => void;
  readonly nowMs: () => number;
}

const EVERY_MS = 1_000;
/** Of the time: beyond it a process that answers in 10 ms takes many times that. */
const WAITED_SHARE = 0.4;

export function watchPressure({ pids, onStall, nowMs }: PressureDeps): PressureWatch {
  let before = new Map<number, number>();
  let lastMs = nowMs();
  const timer = setInterval(() => {
    const toMs = nowMs();
    const now = new Map<number, number>();
    let most = 0;
    for (const pid of pids()) {
      const waitedMs = pid === null ? null : readWaitedMs(pid);
      if (pid === null || waitedMs === null) continue;
      now.set(pid, waitedMs);
      const share = (waitedMs - (before.get(pid) ?? waitedMs)) / (toMs - lastMs);
      most = Math.max(most, share);
    }
    if (most > WAITED_SHARE) onStall(lastMs, toMs, most);
    before = now;
    lastMs = toMs;
  }, EVERY_MS);
  return { stop: () => clearInterval(timer) };
}

/** Of the main thread, ready to run and not running: the second figure of `schedstat`, in ns. */
function readWaitedMs(pid: number): number | null {
  try {
    const [, waited] = readFileSync(`/proc/${pid}/schedstat`, 'utf8').split(' ');
    return Number(waited) / 1_000_000;
  } catch {
    return null;
  }
}
