/** Records the sample that mutation tests change: a short run of two accounts, a worker killed in its middle. */
import { writeFileSync } from 'node:fs';
import { gzipSync } from 'node:zlib';
import { startParts } from '../../fixtures/stack/parts.ts';
import { judgeHistory } from '../check.ts';
import { renderHistory } from '../history.ts';
import { recordShortRun } from '../short-run.ts';

const CALLS_PER_SECOND = 80;

const parts = await startParts({
  ...{ VENDOR_BUDGETS: `products=${CALLS_PER_SECOND}/s`, VENDOR_SEND_TIMES: 'on', HEARTBEAT_TIMEOUT_MS: '2000' },
});
try {
  await parts.startTemporal();
  const [, worker] = await Promise.all([parts.startApi(), parts.startWorker()]);
  const act = async () => {
    await worker.kill();
    await parts.startWorker();
  };
  const run = { url: parts.url, vendor: parts.vendor, tag: 'sample', callsPerSecond: CALLS_PER_SECOND };
  const history = await recordShortRun({ ...run, fault: { what: 'worker', whom: 'worker', act } });
  const { violations, facts } = judgeHistory(history);
  process.stderr.write(`${JSON.stringify({ facts, violations }, null, 1)}\n`);
  if (violations.length > 0) process.exitCode = 1;
  else writeFileSync(new URL('./short-run.ndjson.gz', import.meta.url), gzipSync(renderHistory(history), { level: 9 }));
} finally {
  await parts.stop();
}
process.exit();
