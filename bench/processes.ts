/** Reads the stack's processes from /proc: who they are, their resident memory, the CPU that they have used. Linux only. */
import { readdir, readFile } from 'node:fs/promises';

export const PART_NAMES = ['api', 'worker', 'vendor', 'temporal'] as const;
export type PartName = (typeof PART_NAMES)[number];
export type ByPart = Readonly<Record<PartName, number>>;

/** Linux counts CPU time in 1/100 s whatever the kernel's own tick. */
const TICKS_PER_SECOND = 100;

/** Finds the parts among the descendants of a supervisor. Throws where one is missing. */
export async function findParts(supervisorPid: number): Promise<ByPart> {
  const found = new Map<PartName, number>();
  for (const { pid, command } of await descendants(supervisorPid)) {
    const name = partOf(command);
    if (name !== null) found.set(name, pid);
  }
  return byPart((name) => {
    const pid = found.get(name);
    if (pid === undefined) throw new Error(`no process of the stack is its ${name}`);
    return pid;
  });
}

export function byPart(figure: (name: PartName) => number): ByPart {
  return { api: figure('api'), worker: figure('worker'), vendor: figure('vendor'), temporal: figure('temporal') };
}

/** Resident memory now, in MiB. */
export async function residentMiB(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  const kibibytes = /^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1];
  if (kibibytes === undefined) throw new Error(`process ${pid} tells no VmRSS`);
  return Number(kibibytes) / 1_024;
}

/** User and system time so far, in seconds, to 10 ms. */
export async function cpuSeconds(pid: number): Promise<number> {
  const fields = await statFields(pid);
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
}

export async function readEach(pids: ByPart, read: (pid: number) => Promise<number>): Promise<ByPart> {
  const values = new Map(await Promise.all(PART_NAMES.map(async (name) => [name, await read(pids[name])] as const)));
  return byPart((name) => values.get(name) ?? 0);
}

/** CPU seconds by part from now until the returned function is called. */
export async function startCpuMeter(pids: ByPart): Promise<() => Promise<ByPart>> {
  const before = await readEach(pids, cpuSeconds);
  return async () => {
    const after = await readEach(pids, cpuSeconds);
    return byPart((name) => after[name] - before[name]);
  };
}

interface Descendant {
  readonly pid: number;
  readonly command: readonly string[];
}

async function descendants(root: number): Promise<readonly Descendant[]> {
  const parents = new Map<number, number>();
  const names = await readdir('/proc').catch(() => []);
  if (names.length === 0) throw new Error('this bench needs /proc, which only Linux has');
  for (const pid of names.filter((name) => /^\d+$/.test(name)).map(Number)) {
    const fields = await statFields(pid).catch(() => []);
    parents.set(pid, Number(fields[1]));
  }
  const isBelow = (pid: number): boolean => {
    const parent = parents.get(pid) ?? 0;
    return parent === root || (parent > 1 && isBelow(parent));
  };
  const pids = [...parents.keys()].filter(isBelow);
  return Promise.all(pids.map(async (pid) => ({ pid, command: await commandOf(pid) })));
}

function partOf(command: readonly string[]): PartName | null {
  if (command.includes('--supervised')) {
    const mode = command[command.indexOf('--supervised') - 1];
    if (mode === 'api' || mode === 'worker') return mode;
    return mode === 'mock-vendor' ? 'vendor' : null;
  }
  // Its guard carries the same arguments behind its own.
  return command[1] === 'server' && command[2] === 'start-dev' ? 'temporal' : null;
}

async function commandOf(pid: number): Promise<readonly string[]> {
  return (await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')).split('\0');
}

/** From field 3 on (`state`): the name before it may hold spaces and brackets. */
async function statFields(pid: number): Promise<readonly string[]> {
  const text = await readFile(`/proc/${pid}/stat`, 'utf8');
  return text.slice(text.lastIndexOf(')') + 2).split(' ');
}
