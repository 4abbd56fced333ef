/** A crash point that nobody gets to proves nothing: each is named in the source, and armed it kills the process there. */
import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { ConfigError, readConfig } from '../../src/config.ts';
import { CRASH_POINTS } from '../../src/model/crash-point.ts';

const root = fileURLToPath(new URL('../../src/', import.meta.url));
const LIST = 'model/crash-point.ts';

const code = readdirSync(root, { recursive: true, encoding: 'utf8' })
  .filter((path) => path.endsWith('.ts') && path.replaceAll('\\', '/') !== LIST)
  .map((path) => readFileSync(join(root, path), 'utf8').replace(/\/\*[\s\S]*?\*\//g, ''));

/** Arguments of every `reach(…)`. */
const reached = code.flatMap((text) => [...text.matchAll(/\breach\(([^)]*)\)/g)].map((match) => match[1] ?? ''));

describe('the crash points', () => {
  it('are each got to somewhere in the source', () => {
    const missing = CRASH_POINTS.filter((point) => !reached.some((argument) => argument.includes(`'${point}'`)));
    expect(missing).toEqual([]);
  });

  it('are each named once in the list', () => {
    expect(new Set(CRASH_POINTS).size).toBe(CRASH_POINTS.length);
  });
});

describe('CRASH_POINT', () => {
  it('names a point and how often it is got to', () => {
    const env = { CRASH_POINTS_ALLOWED: 'yes' };
    const orderOf = (CRASH_POINT: string) => readConfig({ ...env, CRASH_POINT }).diagnosis.crashPoint;
    expect(orderOf('')).toBeNull();
    expect(orderOf('slice.committed')).toEqual({ point: 'slice.committed', nth: 1 });
    expect(orderOf('slice.committed:12')).toEqual({ point: 'slice.committed', nth: 12 });
  });

  it.each(['slice', 'slice.committed:0', 'slice.committed:', 'slice.committed:x', ' slice.committed'])(
    'refuses %j',
    (CRASH_POINT) => {
      expect(() => readConfig({ CRASH_POINTS_ALLOWED: 'yes', CRASH_POINT })).toThrow(ConfigError);
    },
  );

  it('is refused where nobody said that processes may be killed', () => {
    expect(() => readConfig({ CRASH_POINT: 'slice.committed' })).toThrow(/CRASH_POINTS_ALLOWED=yes/);
  });
});

describe('an armed process', () => {
  const run = (nth: number, times: number) => {
    const script = `
      const { crashAt } = await import(${JSON.stringify(`${root}crash.ts`)});
      const { reach } = await import(${JSON.stringify(`${root}${LIST}`)});
      crashAt({ point: 'slice.committed', nth: ${nth} });
      for (let time = 1; time <= ${times}; time++) {
        reach('slice.log_read');
        reach('slice.committed');
        process.stdout.write(String(time));
      }`;
    const args = ['--disable-warning=ExperimentalWarning', '--input-type=module', '-e', script];
    const { signal, status, stdout } = spawnSync(process.execPath, args, { encoding: 'utf8', timeout: 20_000 });
    return { signal, status, stdout };
  };

  it('is killed the nth time it gets there, and runs nothing more', () => {
    expect(run(3, 5)).toEqual({ signal: 'SIGKILL', status: null, stdout: '12' });
  });

  it('lives on where it gets there less often', () => {
    expect(run(3, 2)).toEqual({ signal: null, status: 0, stdout: '12' });
  });
});
