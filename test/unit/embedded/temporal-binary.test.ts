/** The Temporal binary is looked for in a fixed order, and made at most once. */
import { chmod, mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { cachedBinary, type ProvisionWay, provideTemporalBinary } from '../../../src/embedded/temporal-binary.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tranche-binary-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

async function fakeBinary(path: string, says = 'temporal version 1.5.1 (Server 1.29.1, UI 2.42.1)'): Promise<string> {
  await mkdir(join(path, '..'), { recursive: true });
  await writeFile(path, `#!/bin/sh\necho "${says}"\n`);
  await chmod(path, 0o755);
  return path;
}

function deps(overrides: Partial<Parameters<typeof provideTemporalBinary>[0]> = {}) {
  const cacheDir = join(folder, 'cache');
  return { cliPath: '', searchPath: join(folder, 'bin'), cacheDir, tell: () => {}, ways: [], ...overrides };
}

function countingWay(): { way: ProvisionWay; calls: () => number } {
  let calls = 0;
  const provide: ProvisionWay['provide'] = (into) => {
    calls += 1;
    return fakeBinary(join(into, 'temporal'));
  };
  return { way: { name: 'a fake way', provide }, calls: () => calls };
}

describe('the Temporal binary', () => {
  it('is the configured one before any other', async () => {
    const configured = await fakeBinary(join(folder, 'mine'));
    await fakeBinary(join(folder, 'bin', 'temporal'));
    expect(await provideTemporalBinary(deps({ cliPath: configured }))).toBe(configured);
  });

  it('is never another one than configured', async () => {
    await fakeBinary(join(folder, 'bin', 'temporal'));
    const attempt = provideTemporalBinary(deps({ cliPath: join(folder, 'absent') }));
    await expect(attempt).rejects.toThrow(/TEMPORAL_CLI_PATH=.*absent is no executable file/);
  });

  it('is the one on PATH before the cached one', async () => {
    const onPath = await fakeBinary(join(folder, 'bin', 'temporal'));
    await fakeBinary(cachedBinary(join(folder, 'cache')));
    expect(await provideTemporalBinary(deps())).toBe(onPath);
  });

  it.each([
    ['too old', 'temporal version 1.1.0 (Server 1.25.0, UI 2.30.0)'],
    ['some other program', 'temporal tables 3'],
  ])('is the cached one where the one on PATH is %s', async (_, says) => {
    await fakeBinary(join(folder, 'bin', 'temporal'), says);
    const cached = await fakeBinary(cachedBinary(join(folder, 'cache')));
    expect(await provideTemporalBinary(deps())).toBe(cached);
  });

  it('is got by the first way that works, and stays in the cache', async () => {
    const { way, calls } = countingWay();
    const broken: ProvisionWay = { name: 'broken', provide: () => Promise.reject(new Error('no internet')) };
    const got = await provideTemporalBinary(deps({ ways: [broken, way] }));
    expect(got).toBe(cachedBinary(join(folder, 'cache')));
    expect(await provideTemporalBinary(deps({ ways: [broken, way] }))).toBe(got);
    expect(calls()).toBe(1);
    expect(await readdir(join(folder, 'cache'))).toEqual(['temporal-1.5.1']);
  });

  it('is got once by two that need it at the same time', async () => {
    const { way, calls } = countingWay();
    const both = [deps({ ways: [way] }), deps({ ways: [way] })].map(provideTemporalBinary);
    expect(new Set(await Promise.all(both)).size).toBe(1);
    expect(calls()).toBe(1);
  });

  it('is got although a process died while getting it', async () => {
    const { way } = countingWay();
    await mkdir(join(folder, 'cache'));
    await writeFile(join(folder, 'cache', 'temporal-1.5.1.lock'), '{"pid":999999999,"identity":"gone"}');
    await expect(provideTemporalBinary(deps({ ways: [way] }))).resolves.toContain('temporal-1.5.1');
  });

  it('is missed with every way that was tried', async () => {
    const ways = ['one', 'two'].map(
      (name): ProvisionWay => ({ name, provide: () => Promise.reject(new Error(`no ${name}`)) }),
    );
    const attempt = provideTemporalBinary(deps({ ways }));
    await expect(attempt).rejects.toThrow(
      /PATH: there is none[\s\S]*cache: [\s\S]*one: no one[\s\S]*two: no two[\s\S]*TEMPORAL_CLI_PATH/,
    );
  });
});
