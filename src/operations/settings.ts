/** What the verbs may be told: limits of an upload, deadlines, leases. `config.ts` fills it in. */
export interface OperationsSettings {
  /** Decoded bytes of one body; null = no quota. */
  readonly bytesMax: number | null;
  readonly itemBytesMax: number;
  /** Milliseconds without a byte after which an upload is given up. */
  readonly idleTimeoutMs: number;
  /** Age of a marker's lease after which its upload counts as gone. */
  readonly stagingLeaseMs: number;
  /** After the end of an operation. */
  readonly retentionMs: number;
  readonly statusCacheMs: number;
  /** For one status answer, all its steps together. */
  readonly statusDeadlineMs: number;
  readonly reconcileIntervalMs: number;
  /** For one start of a workflow on the path of a submit: with Temporal down, submit still answers within 2 s. */
  readonly startDeadlineMs: number;
  /** For one signal, describe or list. */
  readonly callDeadlineMs: number;
  /** For one blob on the path of a submit; then 503. */
  readonly storeDeadlineMs: number;
}
