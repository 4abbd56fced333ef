/** One supervised part of the stack: a child process that is started again, with back-off, whenever it dies. */
import { type ChildProcess, spawn } from 'node:child_process';
import type { Log } from '../model/log.ts';

export interface PartCommand {
  readonly file: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string | undefined>>;
}

export interface PartSpec {
  readonly name: string;
  /** Asked before every start, so that it can follow what changed meanwhile. A rejection counts as a death. */
  readonly command: () => Promise<PartCommand>;
  /** Milliseconds between SIGTERM and SIGKILL. */
  readonly graceMs: number;
  /** Called on every `{kind: 'ready'}` that the child sends over its channel. */
  readonly onReady?: () => void;
}

export interface Part {
  readonly name: string;
  start(): void;
  /** Ends it and starts it again at once, e.g. with another command. */
  restart(): Promise<void>;
  /** Resolves when the process is gone; it is not started again. `force`: SIGKILL now. */
  stop(options?: { readonly force?: boolean }): Promise<void>;
  /** Of the running child, for tests and the log. */
  pid(): number | null;
  /** The child that runs now has said that it is ready. */
  isReady(): boolean;
}

/** The first restart comes at once, later ones wait longer, up to a bound; a healthy while forgets. */
const FIRST_DELAY_MS = 100;
const DELAY_MAX_MS = 10_000;
const HEALTHY_AFTER_MS = 10_000;

/** Delay before the n-th start in a row that follows an early death (n from 1). */
export function restartDelayMs(deathsInARow: number): number {
  return Math.min(DELAY_MAX_MS, FIRST_DELAY_MS * 2 ** Math.min(deathsInARow - 1, 30));
}

export function createPart(spec: PartSpec, log: Log): Part {
  let child: ChildProcess | null = null;
  let wanted = false;
  let ready = false;
  let deathsInARow = 0;
  let timer: NodeJS.Timeout | null = null;
  let starting: Promise<void> | null = null;

  function start(): void {
    wanted = true;
    if (child === null && starting === null && timer === null) launch();
  }

  function launch(): void {
    starting = spec
      .command()
      .then((command) => {
        if (wanted) run(command);
      })
      .catch((error: unknown) => died({ error }))
      .finally(() => {
        starting = null;
      });
  }

  function run(command: PartCommand): void {
    const startedAt = performance.now();
    // Detached: Ctrl-C reaches only the supervisor, which ends its parts in order. stdout is kept for the ready line.
    const running = spawn(command.file, command.args, {
      env: command.env,
      stdio: ['ignore', 2, 2, 'ipc'],
      detached: process.platform !== 'win32',
    });
    child = running;
    ready = false;
    let gone = false;
    const end = (facts: Record<string, unknown>): void => {
      if (gone) return;
      gone = true;
      child = null;
      ready = false;
      if (performance.now() - startedAt >= HEALTHY_AFTER_MS) deathsInARow = 0;
      died(facts);
    };
    running.on('message', (message) => {
      if (!isReadyMessage(message) || gone) return;
      ready = true;
      spec.onReady?.();
    });
    running.once('error', (error) => end({ error }));
    running.once('exit', (code, signal) => end({ pid: running.pid, code, signal }));
    log('info', 'part started', { name: spec.name, pid: running.pid });
  }

  function died(facts: Record<string, unknown>): void {
    if (!wanted) return;
    deathsInARow += 1;
    const delayMs = restartDelayMs(deathsInARow);
    log('warn', 'part died and is started again', { name: spec.name, ...facts, delayMs });
    timer = setTimeout(() => {
      timer = null;
      launch();
    }, delayMs);
  }

  async function stop({ force = false } = {}): Promise<void> {
    wanted = false;
    if (timer !== null) clearTimeout(timer);
    timer = null;
    await starting;
    if (child !== null) await endChild(child, force ? 0 : spec.graceMs, log, spec.name);
  }

  return {
    name: spec.name,
    start,
    stop,
    async restart() {
      await stop();
      deathsInARow = 0;
      start();
    },
    pid: () => child?.pid ?? null,
    isReady: () => ready,
  };
}

function isReadyMessage(message: unknown): boolean {
  return typeof message === 'object' && message !== null && 'kind' in message && message.kind === 'ready';
}

/** SIGTERM, a grace, SIGKILL; resolves when it is gone. */
function endChild(child: ChildProcess, graceMs: number, log: Log, name: string): Promise<void> {
  return new Promise((resolve) => {
    if (child.exitCode !== null || child.signalCode !== null) return resolve();
    const timer = setTimeout(() => {
      log('warn', 'part did not end in time and is killed', { name, pid: child.pid, graceMs });
      child.kill('SIGKILL');
    }, graceMs);
    child.once('exit', () => {
      clearTimeout(timer);
      resolve();
    });
    child.kill(graceMs === 0 ? 'SIGKILL' : 'SIGTERM');
  });
}
