/** The one wiring place: from settings to the parts that run. */
import type { Config } from './config.ts';
import { startMockVendor } from './mock-vendor/server.ts';
import type { Log } from './model/log.ts';

/** One part of the stack, serving. */
export interface RunningPart {
  /** Where it serves; null where it serves nobody (a worker). */
  readonly url: string | null;
  /** Rejects where it cannot go on; the process then ends and is started again. */
  readonly failed: Promise<never>;
  /** Takes nothing new, lets what runs end within the grace, and lets go of everything. */
  stop(): Promise<void>;
}

const never = (): Promise<never> => new Promise(() => {});

export async function runMockVendor(config: Config, log: Log): Promise<RunningPart> {
  const vendor = await startMockVendor({ host: '127.0.0.1', port: config.vendors.mockVendorPort });
  log('info', 'mock vendor serves', { url: vendor.url });
  return { url: vendor.url, failed: never(), stop: () => vendor.close() };
}

export function runApi(_config: Config, _log: Log): Promise<RunningPart> {
  return Promise.reject(new Error('the api is not wired yet'));
}

/** Resolves once the server sees this worker poll. */
export function runWorker(_config: Config, _log: Log, _signal: AbortSignal): Promise<RunningPart> {
  return Promise.reject(new Error('the worker is not wired yet'));
}
