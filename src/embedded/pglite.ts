/** Opens the embedded PostgreSQL on a folder, so that a commit is on disk when it is answered and a start that was killed leaves no half-made folder. */
import { cpSync, fsyncSync } from 'node:fs';
import { access, mkdir, mkdtemp, open, readdir, readFile, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { PGlite } from '@electric-sql/pglite';
import { NodeFS } from '@electric-sql/pglite/nodefs';

export interface EmbeddedPostgres {
  readonly serverVersion: string;
  /** Wire messages in, wire messages out; one call at a time. */
  execute(batch: Buffer): Promise<Buffer>;
  /** One statement whose rows nobody needs, or the first column of its first row. */
  ask(statement: string): Promise<unknown>;
  close(): Promise<void>;
}

/** `-F` turns fsync off: PGlite's default, as its file systems have none. Ours has. */
const START = PGlite.defaultStartParams.filter((parameter) => parameter !== '-F');
/** fdatasync does nothing in WebAssembly, fsync is what `withFsync` gives. Its memory never shrinks: small buffers. */
const DURABLE = ['-c', 'wal_sync_method=fsync', '-c', 'shared_buffers=32MB'];
const SYNCED_AT_ONCE = 32;

export interface EmbeddedPostgresOptions {
  readonly folder: string;
  /** Keeps an empty database to copy: making one takes seconds. */
  readonly cacheDir: string;
}

export async function openEmbeddedPostgres({ folder, cacheDir }: EmbeddedPostgresOptions): Promise<EmbeddedPostgres> {
  if (!(await exists(join(folder, 'PG_VERSION')))) await make(folder, cacheDir);
  const postgres = await start(folder);
  return {
    serverVersion: String(await ask(postgres, 'SHOW server_version')),
    async execute(batch) {
      const answer: Buffer[] = [];
      // The stream variant: the others keep what they have parsed, for ever.
      const onRawData = (bytes: Uint8Array): void => void answer.push(Buffer.from(bytes));
      await postgres.execProtocolRawStream(batch, { syncToFs: false, onRawData });
      return Buffer.concat(answer);
    },
    ask: (statement) => ask(postgres, statement),
    close: () => postgres.close(),
  };
}

/** Under another name first: whatever has the right name is whole, and on disk. */
async function make(folder: string, cacheDir: string): Promise<void> {
  const draft = `${folder}.new`;
  await rm(draft, { recursive: true, force: true });
  const template = join(cacheDir, `postgres-${await pgliteVersion()}`);
  // Without a cache (a read-only home) it is made here.
  const cached = (await exists(template)) || (await makeTemplate(template).catch(() => false));
  // Synchronous: six times as fast, and nobody is served yet.
  if (cached) cpSync(template, draft, { recursive: true });
  else await initialise(draft);
  await syncTree(draft);
  await rename(draft, folder);
  await syncPath(dirname(folder));
}

/** Several processes may do so at once: one of them gives it the name. */
async function makeTemplate(template: string): Promise<boolean> {
  await mkdir(dirname(template), { recursive: true });
  const draft = await mkdtemp(`${template}.`);
  try {
    await initialise(draft);
    await rename(draft, template).catch(async (error: unknown) => {
      if (!(await exists(template))) throw error;
    });
    return true;
  } finally {
    await rm(draft, { recursive: true, force: true });
  }
}

async function initialise(folder: string): Promise<void> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  await (await start(folder)).close();
}

/** The package does not export its package.json. */
async function pgliteVersion(): Promise<string> {
  const text = await readFile(new URL('../package.json', import.meta.resolve('@electric-sql/pglite')), 'utf8');
  return String(JSON.parse(text).version);
}

function start(folder: string): Promise<PGlite> {
  return PGlite.create({ fs: withFsync(folder), startParams: [...START, ...DURABLE], relaxedDurability: false });
}

/** Node's file system as PGlite mounts it answers fsync without doing it; here it is done. */
function withFsync(folder: string): NodeFS {
  const files = new NodeFS(folder);
  const init = files.init.bind(files);
  files.init = async (postgres, options) => {
    const { emscriptenOpts } = await init(postgres, options);
    const preRun = [...(emscriptenOpts.preRun ?? []), addFsync];
    return { emscriptenOpts: { ...emscriptenOpts, preRun } };
  };
  return files;
}

interface MountedFiles {
  readonly NODEFS?: { readonly stream_ops?: { fsync?: (stream: { readonly nfd: number }) => number } };
}

function addFsync(module: MountedFiles): void {
  const operations = module.NODEFS?.stream_ops;
  if (operations === undefined) throw new Error('this PGlite has no NODEFS to make durable');
  operations.fsync = ({ nfd }) => {
    fsyncSync(nfd);
    return 0;
  };
}

async function ask(postgres: PGlite, statement: string): Promise<unknown> {
  const [row] = (await postgres.query<unknown[]>(statement, [], { rowMode: 'array' })).rows;
  return row?.[0];
}

async function syncTree(folder: string): Promise<void> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const paths = [folder, ...entries.map((entry) => join(entry.parentPath, entry.name))];
  while (paths.length > 0) await Promise.all(paths.splice(0, SYNCED_AT_ONCE).map(syncPath));
}

async function syncPath(path: string): Promise<void> {
  const file = await open(path, 'r');
  // Not every system lets a folder be synced.
  await file.sync().catch(() => {});
  await file.close();
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
