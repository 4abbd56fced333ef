/** How a mode of the program is run as a process of its own: the runtime's flags and its memory allocator's settings, as in `scripts/run.mjs`. */
import { fileURLToPath } from 'node:url';

export interface Launch {
  readonly file: string;
  readonly args: readonly string[];
  /** Beneath what the caller sets. */
  readonly env: Readonly<Record<string, string>>;
}

/**
 * V8 sizes its young generation by the machine's memory, to 128 MiB and more. 16 MiB is enough where little is parsed;
 * a worker's batches then survive too often (contacts: 0.56 of the plain loop, 0.60 with 32, no more with 64).
 */
const SEMI_SPACE_MIB: Readonly<Record<string, number>> = { all: 16, api: 16, worker: 32, database: 16 };
/** For a worker: glibc keeps freed chunks in its heaps unless each is mapped for itself. Other libraries ignore both. */
const WORKER_MALLOC = { MALLOC_ARENA_MAX: '2', MALLOC_MMAP_THRESHOLD_: '131072' };

export function launchOf(mode: string): Launch {
  const main = fileURLToPath(new URL('../main.ts', import.meta.url));
  const semiSpaceMib = SEMI_SPACE_MIB[mode];
  const flags = semiSpaceMib === undefined ? [] : [`--max-semi-space-size=${semiSpaceMib}`];
  return {
    file: process.execPath,
    args: ['--disable-warning=ExperimentalWarning', ...flags, main, mode],
    env: mode === 'worker' ? WORKER_MALLOC : {},
  };
}
