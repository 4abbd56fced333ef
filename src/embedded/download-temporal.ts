/** Child process: has the Temporal SDK download its CLI into a folder. Arguments: folder, version. */
import { TestWorkflowEnvironment } from '@temporalio/testing';

const [folder, version] = process.argv.slice(2);
if (folder === undefined || version === undefined) throw new Error('usage: download-temporal.ts <folder> <version>');
try {
  const server = await TestWorkflowEnvironment.createLocal({
    server: { executable: { type: 'cached-download', downloadDir: folder, version } },
  });
  await server.teardown();
} catch (error) {
  // One line: the parent shows it among the other ways that were tried.
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exit(1);
}
