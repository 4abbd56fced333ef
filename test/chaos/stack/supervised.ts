/** One process of the service as an orchestrator keeps it: started again whenever it dies; killed and frozen by the campaign. */
import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import type { PartCommand } from '../../../src/embedded/part.ts';

export interface Supervised {
  readonly name: string;
  start(): void;
  /** Resolves once the process that runs then has said that it is ready. */
  ready(): Promise<void>;
  /** SIGKILL now; it comes back after the delay. False where it is not running. */
  kill(): boolean;
  /** SIGSTOP, and SIGCONT to that very process after `forMs`. False where it is not running. */
  freeze(forMs: number): boolean;
  pid(): number | null;
  /** Ends it for good: SIGTERM, a grace, SIGKILL. */
  stop(): Promise<void>;
}

export interface SupervisedSpec {
  readonly name: string;
  readonly command: () => PartCommand;
  /** What it says on stdout and stderr. */
  readonly logPath: string;
  readonly restartDelayMs: () => number;
  /** Called on each end that was not asked for by `stop`. */
  readonly onDeath: (code: number | null, signal: NodeJS.Signals | null) => void;
  /** Where the child is a guard: whom to kill and freeze in its place. Null: it is not known now. */
  readonly victim?: () => number | null;
}

const GRACE_MS = 15_000;

export function createSupervised(spec: SupervisedSpec): Supervised {
  let child: ChildProcess | null = null;
  let wanted = false;
  let timer: NodeJS.Timeout | null = null;
  let isReady = false;
  let waiting: (() => void)[] = [];

  function launch(): void {
    const { file, args, env } = spec.command();
    const log = openSync(spec.logPath, 'a');
    const running = spawn(file, args, { env, stdio: ['ignore', log, log, 'ipc'] });
    closeSync(log);
    child = running;
    isReady = false;
    running.on('message', () => {
      isReady = true;
      for (const wake of waiting) wake();
      waiting = [];
    });
    running.on('error', () => {});
    running.once('exit', (code, signal) => {
      child = null;
      if (!wanted) return;
      spec.onDeath(code, signal);
      timer = setTimeout(launch, spec.restartDelayMs());
    });
  }

  const victim = (): number | null =>
    child === null ? null : spec.victim === undefined ? (child.pid ?? null) : spec.victim();

  return {
    name: spec.name,
    start() {
      wanted = true;
      launch();
    },
    ready: () =>
      child !== null && isReady ? Promise.resolve() : new Promise<void>((resolve) => waiting.push(resolve)),
    kill: () => signalTo(victim(), 'SIGKILL'),
    freeze(forMs) {
      const pid = victim();
      if (!signalTo(pid, 'SIGSTOP')) return false;
      setTimeout(() => signalTo(pid, 'SIGCONT'), forMs);
      return true;
    },
    pid: victim,
    async stop() {
      wanted = false;
      if (timer !== null) clearTimeout(timer);
      const running = child;
      if (running === null || running.exitCode !== null || running.signalCode !== null) return;
      const gone = new Promise((resolve) => running.once('exit', resolve));
      running.kill('SIGCONT');
      running.kill('SIGTERM');
      const last = setTimeout(() => running.kill('SIGKILL'), GRACE_MS);
      await gone;
      clearTimeout(last);
    },
  };
}

function signalTo(pid: number | null, signal: NodeJS.Signals): boolean {
  if (pid === null) return false;
  try {
    return process.kill(pid, signal);
  } catch {
    return false;
  }
}
