/** Work that goes on behind requests, from its start until it is told to stop. */

export interface Background {
  /** Aborted by `stop`: every wait of the work ends with it. */
  readonly signal: AbortSignal;
  /** Once; a second time nothing more is begun. */
  start(): void;
  /** Resolves when what is at work has ended. */
  stop(): Promise<void>;
}

/** `run` resolves soon after the signal. */
export function createBackground(run: () => Promise<void>): Background {
  const stopping = new AbortController();
  let running: Promise<void> | null = null;
  return {
    signal: stopping.signal,
    start() {
      running ??= run();
    },
    async stop() {
      stopping.abort();
      await running;
    },
  };
}
