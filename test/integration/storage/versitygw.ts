/** A real S3 server for tests: versitygw on a folder of its own, found, or built once into the user's cache. */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { access, constants, mkdir, mkdtemp, rename, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { homedir, tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';

const PACKAGE = 'github.com/versity/versitygw/cmd/versitygw@latest';
const BUILD_TIMEOUT_MS = 900_000;
const START_TIMEOUT_MS = 20_000;
const START_ATTEMPTS_MAX = 5;

export const NO_VERSITYGW =
  'skipped: no versitygw. Set VERSITYGW_PATH, put it on the PATH, or install Go so that it can be built';

export interface Versitygw {
  readonly endpoint: string;
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  /** The blob setting of a bucket that stands. */
  readonly blobUrl: (prefix: string) => string;
  stop(): Promise<void>;
}

/** True where `startVersitygw` can have a binary, if need be by building one. */
export async function versitygwIsWithinReach(): Promise<boolean> {
  return (await findBinary()) !== null || (await findOnPath('go')) !== null;
}

export async function startVersitygw(): Promise<Versitygw> {
  const binary = (await findBinary()) ?? (await buildBinary());
  const folder = await mkdtemp(join(tmpdir(), 'tranche-versitygw-'));
  const bucket = 'tranche-test';
  await mkdir(join(folder, bucket));
  const keys = { accessKeyId: 'tranche-access', secretAccessKey: 'tranche-secret' };
  for (let attempt = 1; ; attempt++) {
    const address = `127.0.0.1:${await freePort()}`;
    const login = ['--access', keys.accessKeyId, '--secret', keys.secretAccessKey];
    const server = spawn(binary, ['--quiet', '--port', address, ...login, 'posix', folder], { stdio: 'ignore' });
    // A test process that is killed must not leave a server behind.
    const killWithUs = () => server.kill('SIGKILL');
    process.once('exit', killWithUs);
    const stop = async () => {
      await kill(server);
      process.off('exit', killWithUs);
    };
    const endpoint = `http://${address}`;
    if (await answers(server, endpoint)) {
      return {
        endpoint,
        ...keys,
        blobUrl: (prefix) => `s3://${bucket}/${prefix}?endpoint=${endpoint}`,
        stop: async () => {
          await stop();
          await rm(folder, { recursive: true, force: true });
        },
      };
    }
    await stop();
    if (attempt >= START_ATTEMPTS_MAX) throw new Error(`versitygw (${binary}) does not start`);
  }
}

function cacheFolder(): string {
  return join(process.env['XDG_CACHE_HOME'] || join(homedir(), '.cache'), 'tranche');
}

async function findBinary(): Promise<string | null> {
  const named = process.env['VERSITYGW_PATH'];
  if (named) return named;
  const cached = join(cacheFolder(), 'versitygw');
  return (await findOnPath('versitygw')) ?? ((await isExecutable(cached)) ? cached : null);
}

async function findOnPath(name: string): Promise<string | null> {
  for (const folder of (process.env['PATH'] ?? '').split(delimiter)) {
    if (folder !== '' && (await isExecutable(join(folder, name)))) return join(folder, name);
  }
  return null;
}

/** Built beside and renamed, so that two test runs at once do not meet a half-written binary. */
async function buildBinary(): Promise<string> {
  await mkdir(cacheFolder(), { recursive: true });
  const folder = await mkdtemp(join(cacheFolder(), 'build-'));
  try {
    const env = { ...process.env, GOBIN: folder };
    await promisify(execFile)('go', ['install', PACKAGE], { env, timeout: BUILD_TIMEOUT_MS });
    await rename(join(folder, 'versitygw'), join(cacheFolder(), 'versitygw'));
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
  return join(cacheFolder(), 'versitygw');
}

async function isExecutable(path: string): Promise<boolean> {
  return access(path, constants.X_OK).then(
    () => true,
    () => false,
  );
}

async function freePort(): Promise<number> {
  const probe = createServer();
  await new Promise<void>((resolve) => probe.listen(0, '127.0.0.1', resolve));
  const address = probe.address();
  await new Promise((resolve) => probe.close(resolve));
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
}

/** Any HTTP answer will do: an unsigned request is refused by a server that is up. */
async function answers(server: ChildProcess, endpoint: string): Promise<boolean> {
  const deadline = performance.now() + START_TIMEOUT_MS;
  while (server.exitCode === null && performance.now() < deadline) {
    const isUp = await fetch(endpoint, { signal: AbortSignal.timeout(1_000) }).then(
      () => true,
      () => false,
    );
    if (isUp) return server.exitCode === null;
    await sleep(50);
  }
  return false;
}

async function kill(server: ChildProcess): Promise<void> {
  if (server.exitCode !== null || server.signalCode !== null) return;
  const ended = new Promise((resolve) => server.once('exit', resolve));
  server.kill('SIGKILL');
  await ended;
}
