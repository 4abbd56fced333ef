/** The embedded stack as a neighbour on the network sees it: not at all. */
import { readdirSync, readFileSync, readlinkSync, statSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { findFreePort } from '../../../src/embedded/ports.ts';
import { type Stack, startStack } from '../../fixtures/stack/stack.ts';

const LISTENS = '0A';
/** 127.0.0.1 and ::1 as the kernel writes them. */
const LOOPBACK = ['0100007F', '00000000000000000000000001000000', '0000000000000000FFFF00000100007F'];

let stack: Stack;
let folder: string;
let dataDir: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tranche-listening-'));
  dataDir = join(folder, 'data');
  const port = await findFreePort('127.0.0.1');
  stack = await startStack({ DATA_DIR: dataDir, TEMPORAL_UI_PORT: `${port}` });
});
afterAll(async () => {
  await stack?.stop();
  await rm(folder, { recursive: true, force: true, maxRetries: 10, retryDelay: 200 });
});

function parentOf(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
  // The command stands in brackets and may hold anything.
  return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]);
}

/** The process and all that it has started. */
function familyOf(pid: number): number[] {
  const all = readdirSync('/proc').filter((name) => /^\d+$/.test(name));
  const children = all.map(Number).filter((other) => {
    try {
      return parentOf(other) === pid;
    } catch {
      return false;
    }
  });
  return [pid, ...children.flatMap(familyOf)];
}

function socketsOf(pid: number): string[] {
  return readdirSync(`/proc/${pid}/fd`).flatMap((fd) => {
    try {
      return /^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/${pid}/fd/${fd}`))?.[1] ?? [];
    } catch {
      return [];
    }
  });
}

/** Hexadecimal `address:port` of everything that these processes listen on. */
function listeningOf(pids: readonly number[]): string[] {
  const inodes = new Set(pids.flatMap(socketsOf));
  return ['tcp', 'tcp6'].flatMap((table) => {
    const rows = readFileSync(`/proc/net/${table}`, 'latin1').split('\n').slice(1);
    const fields = rows.map((row) => row.trim().split(/\s+/));
    return fields.flatMap(([, local, , state, , , , , , inode]) => {
      return state === LISTENS && inodes.has(inode ?? '') && local !== undefined ? [local] : [];
    });
  });
}

describe.skipIf(process.platform !== 'linux')('the embedded stack', () => {
  it('listens on the loopback address alone, with every one of its processes', () => {
    const listening = listeningOf(familyOf(parentOf(stack.pidOf('api'))));
    // API, mock vendor, database, Temporal and its Web UI.
    expect(listening.length).toBeGreaterThanOrEqual(5);
    expect(listening.filter((local) => !LOOPBACK.includes(local.split(':')[0] ?? ''))).toEqual([]);
  });

  it('keeps its folder to its own user', () => {
    for (const path of [dataDir, join(dataDir, 'callback-secret')]) expect(statSync(path).mode & 0o077, path).toBe(0);
  });
});
