/** Entry: the whole stack (`all`), or one of its parts as a process of its own (`api`, `worker`, `database`, `mock-vendor`). */
import { type Config, environment, type Mode, readConfig } from './config.ts';
import { crashAt } from './crash.ts';
import { type RunningPart, runApi, runDatabase, runMockVendor, runWorker } from './deps.ts';
import { startStack } from './embedded/stack.ts';
import { createLog } from './log.ts';
import type { Log } from './model/log.ts';

type Stop = (options: { readonly force: boolean }) => Promise<void>;
/** Ends with how to stop what it started; the signal is aborted where the stop comes first. */
type Start = (config: Config, log: Log, signal: AbortSignal) => Promise<Stop>;

/** npm, a terminal and run.mjs may all deliver one Ctrl-C. */
const REPEATED_SIGNAL_MS = 1_000;
const FORCED_EXIT_CODE = 130;

const MODES: Readonly<Record<string, Start>> = {
  all: startAll,
  api: (config, log, signal) => startPart(runApi(config, log, signal)),
  worker: (config, log, signal) => startPart(runWorker(config, log, signal)),
  database: (config, log) => startPart(runDatabase(config, log)),
  'mock-vendor': (config, log) => startPart(runMockVendor(config, log)),
};

await main();

async function main(): Promise<void> {
  const mode = process.argv[2] ?? 'all';
  const start = MODES[mode];
  try {
    if (start === undefined) throw new Error(`unknown mode ${mode}: use one of ${Object.keys(MODES).join(', ')}`);
    const config = readConfig(environment(), facesCallers(mode) ? mode : null);
    const { crashPoint } = config.diagnosis;
    // A supervisor passes it on to its parts.
    if (crashPoint !== null && (mode === 'api' || mode === 'worker')) crashAt(crashPoint);
    const log = createLog({ level: config.server.logLevel, part: mode === 'all' ? 'supervisor' : mode });
    await runUntilStopped((signal) => start(config, log, signal), log);
  } catch (error) {
    process.stderr.write(`tranche: ${error instanceof Error ? error.message : String(error)}\n`);
    process.exit(1);
  }
}

/** What a supervisor starts was judged with the supervisor. */
function facesCallers(mode: string): mode is Mode {
  return (mode === 'all' || mode === 'api') && !process.argv.includes('--supervised');
}

/** The first signal (or the death of who started us) stops in order, a second one by force. */
async function runUntilStopped(start: (signal: AbortSignal) => Promise<Stop>, log: Log): Promise<void> {
  const stopping = new AbortController();
  let stop: Stop | null = null;
  let askedAt = 0;
  const finish = async (force: boolean): Promise<void> => {
    await stop?.({ force }).catch((error: unknown) => log('error', 'could not stop cleanly', { error }));
    process.exit(force ? FORCED_EXIT_CODE : 0);
  };
  const ask = (cause: string): void => {
    const first = askedAt === 0;
    if (!first && Date.now() - askedAt < REPEATED_SIGNAL_MS) return;
    askedAt = Date.now();
    log('info', first ? 'stopping' : 'stopping by force', { cause });
    stopping.abort(new Error(`stopped by ${cause}`));
    if (!first || stop !== null) void finish(!first);
  };
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => ask(signal));
  if (process.connected) process.on('disconnect', () => ask('the death of the parent process'));
  try {
    stop = await start(stopping.signal);
  } catch (error) {
    if (!stopping.signal.aborted) throw error;
    process.exit(0);
  }
  if (stopping.signal.aborted) await finish(false);
}

async function startAll(config: Config, log: Log, signal: AbortSignal): Promise<Stop> {
  const tell = (line: string): void => void process.stderr.write(`tranche: ${line}\n`);
  const stack = await startStack({ config, env: environment(), log, tell });
  // Not awaited: a stack that is not ready yet can be stopped already.
  void stack.ready(signal).then(
    () => process.stdout.write(`ready on ${stack.url}\n`),
    () => {},
  );
  return (options) => stack.stop(options);
}

async function startPart(starting: Promise<RunningPart>): Promise<Stop> {
  const part = await starting;
  const ready = part.url === null ? 'ready' : `ready on ${part.url}`;
  if (process.argv.includes('--supervised')) process.send?.({ kind: 'ready' });
  else process.stdout.write(`${ready}\n`);
  part.failed.catch((error: unknown) => {
    process.stderr.write(`tranche: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
    process.exit(1);
  });
  // By force means: without the grace. The process ends right after.
  return ({ force }) => (force ? Promise.resolve() : part.stop());
}
