import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startEmbeddedDatabase } from '../../../src/embedded/database.ts';
import { noLog } from '../../../src/model/log.ts';
import { testSlots } from './slots.suite.ts';

testSlots('PGlite', async () => {
  const dataDir = await mkdtemp(join(tmpdir(), 'tranche-slots-'));
  const cacheDir = join(tmpdir(), 'tranche-test-cache');
  const database = await startEmbeddedDatabase({ dataDir, cacheDir, port: 0, log: noLog });
  return {
    url: database.url,
    async close() {
      await database.close();
      await rm(dataDir, { recursive: true, force: true });
    },
  };
});
