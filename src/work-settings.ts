/** The settings of workers: how much each does at once, and how often an item is tried. */
import { decimal, setting, whole } from './setting.ts';

export const WORK_SETTINGS = {
  worker: {
    slicesMax: setting(
      'WORKER_SLICES_MAX',
      '64',
      whole(1, 2_000),
      'Slices (activities) that one worker process runs at once.',
    ),
    workflowsCachedMax: setting(
      'WORKER_WORKFLOWS_CACHED_MAX',
      '500',
      whole(0, 100_000),
      'Workflows that one worker process keeps in memory.',
    ),
    heartbeatTimeoutMs: setting(
      'HEARTBEAT_TIMEOUT_MS',
      '4000',
      whole(1_000, 600_000),
      'Milliseconds without a heartbeat after which a slice counts as lost and goes on elsewhere.',
    ),
    boxMs: setting(
      'BOX_MS',
      '3000',
      whole(100, 600_000),
      "Milliseconds of a chunk's first slice: what progress, pause and fairness wait for at most.",
    ),
    boxMaxMs: setting(
      'BOX_MAX_MS',
      '30000',
      whole(100, 3_600_000),
      'Milliseconds that a slice grows to while nothing waits for its slot.',
    ),
    windowMax: setting(
      'WINDOW_MAX',
      '16',
      whole(1, 256),
      'Chunks of one operation that are worked on at once, at most.',
    ),
  },
  retry: {
    initialIntervalMs: setting(
      'RETRY_INITIAL_INTERVAL_MS',
      '500',
      whole(1, 3_600_000),
      "Milliseconds before an item's first retry.",
    ),
    backoffCoefficient: setting('RETRY_BACKOFF_COEFFICIENT', '2', decimal(1, 100), 'Factor between two intervals.'),
    maximumIntervalMs: setting(
      'RETRY_MAXIMUM_INTERVAL_MS',
      '60000',
      whole(1, 86_400_000),
      'Longest interval between two attempts at an item, in milliseconds.',
    ),
    maximumAttempts: setting(
      'RETRY_MAXIMUM_ATTEMPTS',
      '6',
      whole(1, 1_000),
      'Attempts at one item that say something about it (429 and outages do not count).',
    ),
  },
} as const;
