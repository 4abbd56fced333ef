/** Child process that runs the Temporal server for its supervisor: neither outlives the other. */
import { spawn } from 'node:child_process';
import { createWriteStream, rmSync, statSync, writeFileSync } from 'node:fs';
import { rename } from 'node:fs/promises';
import { connect } from 'node:net';
import { setPriority } from 'node:os';
import { join } from 'node:path';
import { identityOf, type LockOwner } from './process-lock.ts';
import { pidFileOf } from './temporal-server.ts';
import { createWedgeWatch } from './wedge.ts';

const LOG_BYTES_MAX = 32 * 1024 * 1024;
const STOP_MAX_MS = 8_000;
const POLL_MS = 25;
const SESSION = '/proc/self/autogroup';
/**
 * Calls leave within 12 ms of their slot or not at all, and this server can wait: 0.975 of 1,000 calls/s were used
 * instead of 0.961 (2 cores). On a machine that has too much to do 10 starves it, and lists and controls with it.
 */
const NICENESS = 5;

const [dataDir, port, file, ...args] = process.argv.slice(2);
if (dataDir === undefined || port === undefined || file === undefined) {
  throw new Error('usage: temporal-guard.ts <data folder> <port> <binary> <arguments…>');
}
const pidFile = pidFileOf(dataDir);
yieldToWorkers();
await guard();

/** Of this process and what it starts. Best effort: other systems have no such file, and some forbid it. */
function yieldToWorkers(): void {
  try {
    setPriority(NICENESS);
    // Linux shares the CPU between sessions first, and within one by niceness.
    writeFileSync(SESSION, String(NICENESS));
  } catch {}
}

async function guard(): Promise<void> {
  const output = await openLogFile();
  const server = spawn(file ?? '', args, { stdio: ['ignore', 'pipe', 'pipe'] });
  server.stdout.pipe(output, { end: false });
  server.stderr.pipe(output, { end: false });
  // Ended at once, it is started again: an orderly stop would wait for its database.
  const watch = createWedgeWatch(
    () => {
      output.write('wedged: its database interrupts every statement\n');
      server.kill('SIGKILL');
    },
    () => performance.now(),
  );
  for (const log of [server.stdout, server.stderr]) log.on('data', watch);
  if (server.pid !== undefined) {
    const owner: LockOwner = { pid: server.pid, identity: identityOf(server.pid) ?? '' };
    writeFileSync(pidFile, JSON.stringify(owner));
  }
  let stopping = false;
  const stop = (): void => {
    if (stopping) return;
    stopping = true;
    server.kill('SIGTERM');
    setTimeout(() => server.kill('SIGKILL'), STOP_MAX_MS).unref();
  };
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.on(signal, stop);
  process.on('disconnect', stop);
  server.once('error', (error) => {
    output.write(`${error.message}\n`);
    process.exit(1);
  });
  server.once('exit', (code) => {
    rmSync(pidFile, { force: true });
    process.exit(stopping ? 0 : (code ?? 1) || 1);
  });
  await accepting(Number(port));
  process.send?.({ kind: 'ready' });
}

/** One file before the current one is kept. */
async function openLogFile() {
  const path = join(dataDir ?? '', 'temporal.log');
  const bytes = statSync(path, { throwIfNoEntry: false })?.size ?? 0;
  if (bytes > LOG_BYTES_MAX) await rename(path, `${path}.1`);
  return createWriteStream(path, { flags: 'a' });
}

/** Ends with the process where the server never listens: its exit ends us. */
async function accepting(serverPort: number): Promise<void> {
  while (!(await canConnect(serverPort))) await new Promise((wake) => setTimeout(wake, POLL_MS));
}

function canConnect(serverPort: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: '127.0.0.1', port: serverPort });
    socket.once('connect', () => resolve(true));
    socket.once('error', () => resolve(false));
    socket.once('close', () => socket.destroy());
    socket.once('connect', () => socket.destroy());
  });
}
