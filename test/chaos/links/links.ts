/** The harness's hand on the process that keeps the links. */
import { type ChildProcess, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { LinkAnswer, LinkCommand, LinkFault } from './fault.ts';

export interface Links {
  /** Returns the local port that leads to `targets` from now on. `http`: faults by request can be set on it. */
  open(link: string, targets: readonly number[], options?: { readonly http?: boolean }): Promise<number>;
  /** Null: as it should be. */
  setFault(link: string, fault: LinkFault | null): Promise<void>;
  close(): Promise<void>;
}

export function startLinks(): Links {
  const main = fileURLToPath(new URL('./main.ts', import.meta.url));
  const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', main], {
    stdio: ['ignore', 2, 2, 'ipc'],
  });
  const waiting = new Map<number, (answer: LinkAnswer) => void>();
  let lastId = 0;
  child.on('message', (message) => {
    const answer = asAnswer(message);
    waiting.get(answer.id)?.(answer);
    waiting.delete(answer.id);
  });

  function tell(command: LinkCommand): Promise<LinkAnswer> {
    const id = ++lastId;
    return new Promise((resolve, reject) => {
      if (child.exitCode !== null || !child.connected) return reject(new Error('the process of the links is gone'));
      waiting.set(id, resolve);
      child.send({ id, command });
    });
  }

  return {
    async open(link, targets, { http = false } = {}) {
      const { port } = await tell({ kind: 'open', link, targets, http });
      if (port === null) throw new Error(`no port for the link ${link}`);
      return port;
    },
    async setFault(link, fault) {
      await tell({ kind: 'fault', link, fault });
    },
    close: () => end(child),
  };
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = new Promise((resolve) => child.once('exit', resolve));
  child.kill('SIGKILL');
  await gone;
}

/** Only our own child has the channel. */
function asAnswer(message: unknown): LinkAnswer {
  return message as LinkAnswer;
}
