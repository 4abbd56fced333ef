import type { TestWorkflowEnvironment } from '@temporalio/testing';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { noLog } from '../../../src/model/log.ts';
import type { OperationInput } from '../../../src/model/workflow-contract.ts';
import type { RunningOperations } from '../../../src/operations/index.ts';
import { createNudges } from '../../../src/operations/running/nudges.ts';
import { createReconciler } from '../../../src/operations/running/reconciler.ts';
import { createStarter } from '../../../src/operations/running/starter.ts';
import { createTemporalLink } from '../../../src/operations/running/temporal-link.ts';
import { chunkKey, chunkPrefix } from '../../../src/storage/keys.ts';
import { createRecords, type Records } from '../../../src/storage/records.ts';
import {
  ACTOR,
  eventually,
  type Folder,
  keysUnder,
  openFolder,
  operationsOn,
  QUICK_SETTINGS,
  request,
  startTemporal,
} from '../../fixtures/operations-under-test.ts';
import { silenceRuntime, startStandIn } from '../../fixtures/stand-in-worker.ts';

const BODY = '{"n":1}\n{"n":2}\n';

let env: TestWorkflowEnvironment;
let folder: Folder;
let records: Records;
const running: RunningOperations[] = [];
let stopWorker: (() => Promise<void>) | null = null;

beforeAll(async () => {
  silenceRuntime();
  env = await startTemporal();
});
afterAll(() => env.teardown());
beforeEach(async () => {
  folder = await openFolder();
  records = createRecords(folder.store);
});
afterEach(async () => {
  await Promise.all(running.splice(0).map((operations) => operations.stop()));
  await stopWorker?.();
  stopWorker = null;
  await folder.remove();
});

let accounts = 0;
const freshAccount = () => `account-${accounts++}`;

function reconciling(settings = {}): RunningOperations {
  const operations = operationsOn(folder.store, env.client, settings);
  operations.start();
  running.push(operations);
  return operations;
}

/** Makes every marker old enough to be looked at. */
async function age(uid: string, ms = 10_000): Promise<void> {
  const marker = await records.readOpen(uid);
  if (marker !== null) await records.putOpen({ ...marker, leaseAt: Date.now() - ms });
}

async function inputOf(workflowId: string): Promise<OperationInput> {
  const { events } = await env.client.workflow.getHandle(workflowId).fetchHistory();
  const payload = events?.[0]?.workflowExecutionStartedEventAttributes?.input?.payloads?.[0]?.data;
  return JSON.parse(Buffer.from(payload ?? []).toString('utf8')) as OperationInput;
}

describe('the reconciler', () => {
  it('settles an operation whose workflow an operator terminated', async () => {
    const account = freshAccount();
    const operations = reconciling();
    stopWorker = await startStandIn(env, folder.store);
    const { operation } = await operations.submit(request(BODY, { account }));
    await eventually(async () => (await operations.get(account, operation.id)).live);
    await env.client.workflow.getHandle(`${account}/${operation.id}`).terminate('by hand');
    await eventually(async () => {
      expect(await operations.get(account, operation.id)).toMatchObject({ state: 'ended', outcome: 'cancelled' });
    });
    expect((await inputOf(`${account}/${operation.id}`)).mode).toBe('settle');
  });

  it('takes away the marker of what has ended', async () => {
    const account = freshAccount();
    const operations = reconciling();
    stopWorker = await startStandIn(env, folder.store);
    const { operation } = await operations.submit(request(BODY, { account }));
    await eventually(async () => (await operations.cancel(account, operation.id, ACTOR)).settled);
    const [uid = ''] = (await keysUnder(folder.store, 'open/')).map((key) => key.slice('open/'.length));
    await age(uid);
    await eventually(async () => (await keysUnder(folder.store, 'open/')).length === 0);
  });

  it('starts what was accepted and never started, and resumes what was lost with a checkpoint', async () => {
    const account = freshAccount();
    const accepting = operationsOn(folder.store, env.client);
    const ids: string[] = [];
    for (const lost of [false, true]) {
      const { operation } = await accepting.submit(request(BODY, { account }));
      const handle = env.client.workflow.getHandle(`${account}/${operation.id}`);
      const { runId } = await handle.describe();
      const execution = { workflowId: `${account}/${operation.id}`, runId };
      await env.client.workflowService.deleteWorkflowExecution({ namespace: 'default', workflowExecution: execution });
      await eventually(() =>
        handle.describe().then(
          () => false,
          () => true,
        ),
      );
      if (lost) await records.putCheckpoint(account, operation.id, checkpoint());
      ids.push(operation.id);
    }
    for (const key of await keysUnder(folder.store, 'open/')) await age(key.slice('open/'.length));
    // Several processes at once do no harm.
    reconciling();
    reconciling();
    const modes = await eventually(() => Promise.all(ids.map(async (id) => (await inputOf(`${account}/${id}`)).mode)));
    expect(modes).toEqual(['start', 'resume']);
  });

  it('sweeps uploads whose lease is over and losers of a race, and nothing else', async () => {
    const account = freshAccount();
    const { operation } = await operationsOn(folder.store, env.client).submit(request(BODY, { account, key: 'won' }));
    const chunk = Buffer.from('bytes');
    const marker = { version: 1, account, operationId: null } as const;
    for (const [uid, operationId, ageMs] of [
      ['GONE', null, 61_000],
      ['GOES-ON', null, 30_000],
      ['LOST', operation.id, 6_000],
      ['DIED-EARLY', 'never-made', 61_000],
      ['AT-WORK', 'not-made-yet', 6_000],
    ] as const) {
      await folder.store.create(chunkKey(chunkPrefix(uid), 0), chunk);
      await records.putOpen({ ...marker, uid, operationId, leaseAt: Date.now() - ageMs });
    }
    reconciling();
    const uidsOf = async (prefix: string, part: number) =>
      (await keysUnder(folder.store, prefix)).map((key) => key.split('/')[part]).sort();
    await eventually(async () => {
      expect(await uidsOf('data/', 2)).toEqual(['AT-WORK', 'GOES-ON']);
      expect(await uidsOf('open/', 1)).toHaveLength(3);
    });
    expect(await uidsOf('open/', 1)).toEqual(expect.arrayContaining(['AT-WORK', 'GOES-ON']));
  });

  it('goes on after passes that failed, and comes to an end when told', async () => {
    const account = freshAccount();
    let faults = 3;
    const failing: typeof folder.store = {
      ...folder.store,
      list(prefix, options) {
        if (faults-- > 0) throw new Error('the store is away');
        return folder.store.list(prefix, options);
      },
    };
    const link = createTemporalLink(env.client);
    const nudges = createNudges();
    const starter = createStarter({ client: env.client, link, nudges, deadlineMs: 1_000, log: noLog });
    const reconciler = createReconciler({
      storage: { store: failing, records: createRecords(failing) },
      temporal: { client: env.client, link, starter },
      nudges,
      settings: QUICK_SETTINGS,
      log: noLog,
    });
    await records.putOpen({ version: 1, uid: 'OLD', account, operationId: null, leaseAt: 0 });
    reconciler.start();
    await eventually(async () => (await records.readOpen('OLD')) === null);
    await reconciler.stop();
    expect(faults).toBeLessThan(0);
  });
});

function checkpoint() {
  const at = new Date().toISOString();
  return {
    version: 1,
    run: 1,
    revision: 3,
    state: 'running',
    outcome: null,
    tally: { succeeded: 1, failed: 0, skipped: 0, cancelled: 0, unknown: 0 },
    running: 0,
    throttle: null,
    amended: {},
    startedAt: at,
    endedAt: null,
    asOf: at,
  } as const;
}
