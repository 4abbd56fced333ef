/** Runs a TypeScript entry on the right Node, after installing what is missing. Plain JavaScript: any Node from 20 on starts it. */
import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const stampFile = join(root, 'node_modules', '.tranche-lock');
const lockFolder = join(root, '.cache', 'install.lock');
const NODE_MIN = [22, 18];
const INSTALL_MAX_MS = 15 * 60_000;
const REPEATED_SIGNAL_MS = 1_000;
const PARENT_POLL_MS = 500;
/** What src/embedded/launch.ts gives the parts of the stack, for those that are run by hand. */
const leanFlags = (mode) => [`--max-semi-space-size=${mode === 'worker' ? 32 : 16}`];
const WORKER_MALLOC = { MALLOC_ARENA_MAX: '2', MALLOC_MMAP_THRESHOLD_: '131072' };

await ensureDependencies();
run(pickNode(), process.argv.slice(2));

/**
 * Installs where node_modules does not hold what package-lock.json names; one process at a time. Not `npm ci`: it
 * refuses a lock without every platform's optional packages, which not every registry has. --no-save keeps the lock.
 */
async function ensureDependencies() {
  if (dependenciesStand()) return;
  await withLock(() => {
    if (dependenciesStand()) return;
    process.stderr.write('tranche: installing dependencies (npm install) …\n');
    const npm = process.env.npm_execpath;
    const args = ['install', '--no-save', '--include=dev', '--include=optional', '--no-audit', '--no-fund'];
    const [file, all] = npm?.endsWith('.js') ? [process.execPath, [npm, ...args]] : ['npm', args];
    // stdout belongs to the entry: `npm start` prints one line there.
    const { status, error } = spawnSync(file, all, { cwd: root, stdio: ['ignore', 2, 2], timeout: INSTALL_MAX_MS });
    if (status !== 0)
      fail(`npm install failed (${error?.message ?? `exit code ${status}`}): see above; then try again.`);
    writeFileSync(stampFile, lockHash());
  });
}

function dependenciesStand() {
  if (!existsSync(join(root, 'node_modules', '.package-lock.json'))) return false;
  const hash = lockHash();
  if (existsSync(stampFile) && readFileSync(stampFile, 'utf8') === hash) return true;
  if (!installedMatches()) return false;
  writeFileSync(stampFile, hash);
  return true;
}

function lockHash() {
  return createHash('sha256')
    .update(readFileSync(join(root, 'package-lock.json')))
    .digest('hex');
}

/** After `npm install` by hand there is no stamp; then npm's own record of what it installed decides. */
function installedMatches() {
  const wanted = readJson('package-lock.json').packages;
  const installed = readJson(join('node_modules', '.package-lock.json')).packages;
  return Object.entries(wanted).every(
    ([path, entry]) => path === '' || entry.optional || entry.peer || installed[path]?.version === entry.version,
  );
}

function readJson(path) {
  return JSON.parse(readFileSync(join(root, path), 'utf8'));
}

/** A folder is created by one process only; its owner's id tells whether it still lives. */
async function withLock(work) {
  mkdirSync(join(root, '.cache'), { recursive: true });
  const deadline = Date.now() + INSTALL_MAX_MS;
  while (!tryLock()) {
    if (Date.now() > deadline) fail(`another process keeps ${lockFolder}: end it, or delete the folder.`);
    await new Promise((wake) => setTimeout(wake, 200));
  }
  const release = () => rmSync(lockFolder, { recursive: true, force: true });
  process.once('exit', release);
  try {
    work();
  } finally {
    process.off('exit', release);
    release();
  }
}

function tryLock() {
  try {
    mkdirSync(lockFolder);
    writeFileSync(join(lockFolder, 'pid'), String(process.pid));
    return true;
  } catch (error) {
    if (error.code !== 'EEXIST') throw error;
    if (lockIsStale()) rmSync(lockFolder, { recursive: true, force: true });
    return false;
  }
}

function lockIsStale() {
  try {
    const ageMs = Date.now() - statSync(lockFolder).mtimeMs;
    if (ageMs > INSTALL_MAX_MS) return true;
    const pidFile = join(lockFolder, 'pid');
    if (!existsSync(pidFile)) return ageMs > 5_000;
    process.kill(Number(readFileSync(pidFile, 'utf8')), 0);
    return false;
  } catch (error) {
    return error.code === 'ESRCH';
  }
}

/** Node 24 from node_modules where the platform has one, else the running one where it can strip types. */
function pickNode() {
  const exe = process.platform === 'win32' ? 'node.exe' : 'node';
  const names = [`node-${process.platform}-${process.arch}`, `node-bin-${process.platform}-${process.arch}`];
  const own = [...names, `node-${process.platform === 'win32' ? 'win' : process.platform}-${process.arch}`]
    .map((name) => join(root, 'node_modules', name, 'bin', exe))
    .find((path) => existsSync(path) && isNewEnough(versionOf(path)));
  if (own !== undefined) return own;
  if (isNewEnough(process.versions.node)) return process.execPath;
  return fail(
    `no Node package runs on ${process.platform}-${process.arch}, and this Node is ${process.versions.node}: ` +
      `install Node ${NODE_MIN.join('.')} or later (24 is best) and try again.`,
  );
}

/** Empty where the binary does not run here (other C library, other architecture). */
function versionOf(path) {
  const { status, stdout } = spawnSync(path, ['-p', 'process.versions.node'], { encoding: 'utf8', timeout: 10_000 });
  return status === 0 ? stdout.trim() : '';
}

function isNewEnough(version) {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  return major > NODE_MIN[0] || (major === NODE_MIN[0] && minor >= NODE_MIN[1]);
}

function run(node, [script, ...args]) {
  if (script === undefined) fail('usage: node scripts/run.mjs <script> [arguments]');
  // A group of its own: Ctrl-C reaches the child once, through us. The channel tells it when we are killed.
  const flags = args[0] === 'worker' || args[0] === 'api' ? leanFlags(args[0]) : [];
  const child = spawn(node, ['--disable-warning=ExperimentalWarning', ...flags, resolve(root, script), ...args], {
    stdio: ['inherit', 'inherit', 'inherit', 'ipc'],
    detached: process.platform !== 'win32',
    env: { UV_THREADPOOL_SIZE: '16', ...(args[0] === 'worker' ? WORKER_MALLOC : {}), ...process.env },
  });
  const lastAt = new Map();
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
    process.on(signal, () => {
      // npm and the terminal both deliver a Ctrl-C: that is one.
      const repeated = Date.now() - (lastAt.get(signal) ?? 0) < REPEATED_SIGNAL_MS;
      if (repeated) return;
      lastAt.set(signal, Date.now());
      child.kill(signal);
    });
  }
  const watch = watchParent(() => child.kill('SIGTERM'));
  child.once('error', (error) => fail(`cannot start ${node}: ${error.message}`));
  child.once('exit', (code, signal) => {
    clearInterval(watch);
    process.exitCode = code ?? 128 + (signal === 'SIGINT' ? 2 : signal === 'SIGKILL' ? 9 : 15);
    if (child.connected) child.disconnect();
    for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.removeAllListeners(name);
  });
}

/** npm that is killed takes its script with it; started by hand, one may outlive the shell. */
function watchParent(stop) {
  const parent = process.ppid;
  if (process.env.npm_lifecycle_event === undefined) return undefined;
  const timer = setInterval(() => {
    if (process.ppid === parent) return;
    clearInterval(timer);
    stop();
  }, PARENT_POLL_MS);
  return timer;
}

function fail(message) {
  process.stderr.write(`tranche: ${message}\n`);
  process.exit(1);
}
