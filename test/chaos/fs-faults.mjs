/**
 * Preloaded into API and worker processes (`--import`): what their disk does on a bad day. The file named by
 * CHAOS_FS_FAULTS says what is wrong now; without that variable nothing is touched.
 */
import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { setTimeout as sleep } from 'node:timers/promises';

const POLL_MS = 25;
const control = process.env.CHAOS_FS_FAULTS;
const root = process.env.CHAOS_FS_ROOT ?? '';
/** `{"kind": "ENOSPC" | "EIO" | "slow", "share": 0.5, "delayMs": 200}`, or null. */
let fault = null;

if (control !== undefined) await install();

async function install() {
  const readFile = fs.readFileSync;
  let seen = '';
  setInterval(() => {
    const text = tryRead(readFile);
    if (text === seen) return;
    seen = text;
    try {
      fault = text === '' ? null : JSON.parse(text);
    } catch {
      // Torn: read again in a moment.
      seen = '';
    }
  }, POLL_MS).unref();
  wrapPaths(fs.promises);
  await wrapHandles(fs.promises);
  syncBuiltinESMExports();
}

function tryRead(readFile) {
  try {
    return readFile(control, 'utf8');
  } catch {
    return '';
  }
}

/** Path-based calls, on the blobs' folder alone. Half of the errors come after the deed: its outcome is then in doubt. */
function wrapPaths(promises) {
  for (const name of ['open', 'link', 'rename', 'mkdir', 'unlink']) {
    const original = promises[name];
    promises[name] = async (...args) => {
      const touched = args.some((arg) => typeof arg === 'string' && arg.startsWith(root));
      const grows =
        name === 'mkdir' || name === 'link' || (name === 'open' && /[wax]|^64|^[0-9]+$/.test(String(args[1] ?? 'r')));
      if (!touched || !(await strikes(grows))) return original(...args);
      if (name !== 'open' && fault?.kind === 'EIO' && Math.random() < 0.5) await original(...args);
      throw errorOf(name);
    };
  }
}

/** Writes and syncs of every open file: these processes write blobs and little else. */
async function wrapHandles(promises) {
  const handle = await promises.open(process.execPath, 'r');
  const prototype = Object.getPrototypeOf(handle);
  await handle.close();
  const { write, writeFile, datasync, sync } = prototype;
  prototype.write = async function (...args) {
    if (!(await strikes(true))) return write.apply(this, args);
    throw errorOf('write');
  };
  prototype.writeFile = async function (data, ...rest) {
    if (!(await strikes(true))) return writeFile.call(this, data, ...rest);
    // The disk was full half-way: a torn file stays behind.
    if (Buffer.isBuffer(data)) await writeFile.call(this, data.subarray(0, data.length >> 1), ...rest);
    throw errorOf('write');
  };
  prototype.datasync = async function () {
    if (!(await strikes(false))) return datasync.call(this);
    await datasync.call(this);
    throw errorOf('fdatasync');
  };
  prototype.sync = async function () {
    if (!(await strikes(false))) return sync.call(this);
    throw errorOf('fsync');
  };
}

/** `grows`: the call takes room on the disk; no other fails for want of it. */
async function strikes(grows) {
  const now = fault;
  if (now === null || Math.random() >= now.share) return false;
  if (now.kind === 'slow') {
    await sleep(now.delayMs);
    return false;
  }
  return now.kind === 'EIO' || grows;
}

function errorOf(syscall) {
  const code = fault?.kind === 'EIO' ? 'EIO' : 'ENOSPC';
  const text = code === 'EIO' ? 'i/o error' : 'no space left on device';
  const error = new Error(`${code}: ${text}, ${syscall}`);
  return Object.assign(error, { code, errno: code === 'EIO' ? -5 : -28, syscall });
}
