/** One process of the service under crashes: started ahead of need, sent to work, armed, and dead where it was to die. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { CrashOrder } from '../../../src/diagnosis-settings.ts';
import type { FromStandby, ToStandby } from './standby.ts';

export type PartMode = 'api' | 'worker';

export interface Part {
  readonly mode: PartMode;
  readonly pid: number;
  /** When and how it ended; `killed` by SIGKILL. */
  readonly exited: Promise<{ readonly atMs: number; readonly killed: boolean }>;
  isRunning(): boolean;
  /** Counts anew from then on. Null: it does not die any more. False: it has died before. */
  arm(order: CrashOrder | null): Promise<boolean>;
  /** SIGKILL, by us. */
  kill(): Promise<void>;
  /** The last that it said. */
  tail(): string;
}

export interface Standby {
  /** Resolves once it serves. */
  go(mode: PartMode, env: Readonly<Record<string, string>>): Promise<Part>;
  end(): Promise<void>;
}

const READY_MAX_MS = 180_000;
const ARM_MAX_MS = 60_000;
const TAIL_CHARS = 32_000;
const root = fileURLToPath(new URL('../../../', import.meta.url));
const entry = fileURLToPath(new URL('./standby.ts', import.meta.url));

/** `env`: what holds for every part; what is set in ours besides does not reach it. */
export function startStandby(env: NodeJS.ProcessEnv): Standby {
  const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', entry, 'standby'], {
    cwd: root,
    env,
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
  });
  const said = listen(child);
  const exited = new Promise<{ atMs: number; killed: boolean }>((resolve) => {
    child.once('exit', (_code, signal) => resolve({ atMs: now(), killed: signal === 'SIGKILL' }));
  });
  const isRunning = () => child.exitCode === null && child.signalCode === null;
  const kill = async (): Promise<void> => {
    if (isRunning()) child.kill('SIGKILL');
    await exited;
  };
  const loaded = heard(child, 'loaded', READY_MAX_MS);
  loaded.catch(() => {});
  const send = (message: ToStandby): void => void child.send(message, () => {});
  return {
    end: kill,
    async go(mode, own) {
      await loaded;
      send({ kind: 'go', mode, env: own });
      await within(
        READY_MAX_MS,
        `${mode} is not ready: ${said.tail()}`,
        Promise.race([said.ready, failed(exited, said)]),
      );
      return {
        mode,
        pid: child.pid ?? 0,
        exited,
        isRunning,
        kill,
        tail: said.tail,
        async arm(order) {
          const armed = heard(child, 'armed', ARM_MAX_MS).then(() => true);
          // Where it has died nobody answers.
          armed.catch(() => {});
          send({ kind: 'arm', order });
          return await Promise.race([armed, exited.then(() => false)]);
        },
      };
    },
  };
}

async function failed(exited: Promise<unknown>, said: { tail(): string }): Promise<never> {
  await exited;
  throw new Error(`a part ended instead of serving: ${said.tail()}`);
}

function listen(child: ChildProcess) {
  let tail = '';
  const keep = (bytes: Buffer): void => {
    tail = (tail + bytes.toString()).slice(-TAIL_CHARS);
    if (process.env['STACK_LOG']) process.stderr.write(bytes);
  };
  child.stderr?.on('data', keep);
  const ready = new Promise<void>((resolve) => {
    child.stdout?.on('data', (bytes: Buffer) => {
      if (/^ready\b/m.test(bytes.toString())) resolve();
    });
  });
  return { ready, tail: () => tail };
}

async function heard(child: ChildProcess, kind: FromStandby['kind'], maxMs: number): Promise<void> {
  const signal = AbortSignal.timeout(maxMs);
  for (;;) {
    const [message]: FromStandby[] = await once(child, 'message', { signal });
    if (message?.kind === kind) return;
  }
}

async function within<T>(ms: number, what: string, work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(what)), ms);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** As histories count: monotonic, from the epoch. */
export function now(): number {
  return performance.timeOrigin + performance.now();
}
