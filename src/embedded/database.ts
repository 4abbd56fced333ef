/** The embedded database as a process of its own: one folder, one port, and the housekeeping that a full server does by itself. */
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Log } from '../model/log.ts';
import { type EmbeddedPostgres, openEmbeddedPostgres } from './pglite.ts';
import { embeddedDatabaseUrl } from './ports.ts';
import { isLock, type ProcessLock, tryProcessLock } from './process-lock.ts';
import { startWireServer, type WireServer } from './wire-server.ts';

export interface EmbeddedDatabaseOptions {
  readonly dataDir: string;
  /** Shared between checkouts. */
  readonly cacheDir: string;
  /** 0 = any free one. */
  readonly port: number;
  readonly log: Log;
}

export interface EmbeddedDatabase {
  readonly url: string;
  readonly failed: Promise<never>;
  close(): Promise<void>;
}

/** For the last owner of the folder, which may still be closing it. */
const LOCK_WAIT_MS = 5_000;
const LOCK_POLL_MS = 100;
const UPKEEP_INTERVAL_MS = 10_000;
/** Written log after which a checkpoint lets go of it, and after which dead rows are cleared away. */
const CHECKPOINT_BYTES = 64 * 1024 * 1024;
const VACUUM_BYTES = 256 * 1024 * 1024;
/** The same while nobody writes. */
const VACUUM_BYTES_QUIET = 1024 * 1024;

export async function startEmbeddedDatabase(options: EmbeddedDatabaseOptions): Promise<EmbeddedDatabase> {
  const { dataDir, cacheDir, port, log } = options;
  const lock = await lockFolder(join(dataDir, 'postgres.lock'));
  try {
    const postgres = await openEmbeddedPostgres({ folder: join(dataDir, 'postgres'), cacheDir });
    const { serverVersion, execute } = postgres;
    const server = await startWireServer({ port, serverVersion, execute, log });
    const upkeep = startUpkeep(postgres, server, log);
    return {
      url: embeddedDatabaseUrl(server.port),
      failed: server.failed,
      async close() {
        upkeep.stop();
        await server.close();
        await postgres.close();
        await lock.release();
      },
    };
  } catch (error) {
    await lock.release();
    throw error;
  }
}

async function lockFolder(path: string): Promise<ProcessLock> {
  const deadline = Date.now() + LOCK_WAIT_MS;
  for (;;) {
    const taken = await tryProcessLock(path);
    if (isLock(taken)) return taken;
    if (Date.now() > deadline) throw new Error(`the embedded database is in use by process ${taken.pid}: end it`);
    await sleep(LOCK_POLL_MS);
  }
}

/** A server without background processes neither checkpoints nor clears dead rows, and its log would grow for ever. */
function startUpkeep(postgres: EmbeddedPostgres, server: WireServer, log: Log) {
  let vacuumedAt: string | null = null;
  let seenAt = '';
  let running = false;

  const position = async () => String(await postgres.ask('SELECT pg_current_wal_lsn()'));
  const bytesSince = async (expression: string) =>
    Number(await postgres.ask(`SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), ${expression})`));

  async function run(): Promise<void> {
    const now = await position();
    vacuumedAt ??= now;
    const quiet = now === seenAt;
    seenAt = now;
    if ((await bytesSince(`'${vacuumedAt}'`)) >= (quiet ? VACUUM_BYTES_QUIET : VACUUM_BYTES)) {
      await postgres.ask('VACUUM (ANALYZE)');
      vacuumedAt = await position();
    }
    if ((await bytesSince('(SELECT redo_lsn FROM pg_control_checkpoint())')) >= CHECKPOINT_BYTES) {
      await postgres.ask('CHECKPOINT');
    }
  }

  const timer = setInterval(() => {
    if (running) return;
    running = true;
    server
      .alone(run)
      .catch((error: unknown) => log('warn', 'upkeep of the embedded database failed', { error }))
      .finally(() => {
        running = false;
      });
  }, UPKEEP_INTERVAL_MS);
  return { stop: () => clearInterval(timer) };
}
