/** The embedded Temporal server as a supervised part: its flags, a port that stays the same over restarts, and what a killed guard left behind. */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { SEARCH_ATTRIBUTES } from '../model/workflow-contract.ts';
import type { PartCommand } from './part.ts';
import { findFreePort } from './ports.ts';
import { isAlive, parseOwner } from './process-lock.ts';

export interface TemporalServerOptions {
  readonly binary: string;
  readonly dataDir: string;
  readonly port: number;
  /** null = no Web UI. */
  readonly uiPort: number | null;
  readonly env: Readonly<Record<string, string | undefined>>;
}

const STOP_MAX_MS = 8_000;
const POLL_MS = 25;
const HOST = '127.0.0.1';
/** Far above what one machine does: a development server must not be the limit. */
const UNLIMITED_RPS = 100_000;

/**
 * Why each: fairness between accounts (off by default in server 1.29); a busy workflow buffers ten queries, not one;
 * no look for newer versions on the internet; no request limit below what one machine can do.
 */
const DYNAMIC_CONFIG: Readonly<Record<string, number | boolean>> = {
  'matching.enableFairness': true,
  'history.MaxBufferedQueryCount': 10,
  'frontend.enableServerVersionCheck': false,
  'frontend.rps': UNLIMITED_RPS,
  'frontend.namespaceRPS': UNLIMITED_RPS,
  'frontend.namespaceRPS.visibility': UNLIMITED_RPS,
  'frontend.namespaceCount': UNLIMITED_RPS,
  'matching.rps': UNLIMITED_RPS,
  'history.rps': UNLIMITED_RPS,
};

/** Its collector runs half as often, for some 100 MB: on two cores it holds up the calls of the workers beside it. */
const SERVER_ENV = { GOGC: '200' };

export function temporalServerCommand({ binary, dataDir, port, uiPort, env }: TemporalServerOptions): PartCommand {
  const guard = fileURLToPath(new URL('./temporal-guard.ts', import.meta.url));
  const node = ['--disable-warning=ExperimentalWarning', guard, dataDir, String(port), binary];
  return {
    file: process.execPath,
    args: [...node, ...serverArguments({ dataDir, port, uiPort })],
    env: { ...SERVER_ENV, ...env },
  };
}

function serverArguments({ dataDir, port, uiPort }: Pick<TemporalServerOptions, 'dataDir' | 'port' | 'uiPort'>) {
  return [
    ...['server', 'start-dev', '--ip', HOST, '--port', String(port), '--log-format', 'json', '--log-level', 'warn'],
    ...['--db-filename', join(dataDir, 'temporal.db')],
    ...['--sqlite-pragma', 'journal_mode=wal', '--sqlite-pragma', 'synchronous=normal'],
    ...(uiPort === null ? ['--headless'] : ['--ui-port', String(uiPort)]),
    ...Object.entries(DYNAMIC_CONFIG).flatMap(([key, value]) => ['--dynamic-config-value', `${key}=${value}`]),
    ...Object.values(SEARCH_ATTRIBUTES).flatMap((name) => ['--search-attribute', `${name}=Keyword`]),
  ];
}

/** The port of the last run where it is free: tools that were pointed at it go on. */
export async function chooseTemporalPort(dataDir: string): Promise<number> {
  const file = join(dataDir, 'temporal-port');
  const kept = Number(await readFile(file, 'utf8').catch(() => ''));
  const port = await findFreePort(HOST, Number.isInteger(kept) && kept > 0 ? kept : null);
  if (port !== kept) await writeFile(file, String(port));
  return port;
}

/** null = none wanted; another one where the wanted one is taken. */
export async function chooseUiPort(wanted: number): Promise<number | null> {
  return wanted === 0 ? null : findFreePort(HOST, wanted);
}

export function pidFileOf(dataDir: string): string {
  return join(dataDir, 'temporal.pid');
}

/**
 * Two servers on one SQLite file would both write it: ends one whose guard was killed. Ours only where the
 * process still is the one that the guard noted: same id, same start.
 */
export async function stopStaleServer(dataDir: string): Promise<boolean> {
  const stale = parseOwner(await readFile(pidFileOf(dataDir), 'utf8').catch(() => ''));
  if (stale === null || stale.identity === '' || !isAlive(stale)) return false;
  process.kill(stale.pid, 'SIGTERM');
  const deadline = Date.now() + STOP_MAX_MS;
  while (isAlive(stale)) {
    if (Date.now() > deadline) process.kill(stale.pid, 'SIGKILL');
    await new Promise((wake) => setTimeout(wake, POLL_MS));
  }
  return true;
}
