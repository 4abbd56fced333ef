/** The workflows as one file, bundled once per change of their sources: bundling takes seconds, a restart must not. */
import { createHash } from 'node:crypto';
import { mkdir, readdir, readFile, rename, stat, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { bundleWorkflowCode, type WorkflowBundlePath } from '@temporalio/worker';

const WORKFLOWS = fileURLToPath(new URL('../workflows/index.ts', import.meta.url));
const INTERCEPTORS = fileURLToPath(new URL('../workflows/slice-ids.ts', import.meta.url));
/** Everything that the import law lets into a workflow. */
const SOURCES = [new URL('../workflows/', import.meta.url), new URL('../model/', import.meta.url)].map((url) =>
  fileURLToPath(url),
);

export async function workflowBundle(folder: string): Promise<WorkflowBundlePath> {
  const codePath = join(folder, `workflows-${await sourcesHash()}.js`);
  const standing = await stat(codePath).catch(() => null);
  if (standing !== null) return { codePath };
  const { code } = await bundleWorkflowCode({ workflowsPath: WORKFLOWS, workflowInterceptorModules: [INTERCEPTORS] });
  await mkdir(folder, { recursive: true });
  const draft = `${codePath}.${process.pid}`;
  await writeFile(draft, code);
  await rename(draft, codePath);
  return { codePath };
}

async function sourcesHash(): Promise<string> {
  const hash = createHash('sha256').update(sdkVersion());
  for (const folder of SOURCES) {
    for (const name of (await readdir(folder, { recursive: true })).sort()) {
      if (name.endsWith('.ts')) hash.update(name).update(await readFile(join(folder, name)));
    }
  }
  return hash.digest('hex').slice(0, 16);
}

function sdkVersion(): string {
  const manifest = createRequire(import.meta.url)('@temporalio/worker/package.json') as { version: string };
  return manifest.version;
}
