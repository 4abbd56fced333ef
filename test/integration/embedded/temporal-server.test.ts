/** The embedded Temporal server: what it holds survives its death, and a namespace gets what operations need. */
import { execFileSync } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client, type Connection } from '@temporalio/client';
import { defineSearchAttributeKey, SearchAttributeType, TypedSearchAttributes } from '@temporalio/common';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { environment, readConfig } from '../../../src/config.ts';
import { createPart, type Part } from '../../../src/embedded/part.ts';
import { provideTemporalBinary } from '../../../src/embedded/temporal-binary.ts';
import { chooseTemporalPort, stopStaleServer, temporalServerCommand } from '../../../src/embedded/temporal-server.ts';
import { noLog } from '../../../src/model/log.ts';
import { SEARCH_ATTRIBUTES, TASK_QUEUE } from '../../../src/model/workflow-contract.ts';
import { ensureNamespace, ensureSearchAttributes, openConnection, prepareNamespace } from '../../../src/temporal.ts';

const WAIT = { timeout: 60_000, interval: 50 };
const RETENTION_DAYS = 30;
let dataDir: string;
let server: Part;
let connection: Connection;
let port: number;

beforeAll(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'tranche-temporal-'));
  const env = environment();
  const { temporal, cacheDir } = readConfig(env);
  const searchPath = env['PATH'] ?? '';
  const binary = await provideTemporalBinary({ cliPath: temporal.cliPath, searchPath, cacheDir, tell: () => {} });
  const command = async () => {
    await stopStaleServer(dataDir);
    port = await chooseTemporalPort(dataDir);
    return temporalServerCommand({ binary, dataDir, port, uiPort: null, env });
  };
  server = createPart({ name: 'temporal', graceMs: 10_000, command }, noLog);
  server.start();
  await isReady();
  connection = openConnection(readConfig({ TEMPORAL_ADDRESS: `127.0.0.1:${port}` }));
  await prepare();
});

afterAll(async () => {
  await connection?.close();
  await server?.stop();
  await rm(dataDir, { recursive: true, force: true });
});

const isReady = () => vi.waitFor(() => expect(server.isReady()).toBe(true), WAIT);
const facts = (namespace = 'default') => ({ connection, namespace, retentionDays: RETENTION_DAYS, log: noLog });
const prepare = () => prepareNamespace(facts(), AbortSignal.timeout(60_000));

async function serverPid(): Promise<number> {
  return JSON.parse(await readFile(join(dataDir, 'temporal.pid'), 'utf8')).pid;
}

async function startWorkflow(workflowId: string): Promise<void> {
  const account = defineSearchAttributeKey(SEARCH_ATTRIBUTES.account, SearchAttributeType.KEYWORD);
  const typedSearchAttributes = new TypedSearchAttributes([{ key: account, value: 'acme' }]);
  await new Client({ connection }).workflow.start('operation', {
    workflowId,
    taskQueue: TASK_QUEUE,
    typedSearchAttributes,
  });
}

const stateOf = async (id: string) => (await new Client({ connection }).workflow.getHandle(id).describe()).status.name;

describe('the embedded Temporal server', () => {
  it('keeps closed workflows as long as operations are kept', async () => {
    const { config } = await connection.workflowService.describeNamespace({ namespace: 'default' });
    expect(Number(config?.workflowExecutionRetentionTtl?.seconds)).toBe(RETENTION_DAYS * 86_400);
  });

  it('never lowers a retention', async () => {
    await ensureNamespace({ ...facts(), retentionDays: 1 });
    const { config } = await connection.workflowService.describeNamespace({ namespace: 'default' });
    expect(Number(config?.workflowExecutionRetentionTtl?.seconds)).toBe(RETENTION_DAYS * 86_400);
  });

  it('finds workflows by our search attributes, prepared as often as you like', async () => {
    await Promise.all([ensureSearchAttributes(facts()), ensureSearchAttributes(facts())]);
    await startWorkflow('acme/listed');
    const listed = async () => {
      const ids: string[] = [];
      for await (const it of new Client({ connection }).workflow.list({ query: 'TrancheAccount = "acme"' }))
        ids.push(it.workflowId);
      return ids;
    };
    await vi.waitFor(async () => expect(await listed()).toContain('acme/listed'), WAIT);
  });

  it('gets a namespace of its own registered with everything in it', async () => {
    await prepareNamespace(facts('of-its-own'), AbortSignal.timeout(60_000));
    const { customAttributes } = await connection.operatorService.listSearchAttributes({ namespace: 'of-its-own' });
    expect(Object.keys(customAttributes ?? {})).toEqual(expect.arrayContaining(Object.values(SEARCH_ATTRIBUTES)));
  });

  it('holds its workflows over kill -9, on the same port', async () => {
    await startWorkflow('acme/kept');
    const portBefore = port;
    process.kill(await serverPid(), 'SIGKILL');
    await vi.waitFor(() => expect(server.isReady()).toBe(false), WAIT);
    await isReady();
    await prepare();
    expect(port).toBe(portBefore);
    expect(await stateOf('acme/kept')).toBe('RUNNING');
  });

  it('is never two on one file: what a killed guard left behind is ended first', async () => {
    const guard = server.pid() ?? 0;
    const left = await serverPid();
    process.kill(guard, 'SIGKILL');
    await vi.waitFor(() => expect(server.isReady() && server.pid() !== guard).toBe(true), WAIT);
    expect(() => process.kill(left, 0)).toThrow();
    const servers = execFileSync('ps', ['-eo', 'args'], { encoding: 'utf8' }).split('\n');
    const own = servers.filter(
      (line) => line.includes(join(dataDir, 'temporal.db')) && !line.includes('temporal-guard'),
    );
    expect(own).toHaveLength(1);
    await prepare();
    expect(await stateOf('acme/kept')).toBe('RUNNING');
  });

  it('holds its workflows over an orderly stop', async () => {
    await server.stop();
    server.start();
    await isReady();
    await prepare();
    expect(await stateOf('acme/kept')).toBe('RUNNING');
  });
});
