/** `npm run chaos`: random faults against the whole service (`--minutes`, `--seed`), or a crash at each named point (`--crashes`). */
const args = process.argv.slice(2);

try {
  process.exitCode = (await run()) ? 0 : 1;
} catch (error) {
  process.stderr.write(`chaos: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
  process.exitCode = 2;
}
// Nothing that was left open may keep a finished campaign from ending.
process.exit();

/** False where a promise was broken. Each campaign reads its own options. */
async function run(): Promise<boolean> {
  if (args.some((arg) => /^--crashes(=|$)/.test(arg))) {
    const { runCrashes } = await import('./crashes/main.ts');
    return runCrashes(args);
  }
  const { runCampaign } = await import('./campaign.ts');
  return runCampaign(args);
}
