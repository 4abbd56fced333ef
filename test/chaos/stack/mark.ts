/** A mark in the environment and a folder that everything of a campaign inherits: so that nothing of it is left behind. */
import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { chmod, mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const MARK = 'TRANCHE_CHAOS_RUN';

export interface Premises {
  /** For every file of the campaign; also the `TMPDIR` of whatever is started from now on. */
  readonly folder: string;
  /** Kills what is left and removes the folder; so does the death of this process, however it dies. */
  leave(): Promise<void>;
}

export async function takePremises(): Promise<Premises> {
  const folder = await mkdtemp(join(tmpdir(), 'tranche-chaos-'));
  // PostgreSQL runs as another user and must get through to its own folder in there.
  await chmod(folder, 0o711);
  const mark = randomUUID();
  const reaper = spawn(
    process.execPath,
    ['--disable-warning=ExperimentalWarning', fileURLToPath(new URL('./reaper.ts', import.meta.url)), mark, folder],
    { stdio: ['ignore', 'ignore', 'ignore', 'ipc'], detached: true },
  );
  process.env[MARK] = mark;
  process.env['TMPDIR'] = folder;
  return {
    folder,
    async leave() {
      if (reaper.exitCode !== null || !reaper.connected) return;
      const gone = new Promise((resolve) => reaper.once('exit', resolve));
      reaper.disconnect();
      await gone;
    },
  };
}
