/** docs/adding-a-target.md, followed literally on a copy of the source: what the page says is what a reader gets. */
import { execFile, spawn } from 'node:child_process';
import { appendFile, cp, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { embeddedDatabaseUrl, findFreePort } from '../../../src/embedded/ports.ts';
import { openDatabase } from '../../../src/storage/postgres.ts';
import { eventually } from '../../fixtures/stack/eventually.ts';
import { follow, type Started } from '../../fixtures/stack/processes.ts';

const root = fileURLToPath(new URL('../../../', import.meta.url));
const run = promisify(execFile);
const HOST = '127.0.0.1';

let copy: string;
let blocks: ReadonlyMap<string, string>;
let service: Started | null = null;
let url: string;
let databasePort: number;

beforeAll(async () => {
  blocks = blocksOf(await readFile(join(root, 'docs/adding-a-target.md'), 'utf8'));
  copy = await mkdtemp(join(tmpdir(), 'tranche-leads-'));
  for (const part of ['src', 'package.json', 'tsconfig.json', 'biome.json', '.gitignore']) {
    await cp(join(root, part), join(copy, part), { recursive: true });
  }
  await symlink(join(root, 'node_modules'), join(copy, 'node_modules'));
  await writeFile(join(copy, 'src/targets/leads.ts'), block('ts src/targets/leads.ts'));
  await appendFile(join(copy, 'src/targets/registry.ts'), block('ts src/targets/registry.ts'));
});

afterAll(async () => {
  await service?.stop();
  await rm(copy, { recursive: true, force: true, maxRetries: 10, retryDelay: 200 });
});

/** Info string → content of each fenced block of the page. */
function blocksOf(page: string): ReadonlyMap<string, string> {
  const fenced = [...page.matchAll(/^```(\S.*)\n([\s\S]*?)^```$/gm)];
  return new Map(fenced.map((match) => [match[1] ?? '', match[2] ?? '']));
}

function block(info: string): string {
  const found = blocks.get(info);
  if (found === undefined) throw new Error(`the page has no block ${info}`);
  return found;
}

/** What a tool says against the copy; empty where it is content. */
async function faultsOf(...args: string[]): Promise<string> {
  try {
    await run(process.execPath, args, { cwd: copy });
    return '';
  } catch (error) {
    const { stdout, stderr } = error as { stdout?: string; stderr?: string };
    return `${stdout ?? ''}${stderr ?? ''}` || String(error);
  }
}

/** As `npm start`, on ports and folders of its own. */
async function start(): Promise<void> {
  const [port, vendorPort] = [await findFreePort(HOST), await findFreePort(HOST)];
  databasePort = await findFreePort(HOST);
  url = `http://${HOST}:${port}`;
  const env = {
    PATH: process.env['PATH'],
    HOME: process.env['HOME'],
    TEMPORAL_CLI_PATH: process.env['TEMPORAL_CLI_PATH'] ?? '',
    TRANCHE_TEST_RUN: process.env['TRANCHE_TEST_RUN'] ?? '',
    UV_THREADPOOL_SIZE: '16',
    DATA_DIR: join(copy, 'data'),
    PORT: `${port}`,
    MOCK_VENDOR_PORT: `${vendorPort}`,
    DATABASE_PORT: `${databasePort}`,
    TEMPORAL_UI_PORT: '0',
  };
  const args = ['--disable-warning=ExperimentalWarning', 'src/main.ts', 'all'];
  service = follow(spawn(process.execPath, args, { cwd: copy, env, stdio: ['ignore', 'pipe', 'pipe', 'ipc'] }));
  await service.ready;
}

const get = async (path: string) => (await fetch(`${url}${path}`)).text();

describe('the page that adds a target', () => {
  it('adds one file and one line', () => {
    expect([...blocks.keys()].filter((info) => info.includes('src/'))).toEqual([
      'ts src/targets/leads.ts',
      'ts src/targets/registry.ts',
    ]);
    expect(block('ts src/targets/registry.ts').trim().split('\n')).toHaveLength(1);
  });

  it('gives a source tree that type-checks and is formatted', async () => {
    const biome = 'node_modules/@biomejs/biome/bin/biome';
    expect(await faultsOf('node_modules/typescript/bin/tsc', '-p', '.')).toBe('');
    expect(await faultsOf(biome, 'check', '--write', 'src/targets/registry.ts')).toBe('');
    expect(await faultsOf(biome, 'check', 'src/targets/leads.ts')).toBe('');
  });

  it('gives a target that does what the page shows, on the whole service', async () => {
    await start();
    const [submit = '', results = ''] = block('sh').trim().split('\n');
    const pathIn = (command: string) => /'http:\/\/127\.0\.0\.1:3000([^']*)'/.exec(command)?.[1] ?? '';
    const headers = [...submit.matchAll(/-H '([^:]+): ([^']*)'/g)].map((match) => [match[1] ?? '', match[2] ?? '']);
    const post = async () => {
      const body = block('csv leads.csv');
      return fetch(`${url}${pathIn(submit)}`, { method: 'POST', headers: Object.fromEntries(headers), body });
    };
    const accepted = await post();
    expect(accepted.status).toBe(202);
    const { id } = (await accepted.json()) as { id: string };
    await eventually('the operation ends', async () => JSON.parse(await get(`/v1/operations/${id}`)).state === 'ended');
    expect(await get(pathIn(results))).toBe(block('json results'));
    expect(await rowsOf(id)).toEqual([
      { email: 'ada@example.com', name: 'Ada', source: 'website', score: 80 },
      { email: 'grace@example.com', name: 'Grace', source: 'event', score: 0 },
    ]);

    expect((await post()).headers.get('idempotent-replayed')).toBe('true');
  });

  it('shows it among the targets, with its JSON Schema, and on the CSV surface', async () => {
    const { data } = JSON.parse(await get('/v1/targets')) as { data: { name: string; schema: object }[] };
    expect(data.find(({ name }) => name === 'leads')).toMatchObject({
      entity: 'Lead',
      guarantee: 'exactly_once',
      onDoubt: 'resend',
      vendor: null,
      deduplicates: true,
      schema: {
        type: 'object',
        required: ['email', 'source'],
        properties: { email: { type: 'string', maxLength: 254 }, source: { enum: ['website', 'event', 'referral'] } },
      },
    });

    const form = new FormData();
    form.set('actionType', 'BULK_UPDATE');
    form.set('entityType', 'lead');
    form.set('file', new Blob([block('csv leads.csv')], { type: 'text/csv' }), 'leads.csv');
    const { actionId } = (await (await fetch(`${url}/bulk-actions`, { method: 'POST', body: form })).json()) as {
      actionId: string;
    };
    const stats = async () => JSON.parse(await get(`/bulk-actions/${actionId}/stats`));
    await eventually('all rows are processed', async () => (await stats()).processedCount === 4);
    expect(await stats()).toMatchObject({ successCount: 2, failureCount: 1, skippedCount: 1 });
  });
});

async function rowsOf(operation: string) {
  const database = openDatabase({
    url: embeddedDatabaseUrl(databasePort),
    connectionsMax: 1,
    applicationName: 'test',
    statementTimeoutMs: 60_000,
  });
  try {
    const text = 'SELECT email, name, source, score FROM leads WHERE updated_by_operation = $1 ORDER BY email';
    return (await database.query(text, [operation])).rows;
  } finally {
    await database.close();
  }
}
