import { execFile } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

const PRELOAD = new URL('../../chaos/fs-faults.mjs', import.meta.url).href;
/** Waits until the preload has read its file, then does as the local store does; prints what became of it. */
const WRITER = `
  import { link, open, readFile } from 'node:fs/promises';
  import { setTimeout as sleep } from 'node:timers/promises';
  await sleep(300);
  try {
    const file = await open(process.argv[1] + '/temp', 'wx');
    await file.writeFile(Buffer.from('twelve bytes'));
    await file.datasync();
    await file.close();
    await link(process.argv[1] + '/temp', process.argv[1] + '/blob');
    console.log('written', await readFile(process.argv[1] + '/blob', 'utf8'));
  } catch (error) {
    console.log(error.code, error.syscall);
  }`;

let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tranche-fs-faults-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

async function write(fault: unknown): Promise<string> {
  const control = join(folder, 'control');
  await writeFile(control, fault === null ? '' : JSON.stringify(fault));
  const env = { ...process.env, CHAOS_FS_FAULTS: control, CHAOS_FS_ROOT: folder };
  const args = ['--import', PRELOAD, '--input-type=module', '-e', WRITER, folder];
  return (await promisify(execFile)(process.execPath, args, { env })).stdout.trim();
}

describe('a preloaded disk', () => {
  it('is as it was where nothing is wrong', async () => {
    expect(await write(null)).toBe('written twelve bytes');
  });

  it('is full', async () => {
    expect(await write({ kind: 'ENOSPC', share: 1 })).toMatch(/^ENOSPC/);
    expect(await readdir(folder)).not.toContain('blob');
  });

  it('fails', async () => {
    expect(await write({ kind: 'EIO', share: 1 })).toMatch(/^EIO/);
  });

  it('is slow, and right', async () => {
    expect(await write({ kind: 'slow', share: 1, delayMs: 20 })).toBe('written twelve bytes');
    expect(await readFile(join(folder, 'blob'), 'utf8')).toBe('twelve bytes');
  });
});
