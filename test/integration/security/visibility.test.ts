/** Lists are queries that this service writes: neither a filter nor a made-up cursor makes them answer for another account. */

import type { Client } from '@temporalio/client';
import type { TestWorkflowEnvironment } from '@temporalio/testing';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { RunningOperations } from '../../../src/operations/index.ts';
import { encodeCursor } from '../../../src/operations/status/cursor.ts';
import { visibilityQuery } from '../../../src/operations/status/visibility.ts';
import {
  eventually,
  type Folder,
  openFolder,
  operationsOn,
  request,
  startTemporal,
} from '../../fixtures/operations-under-test.ts';

let temporal: TestWorkflowEnvironment;
let client: Client;
let folder: Folder;
let operations: RunningOperations;

beforeAll(async () => {
  temporal = await startTemporal();
  client = temporal.client;
  folder = await openFolder();
  operations = operationsOn(folder.store, client);
  for (const account of ['acme', 'other']) {
    for (let n = 0; n < 3; n++) await operations.submit(request('{}\n', { account, key: `${account}-${n}` }));
  }
  await eventually(async () => {
    const { executions } = await client.workflowService.listWorkflowExecutions({ namespace: client.options.namespace });
    return (executions ?? []).length >= 6;
  });
});
afterAll(async () => {
  await operations?.stop();
  await folder?.remove();
  await temporal?.teardown();
});

const INJECTIONS = [
  "noop' OR TrancheAccount = 'other",
  "noop' OR '1' = '1",
  "noop') OR (WorkflowType = 'operation",
  'noop" OR 1=1',
  'noop\\',
  "noop'--",
  'noop\u0000',
  'noop ORDER BY StartTime',
  '`noop`',
  'noop\uff07 OR 1=1',
];

it.each(INJECTIONS)('a filter %j is refused before Temporal is asked', async (target) => {
  await expect(operations.list({ account: 'acme', limit: 10, target })).rejects.toMatchObject({
    code: 'malformed_request',
  });
});

it.each(["acme' OR TrancheAccount = 'other", '%', 'acme OR 1=1', ''])('an account %j is none', async (account) => {
  await expect(operations.list({ account, limit: 10 })).rejects.toMatchObject({ code: 'malformed_request' });
});

it('a cursor that somebody made up for the right filter shows nothing of others and keeps nobody from theirs', async () => {
  const query = visibilityQuery({ account: 'acme', limit: 1 });
  const otherRun = await client.workflow.getHandle('other/other-0').describe();
  const tokens = [
    'x',
    '{}',
    'null',
    '[]',
    '{"CloseTime":"9999-01-01T00:00:00Z","StartTime":"9999-01-01T00:00:00Z","RunID":"~"}',
    `{"CloseTime":"9999-01-01T00:00:00Z","StartTime":"9999-01-01T00:00:00Z","RunID":"${otherRun.runId}"}`,
    `{"CloseTime":"9999-01-01T00:00:00Z","StartTime":"9999-01-01T00:00:00Z","RunID":"' OR 1=1 --"}`,
    '{"CloseTime":{"a":1},"StartTime":-1,"RunID":[]}',
    `{"a":${'['.repeat(1_000)}${']'.repeat(1_000)}}`,
  ];
  for (const token of tokens) {
    const cursor = encodeCursor(Buffer.from(token), query);
    const outcome = await operations.list({ account: 'acme', limit: 1, cursor }).then(
      ({ data }) => data.map(({ account }) => account),
      ({ code }: { code: string }) => code,
    );
    if (Array.isArray(outcome)) expect(new Set([...outcome, 'acme']), token).toEqual(new Set(['acme']));
    else expect(['malformed_request', 'unavailable'], token).toContain(outcome);
    // Whatever the server made of it, nobody else's list suffers.
    const { data } = await operations.list({ account: 'other', limit: 3 });
    expect(data.map(({ account }) => account)).toEqual(['other', 'other', 'other']);
  }
});
