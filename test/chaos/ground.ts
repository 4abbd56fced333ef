/** What an epoch stands on, by its seed: store, settings of the service, the vendors' habits and budgets, the accounts. */
import type { SettingsChange } from '../../src/mock-vendor/settings.ts';
import type { Random } from './random.ts';
import type { StoreKind } from './stack/stack.ts';
import { refusedName } from './workload/bodies.ts';

export interface Ground {
  readonly store: StoreKind;
  readonly accounts: readonly string[];
  /** Of API and worker processes. */
  readonly settings: Readonly<Record<string, string>>;
  /** Of every vendor while nothing is wrong with it. */
  readonly vendor: SettingsChange;
  readonly budgets: readonly (readonly [vendor: string, windows: readonly CallWindow[]])[];
  readonly canPurge: boolean;
}

interface CallWindow {
  readonly calls: number;
  readonly seconds: number;
}

const ACCOUNTS = ['chaos-amber', 'chaos-birch', 'chaos-cedar'] as const;

export function drawGround(random: Random): Ground {
  const store = random.pick<StoreKind>(['fs', 's3']);
  const rate = random.pick([60, 120, 250]);
  const jobRate = random.pick([5, 20]);
  const isGoverned = random.chance(0.7);
  const latencyMs = random.pick([5, 20, 60]);
  const budgets = isGoverned ? `products=${rate}/s,sync=${jobRate}/s,async=${jobRate}/s` : '';
  const window = (calls: number) => [{ calls, seconds: 1 }];
  return {
    store,
    accounts: ACCOUNTS,
    settings: {
      ...{ HEARTBEAT_TIMEOUT_MS: '4000', BOX_MAX_MS: '10000', RECONCILE_INTERVAL_MS: '2000' },
      ...{ CALL_TIMEOUT_MS: '5000', RETRY_MAXIMUM_INTERVAL_MS: '5000', CALLBACK_TIMEOUT_MS: '8000' },
      ...{ VENDOR_CONNECTIONS: '64', VENDOR_SEND_TIMES: 'on', SHUTDOWN_GRACE_MS: '3000', BLOB_DEADLINE_MS: '8000' },
      ...{ CHUNK_SIZE: random.pick(['20', '100', '500']), VENDOR_BUDGETS: budgets },
    },
    vendor: {
      ...{ latencyMs, jitterMs: latencyMs, rejectNames: ACCOUNTS.map(refusedName), jobFailRate: 0.08 },
      ...{ callbackDelayMs: 300, callbackJitterMs: 900, callbackEarlyRate: 0.1, callbackDoubledRate: 0.1 },
      ...{ callbackMissingRate: 0.05, callbackForgedRate: 0.05, callbacksShuffled: true },
    },
    budgets: isGoverned
      ? [
          ['products', window(rate)],
          ['sync', window(jobRate)],
          ['async', window(jobRate)],
        ]
      : [],
    canPurge: true,
  };
}
