/** A supervised part comes back whenever it dies, ever more slowly, and is gone when it is stopped. */
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { createPart, type Part, restartDelayMs } from '../../../src/embedded/part.ts';

const DUMMY = fileURLToPath(new URL('../../fixtures/embedded/dummy-part.mjs', import.meta.url));
const WAIT = { timeout: 10_000, interval: 10 };
const parts: Part[] = [];
let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tranche-part-'));
});
afterEach(async () => {
  await Promise.all(parts.splice(0).map((part) => part.stop({ force: true })));
  await rm(folder, { recursive: true, force: true });
});

function dummy(
  behaviour: 'live' | 'die' | 'stubborn',
  options: { graceMs?: number; delays?: number[]; file?: string } = {},
): Part {
  const command = async () => ({
    file: process.execPath,
    args: [DUMMY, join(folder, options.file ?? 'starts'), behaviour],
    env: process.env,
  });
  const part = createPart({ name: 'dummy', graceMs: options.graceMs ?? 5_000, command }, (_level, _message, facts) => {
    if (typeof facts?.['delayMs'] === 'number') options.delays?.push(facts['delayMs']);
  });
  parts.push(part);
  return part;
}

async function starts(file = 'starts'): Promise<number[]> {
  const text = await readFile(join(folder, file), 'utf8').catch(() => '');
  return text.split('\n').filter(Boolean).map(Number);
}

function isRunning(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

describe('a supervised part', () => {
  it('is started again after kill -9', async () => {
    const part = dummy('live');
    part.start();
    await vi.waitFor(() => expect(part.isReady()).toBe(true), WAIT);
    const first = part.pid() ?? 0;
    process.kill(first, 'SIGKILL');
    await vi.waitFor(() => expect(part.isReady() && part.pid() !== first).toBe(true), WAIT);
    expect(await starts()).toHaveLength(2);
  });

  it('is started again with longer and longer pauses while it dies early', async () => {
    const delays: number[] = [];
    const part = dummy('die', { delays });
    part.start();
    await vi.waitFor(async () => expect(await starts()).toHaveLength(4), WAIT);
    expect(delays.slice(0, 3)).toEqual([100, 200, 400]);
    expect(part.isReady()).toBe(false);
  });

  it('waits a bounded time, however often it died', () => {
    expect([1, 2, 8, 1_000].map(restartDelayMs)).toEqual([100, 200, 10_000, 10_000]);
  });

  it('is gone when stop resolves, and stays away', async () => {
    const part = dummy('live');
    part.start();
    await vi.waitFor(() => expect(part.isReady()).toBe(true), WAIT);
    const pid = part.pid() ?? 0;
    await part.stop();
    expect(isRunning(pid)).toBe(false);
    expect(part.pid()).toBeNull();
    expect(await starts()).toHaveLength(1);
  });

  it('is killed where it does not end within its grace', async () => {
    const part = dummy('stubborn', { graceMs: 50 });
    part.start();
    await vi.waitFor(() => expect(part.isReady()).toBe(true), WAIT);
    const pid = part.pid() ?? 0;
    await part.stop();
    expect(isRunning(pid)).toBe(false);
  });

  it('does not come back when it is stopped during its pause', async () => {
    const part = dummy('die');
    part.start();
    await vi.waitFor(async () => expect((await starts()).length).toBeGreaterThan(1), WAIT);
    await part.stop();
    const count = (await starts()).length;
    // Another part's pauses are the clock: three of them are longer than the one that was cut short.
    dummy('die', { file: 'other' }).start();
    await vi.waitFor(async () => expect(await starts('other')).toHaveLength(4), WAIT);
    expect(await starts()).toHaveLength(count);
  });

  it('is tried again where its command cannot be made', async () => {
    let asked = 0;
    const command = () => {
      asked += 1;
      return Promise.reject(new Error('no command'));
    };
    const spec = { name: 'none', graceMs: 0, command };
    const part = createPart(spec, () => {});
    parts.push(part);
    part.start();
    await vi.waitFor(() => expect(asked).toBeGreaterThan(1), WAIT);
  });
});
