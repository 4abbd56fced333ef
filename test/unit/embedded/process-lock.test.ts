/** A lock is held by one living process; a dead owner's is taken over. */
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { identityOf, isAlive, isLock, tryProcessLock } from '../../../src/embedded/process-lock.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tranche-lock-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

describe('a process lock', () => {
  it('refuses a second holder and names the first', async () => {
    await tryProcessLock(join(folder, 'lock'));
    expect(await tryProcessLock(join(folder, 'lock'))).toMatchObject({ pid: process.pid });
  });

  it('can be taken again once it was released', async () => {
    const lock = await tryProcessLock(join(folder, 'lock'));
    if (!isLock(lock)) throw new Error('not taken');
    await lock.release();
    expect(isLock(await tryProcessLock(join(folder, 'lock')))).toBe(true);
  });

  it.each([
    ['a dead process', '{"pid":999999999,"identity":"x"}'],
    ['another process that got the same id', `{"pid":${process.pid},"identity":"another start"}`],
    ['nobody, because its writer died', ''],
  ])('is taken over from %s', async (_, content) => {
    await writeFile(join(folder, 'lock'), content);
    expect(isLock(await tryProcessLock(join(folder, 'lock')))).toBe(true);
    expect(await readdir(folder)).toEqual(['lock']);
  });

  it('goes to one of many that want it at once', async () => {
    await writeFile(join(folder, 'lock'), '{"pid":999999999,"identity":"x"}');
    const taken = await Promise.all(Array.from({ length: 8 }, () => tryProcessLock(join(folder, 'lock'))));
    expect(taken.filter(isLock)).toHaveLength(1);
  });

  it('knows a process by its start', () => {
    expect(isAlive({ pid: process.pid, identity: identityOf(process.pid) ?? '' })).toBe(true);
    expect(identityOf(999_999_999)).toBeNull();
  });
});
