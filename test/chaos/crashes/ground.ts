/** What all lanes of a campaign stand on: one Temporal server and one PostgreSQL, which nobody kills here. */
import { spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { environment, readConfig } from '../../../src/config.ts';
import { findFreePort } from '../../../src/embedded/ports.ts';
import { provideTemporalBinary } from '../../../src/embedded/temporal-binary.ts';
import { temporalServerCommand } from '../../../src/embedded/temporal-server.ts';
import { openDatabase } from '../../../src/storage/postgres.ts';
import { startPostgres } from '../../fixtures/postgres.ts';
import { follow, temporalPid } from '../../fixtures/stack/processes.ts';

const HOST = '127.0.0.1';

export interface Ground {
  readonly temporalAddress: string;
  /** Of the server itself. */
  readonly temporalPid: number;
  /** Answers its URL. */
  createDatabase(name: string): Promise<string>;
  stop(): Promise<void>;
}

export async function startGround(): Promise<Ground> {
  const dataDir = await mkdtemp(join(tmpdir(), 'tranche-crash-ground-'));
  const port = await findFreePort(HOST);
  const temporal = follow(await spawnTemporal(dataDir, port));
  // The commits of a killed process stand whether or not they were synced: nobody kills the server.
  const postgres = await startPostgres({ fsync: 'off', max_connections: '200' });
  await temporal.ready;
  return {
    temporalAddress: `${HOST}:${port}`,
    temporalPid: temporalPid(dataDir),
    async createDatabase(name) {
      const database = openDatabase({
        ...{ url: postgres.url, connectionsMax: 1, applicationName: 'test', statementTimeoutMs: 60_000 },
      });
      try {
        await database.query(`CREATE DATABASE "${name}"`);
      } finally {
        await database.close();
      }
      return postgres.url.replace(/\/postgres$/, `/${name}`);
    },
    async stop() {
      await temporal.stop();
      await postgres.close();
      await rm(dataDir, { recursive: true, force: true, maxRetries: 10, retryDelay: 200 });
    },
  };
}

async function spawnTemporal(dataDir: string, port: number) {
  const env = environment();
  const { temporal, cacheDir } = readConfig(env);
  const tell = (line: string) => void process.stderr.write(`${line}\n`);
  const binary = await provideTemporalBinary({
    cliPath: temporal.cliPath,
    searchPath: env['PATH'] ?? '',
    cacheDir,
    tell,
  });
  const command = temporalServerCommand({ binary, dataDir, port, uiPort: null, env });
  return spawn(command.file, command.args, { env: command.env, stdio: ['ignore', 'pipe', 'pipe', 'ipc'] });
}
