/** `npm start` as a user has it: one ready line, parts that come back, nothing lost, and nothing left behind. */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { findFreePort } from '../../../src/embedded/ports.ts';

const root = fileURLToPath(new URL('../../../', import.meta.url));
const WAIT = { timeout: 90_000, interval: 100 };
const BULK = {
  operations: [
    { type: 'create', product: { name: 'A', price: 10 } },
    { type: 'update', id: 123, product: { price: 12 } },
    { type: 'delete', id: 456 },
  ],
};

interface Started {
  readonly child: ChildProcess;
  readonly stdout: () => string;
  readonly stderr: () => string;
  readonly exited: Promise<number | null>;
}

let dataDir: string;
let port: number;
let vendorPort: number;
let stack: Started;
const started: Started[] = [];

beforeAll(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'tranche-stack-'));
  port = await findFreePort('127.0.0.1');
  vendorPort = await findFreePort('127.0.0.1');
  stack = start();
  await isReady(stack);
});

afterAll(async () => {
  for (const { child, exited } of started) {
    child.kill('SIGTERM');
    await exited;
  }
  await rm(dataDir, { recursive: true, force: true });
});

const PARTS = ['temporal', 'database', 'mock-vendor', 'api', 'worker'];

type Command = readonly [file: string, args: readonly string[]];
const BY_HAND: Command = [process.execPath, ['scripts/run.mjs', 'src/main.ts', 'all']];

function start(settings: Readonly<Record<string, string>> = {}, [file, args]: Command = BY_HAND): Started {
  const own = { DATA_DIR: dataDir, PORT: String(port), MOCK_VENDOR_PORT: String(vendorPort), TEMPORAL_UI_PORT: '0' };
  const child = spawn(file, args, {
    cwd: root,
    env: { ...process.env, TEMPORAL_ADDRESS: '', BLOB_URL: '', DATABASE_URL: '', ...own, ...settings },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let stdout = '';
  let stderr = '';
  child.stdout.on('data', (bytes: Buffer) => {
    stdout += bytes.toString();
  });
  child.stderr.on('data', (bytes: Buffer) => {
    stderr += bytes.toString();
  });
  const exited = new Promise<number | null>((resolve) => child.once('exit', resolve));
  const it = { child, stdout: () => stdout, stderr: () => stderr, exited };
  started.push(it);
  return it;
}

async function stopped(): Promise<void> {
  stack.child.kill('SIGTERM');
  await stack.exited;
}

const isReady = (it: Started) =>
  vi.waitFor(() => expect(it.stdout(), it.stderr().slice(-2_000)).toBe(`ready on http://127.0.0.1:${port}\n`), WAIT);

/** Pids of a part from the supervisor's log, oldest first. */
function pidsOf(part: string, it: Started = stack): number[] {
  const lines = it
    .stderr()
    .split('\n')
    .filter((line) => line.startsWith('{'));
  const facts = lines.map((line) => JSON.parse(line)).filter((line) => line.message === 'part started');
  return facts.filter((line) => line.name === part).map((line) => line.pid);
}

function isRunning(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

async function submit(): Promise<string> {
  const body = JSON.stringify(BULK);
  const headers = { 'content-type': 'application/json', 'idempotency-key': crypto.randomUUID() };
  const answer = await fetch(`http://127.0.0.1:${port}/product/bulk`, { method: 'POST', headers, body });
  expect(answer.status).toBe(202);
  return ((await answer.json()) as { bulkRequestId: string }).bulkRequestId;
}

async function countsOf(id: string): Promise<unknown> {
  const answer = await fetch(`http://127.0.0.1:${port}/product/bulk/status/${id}`);
  return answer.json();
}

const JSON_TYPE = { 'content-type': 'application/json' };

async function databaseHealth(apiPort: number): Promise<unknown> {
  const answer = await fetch(`http://127.0.0.1:${apiPort}/health/detailed`);
  return ((await answer.json()) as { parts: Record<string, unknown> }).parts['database'];
}

const runsToTheEnd = (id: string) =>
  vi.waitFor(async () => expect(await countsOf(id)).toMatchObject({ in_progress: 0, completed: 3, failed: 0 }), WAIT);

describe('npm start', () => {
  it('runs a request to its end', async () => {
    await runsToTheEnd(await submit());
  });

  it('refuses a second stack on the same data folder', async () => {
    const second = start({ PORT: '0', MOCK_VENDOR_PORT: '0' });
    expect(await second.exited).toBe(1);
    expect(second.stderr()).toMatch(/the data folder .* is in use by process \d+: end it, or set another DATA_DIR/);
    expect(second.stdout()).toBe('');
  });

  it('refuses a port that is taken, and says which setting to change', async () => {
    const taken: Server = createServer().listen(0, '127.0.0.1');
    await new Promise((listening) => taken.once('listening', listening));
    const address = taken.address();
    const takenPort = typeof address === 'object' ? String(address?.port) : '';
    const second = start({ PORT: takenPort, DATA_DIR: join(dataDir, 'other') });
    expect(await second.exited).toBe(1);
    expect(second.stderr()).toContain(`port ${takenPort} on 127.0.0.1 is taken`);
    expect(second.stderr()).toContain('set PORT (0 = any free port)');
    taken.close();
  });

  it('refuses settings with faults, all at once', async () => {
    const second = start({ PORT: '80a', LOG_LEVEL: 'loud' });
    expect(await second.exited).toBe(1);
    expect(second.stderr()).toContain('PORT="80a" must be');
    expect(second.stderr()).toContain('LOG_LEVEL="loud" must be');
  });

  it.each(['worker', 'api', 'mock-vendor', 'temporal', 'database'])(
    'brings the %s back after kill -9',
    async (part) => {
      const before = pidsOf(part);
      process.kill(before.at(-1) ?? 0, 'SIGKILL');
      await vi.waitFor(() => expect(pidsOf(part).length).toBeGreaterThan(before.length), WAIT);
      const id = await vi.waitFor(submit, WAIT);
      await runsToTheEnd(id);
    },
  );

  it('shows its database among the parts, also once that was killed', async () => {
    process.kill(pidsOf('database').at(-1) ?? 0, 'SIGKILL');
    await vi.waitFor(async () => expect(await databaseHealth(port)).toMatchObject({ ok: false }), WAIT);
    await vi.waitFor(
      async () =>
        expect(await databaseHealth(port)).toMatchObject({ ok: true, detail: expect.stringMatching(/^PostgreSQL \d/) }),
      WAIT,
    );
  });

  it('runs none where DATABASE_URL names one, and serves what needs none while that is away', async () => {
    const ownPort = await findFreePort('127.0.0.1');
    const folder = join(dataDir, 'without-database');
    const settings = { DATA_DIR: folder, PORT: String(ownPort), MOCK_VENDOR_PORT: '0' };
    const other = start({ ...settings, DATABASE_URL: 'postgres://nobody@127.0.0.1:9/none' });
    await vi.waitFor(() => expect(other.stdout()).toContain('ready on'), WAIT);
    expect(pidsOf('database', other)).toEqual([]);
    expect(await databaseHealth(ownPort)).toMatchObject({ ok: false, detail: expect.stringContaining('ECONNREFUSED') });
    const body = JSON.stringify(BULK);
    const answer = await fetch(`http://127.0.0.1:${ownPort}/product/bulk`, {
      method: 'POST',
      headers: JSON_TYPE,
      body,
    });
    expect(answer.status).toBe(202);
    other.child.kill('SIGTERM');
    expect(await other.exited).toBe(0);
  });

  it('ends on SIGTERM with nothing left behind, and has everything after the next start', async () => {
    const id = await submit();
    await runsToTheEnd(id);
    const temporalPid: number = JSON.parse(await readFile(join(dataDir, 'temporal.pid'), 'utf8')).pid;
    const pids = PARTS.map((part) => pidsOf(part).at(-1) ?? 0);
    stack.child.kill('SIGTERM');
    expect(await stack.exited).toBe(0);
    expect([...pids, temporalPid].filter(isRunning)).toEqual([]);
    expect(stack.stdout()).toBe(`ready on http://127.0.0.1:${port}\n`);

    stack = start();
    await isReady(stack);
    expect(await countsOf(id)).toMatchObject({ in_progress: 0, completed: 3, failed: 0 });
  });

  it('leaves nothing behind when it is killed by kill -9, and starts again', async () => {
    const temporalPid: number = JSON.parse(await readFile(join(dataDir, 'temporal.pid'), 'utf8')).pid;
    const supervisor: number = JSON.parse(await readFile(join(dataDir, 'tranche.lock'), 'utf8')).pid;
    const pids = [...PARTS.map((part) => pidsOf(part).at(-1) ?? 0), temporalPid];
    process.kill(supervisor, 'SIGKILL');
    await stack.exited;
    await vi.waitFor(() => expect(pids.filter(isRunning)).toEqual([]), WAIT);

    stack = start();
    await isReady(stack);
    await runsToTheEnd(await submit());
  });

  it.each(['SIGTERM', 'SIGINT'] as const)('ends in order when npm itself is sent %s', async (signal) => {
    await stopped();
    stack = start({}, ['npm', ['start', '--silent']]);
    await isReady(stack);
    stack.child.kill(signal);
    await stack.exited;
    expect(stack.stderr().match(/"message":"stopping","cause":"SIG(TERM|INT)"/g)).toHaveLength(5);
    const pids = PARTS.map((part) => pidsOf(part).at(-1) ?? 0);
    expect(pids.filter(isRunning)).toEqual([]);
  });

  it('ends when what started it is killed', async () => {
    stack = start();
    await isReady(stack);
    const supervisor: number = JSON.parse(await readFile(join(dataDir, 'tranche.lock'), 'utf8')).pid;
    stack.child.kill('SIGKILL');
    await vi.waitFor(() => expect(isRunning(supervisor)).toBe(false), WAIT);
  });
});
