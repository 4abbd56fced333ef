import { readdirSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Worker } from '@temporalio/worker';
import { describe, expect, test } from 'vitest';
import { workflowBundle } from '../../../src/worker/bundle.ts';

const folder = fileURLToPath(new URL('../../histories/', import.meta.url));
const paths = readdirSync(folder).filter((name) => !name.startsWith('.'));
const bundle = await workflowBundle(join(tmpdir(), 'tranche-test-bundles'));

test('every path worth keeping has stored histories', () => {
  expect(paths).toEqual(
    expect.arrayContaining([
      'one-chunk',
      'many-chunks',
      'pause-resume',
      'cancel-mid-run',
      'continue-as-new',
      'vendor-outage',
      'operator-cancel',
      'scheduled-rescheduled',
      'amended',
      'callbacks',
      'retry-run',
      'former-release',
      'governor',
      'halted-resumed',
      'halted-stopped',
      'deadline',
      'called-home',
      'called-home-itself',
      'paused-while-kept',
    ]),
  );
});

test('the stored histories hold a run that continued as new, and the run that it continued in', () => {
  const folderOf = join(folder, 'continue-as-new');
  const runs = readdirSync(folderOf).filter((file) => file.startsWith('operation'));
  const texts = runs.map((file) => readFileSync(join(folderOf, file), 'utf8'));
  expect(texts.some((text) => text.includes('EXECUTION_CONTINUED_AS_NEW'))).toBe(true);
  expect(texts.some((text) => text.includes('"continuedExecutionRunId"'))).toBe(true);
});

test('those of the governor hold a run that continued as new, and one that was carried on', () => {
  const texts = ['governor-00', 'governor-01'].map((file) =>
    readFileSync(join(folder, 'governor', `${file}.json`), 'utf8'),
  );
  expect(texts[0]).toContain('EXECUTION_CONTINUED_AS_NEW');
  expect(texts[1]).toContain('"continuedExecutionRunId"');
});

describe.each(paths)('%s', (name) => {
  const files = readdirSync(join(folder, name));
  test.each(files)('%s replays without a difference', async (file) => {
    const stored = JSON.parse(readFileSync(join(folder, name, file), 'utf8')) as {
      workflowId: string;
      history: unknown;
    };
    await expect(
      Worker.runReplayHistory(
        { workflowBundle: bundle, replayName: `${name}-${file}` },
        stored.history,
        stored.workflowId,
      ),
    ).resolves.toBeUndefined();
  });
});

test('a workflow that decides otherwise than its history is caught', async () => {
  const file = readdirSync(join(folder, 'one-chunk'))[0] ?? '';
  const stored = JSON.parse(readFileSync(join(folder, 'one-chunk', file), 'utf8'));
  const foreign = JSON.parse(JSON.stringify(stored.history).replaceAll('"slice"', '"other"'));
  await expect(Worker.runReplayHistory({ workflowBundle: bundle }, foreign, stored.workflowId)).rejects.toThrow(
    /determinis/i,
  );
});
